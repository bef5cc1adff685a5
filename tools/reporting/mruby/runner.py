"""Runs one program by one interpreter, once; and all of a program's by turns."""

import json
import os
import resource
import shutil
import subprocess
import time

from reporting.children import die_with_parent
from reporting.mruby import plan


class Failed(Exception):
    """A program stopped with an error, or computed something else."""


class Interpreters:
    def __init__(self, root, weir):
        self.scripts = root / "benchmarks" / "mruby"
        self.weir = weir
        self.stock = shutil.which("mruby")

    def why_not(self, system):
        """None, or why it cannot run here."""
        program = self.weir if system.is_weir else self.stock
        if program is None:
            return "mruby is not installed"
        done = subprocess.run([program, "-e", ""], env=_environment(system), check=False,
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr.strip()

    def run(self, program, system, options):
        """What the program recorded, with the time and CPU time that it took as a whole."""
        libraries = ["harness.rb", *system.libraries, *program.libraries]
        command = [self.weir if system.is_weir else self.stock]
        for library in libraries:
            command += ["-r", self.scripts / library]
        command += [self.scripts / f"{program.name}.rb",
                    *(f"{name}={value}" for name, value in options.items())]
        before, began = _cpu_seconds(), time.monotonic()
        try:
            done = subprocess.run(command, env=_environment(system), check=False, text=True,
                                  capture_output=True, timeout=plan.SECONDS_OF_ONE,
                                  preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired as expired:
            raise Failed(f"{program.name} on {system.name} takes too long") from expired
        seconds, cpu = time.monotonic() - began, _cpu_seconds() - before
        if done.returncode != 0:
            raise Failed(f"{program.name} on {system.name}: {done.stderr.strip()[-500:]}")
        record = json.loads(done.stdout.splitlines()[-1])
        return record | {"seconds": seconds, "cpu_seconds": cpu}


def _cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}


def _environment(system):
    return clean_environment() | system.environment


def by_turns(interpreters, program, systems, options, rounds, tell):
    """{system: [record of each round]}"""
    runs = {system: [] for system in systems}
    for number in range(rounds):
        first = number % len(systems)  # who comes first changes, too
        for name in systems[first:] + systems[:first]:
            tell(f"{program.name}, round {number + 1}: {name}")
            record = interpreters.run(program, plan.SYSTEMS[name], options)
            runs[name].append(record)
            expected = next(r[0]["checksum"] for r in runs.values() if r)
            if record["checksum"] != expected:
                raise Failed(f"{program.name}: {name} computes {record['checksum']!r:.200} "
                             f"instead of {expected!r:.200}")
    return runs
