"""What is run: programs, with which options, on which systems, under which conditions."""

from dataclasses import dataclass, field

from reporting.gc.systems import BARRIERS, PEERS

BOTH = ("off", "on")  # of huge pages
OFF = ("off",)
WEIRS = ("weir-auto", *(f"weir-{barrier}" for barrier in BARRIERS), "weir-full")
# libgc marks with one thread until there are several mutators, Weir with one on each core.
AND_PARALLEL = PEERS + ("libgc-parallel",)
FEW_WEIRS = ("weir-auto", "weir-async", "weir-mprotect", "weir-cards", "weir-always-dirty",
             "weir-full")


@dataclass(frozen=True)
class Group:
    """What is run alternately, and compared."""
    program: str
    variant: str
    options: dict = field(hash=False, compare=False)
    systems: tuple
    huge_pages: str = "off"
    repetitions: int = 1

    @property
    def cold(self):
        return self.repetitions == 1


@dataclass(frozen=True)
class Program:
    name: str
    stands_for: str  # in a few words, for the report
    tiny: dict  # options for tests
    groups: tuple


def _groups(program, variants=({},), huge_pages=BOTH, repetitions=(1,), systems=PEERS):
    return tuple(Group(program, _words(options), options, tuple(systems), huge, times)
                 for options in variants for huge in huge_pages for times in repetitions)


def _words(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


# ---- scattered_writes: a sweep over the rate, and what else may matter one at a time --------------

RATES = (0.0001, 0.001, 0.01, 0.1, 1)
SWEEP_BASE = {"store": "young", "targets": "uniform", "shape": "order"}
SWEEP_CHANGES = ({"store": "old"}, {"store": "number"}, {"targets": "zipf"}, {"shape": "random"})
FEW_RATES = RATES[::2]


def _at(rate, **changes):
    return {"rate": f"{rate:g}"} | SWEEP_BASE | changes


def _sweep():
    name = "scattered_writes"
    base = _groups(name, [_at(rate) for rate in RATES], OFF, systems=WEIRS + PEERS[1:])
    changed = [_at(rate, **change) for change in SWEEP_CHANGES for rate in FEW_RATES]
    huge = _groups(name, [_at(rate) for rate in FEW_RATES], ("on",), systems=FEW_WEIRS)
    return base + _groups(name, changed, OFF, systems=FEW_WEIRS) + huge


PROGRAMS = {program.name: program for program in (
    Program("gcbench", "short-lived trees of one size beside long-lived ones",
            {"stretch_depth": 10, "long_lived_depth": 8, "array": 1000},
            _groups("gcbench", repetitions=(1, 3), systems=AND_PARALLEL)),
    Program("binary_trees", "trees of all depths, dropped whole", {"depth": 10},
            _groups("binary_trees", systems=AND_PARALLEL)),
    Program("live_churn", "a large heap that hardly changes, and garbage beside it",
            {"live_mib": 1, "allocations": 60000}, _groups("live_churn", systems=AND_PARALLEL)),
    Program("scattered_writes", "old objects that are written: what a barrier is paid for",
            {"live_mib": 1, "cycles": 3}, _sweep()),
    Program("large_arrays", "old arrays of a million references, with sparse stores",
            {"arrays": 3, "length": 3000, "allocations": 50000}, _groups("large_arrays")),
    Program("queue", "what comes in first goes out first: nothing dies young",
            {"length": 5000, "allocations": 50000}, _groups("queue")),
    Program("lru_cache", "a cache: old objects are linked anew at every use",
            {"capacity": 500, "keys": 1000, "lookups": 20000}, _groups("lru_cache")),
    Program("strings", "most of memory has no references", {"kept": 500, "strings": 10000},
            _groups("strings")),
    Program("threads", "several threads that allocate", {"kept": 500, "allocations": 30000},
            _groups("threads", [{"mutators": str(count)} for count in (1, 2, 4, 8)], OFF)),
    Program("fragment", "mixed sizes of which most die: allocation into holes",
            {"slots": 1000, "rounds": 8}, _groups("fragment")),
    # Not compared: tools/reporting/gc/old_heap.py has what is measured of it.
    Program("old_heap", "a large heap that is left alone: what minor collections cost beside it",
            {"old_mib": 2, "young_kib": 256, "dirty": 20, "cycles": 5}, ()))}

# What one program may take when the number of rounds is not given, and one process.
SECONDS = 105
SECONDS_OF_ONE = 15
ROUNDS = 5
# A run longer than this is made in every second round only.
LONG = 3


def options_of(group, changes):
    """The options of a group, as the program takes them."""
    options = changes | group.options
    if not group.cold:
        options["repetitions"] = group.repetitions
    return [f"--{name}={value}" for name, value in options.items()]
