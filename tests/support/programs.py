"""What the checks of programs share: saying what is wrong, other users, terminals."""

import atexit
import os
import pty
import select
import shutil
import subprocess
import sys
import time

NOBODY = 65534
SKIPPED = 77


def require(condition, what):
    if not condition:
        sys.exit(f"wrong: {what}")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def clean_environment(**more):
    """Ours, without what decides over Weir or over colours."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_") and k != "NO_COLOR"}
    return {**clean, "TERM": "xterm", **more}


def copy_for_everybody(program, folder):
    """Other users may not be able to read the build folder."""
    copy = shutil.copy(program, folder / "program")
    os.chmod(copy, 0o755)
    os.chmod(folder, 0o755)
    return copy


def on_terminal(command, environment, start_new_session=False):
    """Starts a program on a terminal of its own; returns (process, descriptor)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=start_new_session)
    atexit.register(process.kill)
    os.close(theirs)
    return process, ours


def read_all(descriptor):
    text = b""
    end = time.monotonic() + 30
    while time.monotonic() < end and select.select([descriptor], [], [], 30)[0]:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    return text.decode()
