"""Runs one program on one system once."""

import json
import os
import subprocess

from reporting.gc import systems


class Failed(Exception):
    """A program stopped with an error, or said what cannot be."""


class TookTooLong(Exception):
    """It was stopped."""


def run(folder, program, system, options, huge_pages, seconds):
    """The record that the program writes."""
    command = [str(folder / f"{program}-{system.executable}"), *options]
    what = f"{program} on {system.name} ({' '.join(options)})"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False,
            env=systems.environment(system, huge_pages, os.environ), stdin=subprocess.DEVNULL,
            preexec_fn=lambda: systems.prepare_child(huge_pages))
    except subprocess.TimeoutExpired as expired:
        raise TookTooLong(what) from expired
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f"cannot run {command[0]}: {error}") from error
    if done.returncode != 0:
        raise Failed(f"{what} stopped with {done.returncode}: {done.stderr.strip()[-500:]}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise Failed(f"{what} wrote no record: {error}") from error


def is_to_be_had(folder, system):
    """None, or why this system cannot run here: a barrier that the kernel does not offer, say."""
    wanted = system.environment.get("WEIR_BARRIER")
    try:
        record = run(folder, "gcbench", system, ["--stretch_depth=6", "--long_lived_depth=4",
                                                 "--array=10"], "off", 60)
    except (Failed, TookTooLong) as error:
        return str(error)
    return None if wanted in (None, record["barrier"]) else f"{record['barrier']} in its stead"
