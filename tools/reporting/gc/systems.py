"""The systems that are compared: which executable, and what its environment says."""

import ctypes
from dataclasses import dataclass, field

from reporting.children import die_with_parent, prctl

BARRIERS = ("async", "uffd-sigbus", "mprotect", "uffd-thread", "soft-dirty", "cards",
            "always-dirty")
PR_SET_THP_DISABLE = 41


@dataclass(frozen=True)
class System:
    name: str
    executable: str  # the end of its name
    environment: dict = field(default_factory=dict, hash=False)


SYSTEMS = {system.name: system for system in (
    System("weir-auto", "weir"),
    *(System(f"weir-{barrier}", "weir", {"WEIR_BARRIER": barrier}) for barrier in BARRIERS),
    System("weir-full", "weir", {"WEIR_GENERATIONS": "0"}),  # no generations: no barrier, either
    System("libgc", "libgc"),
    System("libgc-incremental", "libgc", {"GC_ENABLE_INCREMENTAL": "1"}),
    System("libgc-parallel", "libgc", {"PROGRAM_MARKERS": "1"}),  # GC_start_mark_threads
    System("mimalloc", "mimalloc"),
    System("limit", "limit"))}
PEERS = ("weir-auto", "libgc", "libgc-incremental", "mimalloc", "limit")
REFERENCE = "weir-auto"

# Weir asks for huge pages by itself. The others would get them if the system's setting were `always`;
# where it is `madvise`, these make them ask, too: of mimalloc an option, of the programs a variable.
ASK_FOR_HUGE_PAGES = {"MIMALLOC_LARGE_OS_PAGES": "1", "PROGRAM_HUGE_PAGES": "1"}

# Of the caller's environment, which would change what is measured.
NOT_INHERITED = ("WEIR_", "GC_", "MIMALLOC_", "PROGRAM_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def environment(system, huge_pages, inherited):
    kept = {name: value for name, value in inherited.items()
            if not name.startswith(NOT_INHERITED)}
    return kept | system.environment | (ASK_FOR_HUGE_PAGES if huge_pages == "on" else {})


def prepare_child(huge_pages):
    """Called in the child, before it becomes the program."""
    die_with_parent()
    if prctl(PR_SET_THP_DISABLE, int(huge_pages == "off"), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_THP_DISABLE")
