"""The demos, run as their users do: for the checks of this folder."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs
from programs import NOBODY, clean_environment, copy_for_everybody, require, skip

USAGE = 2
NOT_HERE = 3


class Demo:
    """The program, a folder for its temporary file, and a user to run it as."""

    def __init__(self, program, folder, as_nobody=False):
        self.folder = folder
        self.program = program
        self.user = {}
        if as_nobody:  # may not be able to read the build folder
            self.program = copy_for_everybody(program, folder.parent)
            os.chown(folder, NOBODY, NOBODY)
            self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def environment(self, more=None):
        return clean_environment(**{"TMPDIR": str(self.folder), **(more or {})})

    def run(self, *arguments, **environment):
        done = subprocess.run([self.program, *arguments], env=self.environment(environment),
                              capture_output=True, text=True, timeout=60, check=False, **self.user)
        require(not list(self.folder.iterdir()), f"{arguments} left files behind")
        return done

    def run_well(self, *arguments, **environment):
        done = self.run(*arguments, **environment)
        if done.returncode == NOT_HERE:
            skip(done.stderr.strip())
        require(done.returncode == 0, f"{arguments} gives {done.returncode}: {done.stderr}")
        require(done.stderr == "", f"{arguments} complains: {done.stderr}")
        return done.stdout


def on_terminal(demo, arguments, start_new_session=False, **environment):
    """Starts the program on a terminal of its own; returns (process, descriptor)."""
    return programs.on_terminal([demo.program, *arguments], demo.environment(environment),
                                start_new_session)
