"""What a program that is measured does before it becomes itself."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1

prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent():
    """For preexec_fn: however we end, the program ends too, even if nobody knows of it yet."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
