"""The Ruby programs of benchmarks/mruby, their sizes, and the interpreters that run them."""

from dataclasses import dataclass, field

ROUNDS = 5
SECONDS_OF_ONE = 300
REFERENCE = "weir"
STOCK = ("stock-generational", "stock-incremental")


@dataclass(frozen=True)
class System:
    name: str
    is_weir: bool
    libraries: tuple = ()
    environment: dict = field(default_factory=dict, hash=False)


SYSTEMS = {system.name: system for system in (
    System("stock-generational", False),
    System("stock-incremental", False, ("incremental.rb",)),
    System("weir", True),
    System("weir-cards", True, (), {"WEIR_BARRIER": "cards"}),
    System("weir-full", True, (), {"WEIR_GENERATIONS": "0"}),
)}
USUAL = (*STOCK, REFERENCE)


@dataclass(frozen=True)
class Program:
    name: str
    stands_for: str
    tiny: dict = field(default_factory=dict, hash=False)
    libraries: tuple = ()
    data: str = ""  # the option that names a file of data.py
    allocates: bool = True


PROGRAMS = {program.name: program for program in (
    Program("binary_trees", "short-lived objects of one size", {"depth": 8}),
    Program("nbody", "no garbage: what a collector costs those who need none", {"steps": 500},
            allocates=False),
    Program("json", "a document of 20 MB parsed, kept, changed and generated", {},
            ("json_text.rb",), "document"),
    Program("lru_cache", "old objects linked anew at each hit", {"entries": 500, "gets": 5000}),
    Program("index", "words of real texts and where they stand", {}, ("text_index.rb",), "text"),
    Program("richards", "method calls, little garbage", {"runs": 1}, allocates=False),
    Program("deltablue", "short-lived lists beside a net of constraints", {"runs": 1}),
    Program("nqueens", "short arrays that are copied", {"n": 6}),
    Program("strings", "strings from pieces of others", {"strings": 5000, "pages": 8}),
    Program("loop_finder", "sets and lists over a graph", {"nests": 2, "runs": 1}),
    Program("simulation", "old objects written all the time", {"people": 500, "steps": 4}),
    Program("graph", "1 GiB that hardly changes: pauses", {"mib": 8, "rounds": 100}),
)}
