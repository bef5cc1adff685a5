"""tools/compare mruby --instructions: what allocating, collecting and freeing take of a program's
instructions, by Valgrind's callgrind.

Counted is what runs below the functions of mruby's gc.o when the interpreter calls them, and all
that Weir's own threads do. Valgrind knows no userfaultfd: the barrier is the one that reports
everything, beside which the pacing soon collects without generations.
"""

import collections
import re
import subprocess
import tempfile

from reporting.mruby.runner import Failed, clean_environment

# Programs and sizes that take callgrind some seconds.
COUNTED = {
    "binary_trees": {"depth": 11}, "deltablue": {"runs": 2}, "nqueens": {"n": 8},
    "strings": {"strings": 70_000, "pages": 30}, "lru_cache": {"entries": 10_000, "gets": 100_000},
    "loop_finder": {"nests": 6, "runs": 3}, "simulation": {"people": 6_000, "steps": 10},
}
ENTRIES = re.compile(r"mrb_(obj_alloc|gc_protect|gc_(un)?register|write_barrier|field_write_barrier|"
                     r"malloc|malloc_simple|realloc|realloc_simple|calloc|free|alloca|full_gc|"
                     r"garbage_collect|incremental_gc)")
# What such a function calls that calls one again.
INSIDE = re.compile(r"mrb_gc_\w+|incremental_gc\w*|obj_free|clear_all_old|mrb_irep_\w+|mrb_free_\w+|"
                    r"mrb_(ary|env|class|data)?_?\w*decref\w*|gc_mark_children\w*|(iv|mt|ht)_free\w*|"
                    r"weir\w*::.*|weir_\w+|\(anonymous namespace\).*|add_heap|" + ENTRIES.pattern)
# Else `rep stosb`, which sets 64 bytes in a cycle, counts as an instruction for each byte.
TUNABLES = "glibc.cpu.x86_rep_stosb_threshold=1000000000:glibc.cpu.x86_rep_movsb_threshold=1000000000"


def measure(folder, scripts, programs, say):
    """Prints a row for each program: all instructions, and those for memory, by mruby and Weir."""
    say(f"{'':14}{'mruby':>16}{'for memory':>16}{'':6}{'on Weir':>16}{'for memory':>16}"
        f"{'':6}{'ratio':>8}")
    for name in programs or COUNTED:
        if name not in COUNTED:
            raise Failed(f"{name} takes callgrind too long: take {', '.join(COUNTED)}")
        (all_of, own), (all_on, weir) = (_count(folder / binary, scripts, name)
                                         for binary in ("mruby-plain", "mruby-weir"))
        say(f"{name:14}{all_of:16,}{own:16,}{own / all_of:6.1%}{all_on:16,}{weir:16,}"
            f"{weir / all_on:6.1%}{weir / own:8.2f}")


def _count(binary, scripts, name):
    options = [f"{key}={value}" for key, value in COUNTED[name].items()]
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
             binary, "-r", scripts / "harness.rb", scripts / f"{name}.rb",
             *options], env=clean_environment() | {"GLIBC_TUNABLES": TUNABLES}, check=False,
            capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{name} on {binary.name} under valgrind: {done.stderr[-500:]}")
        return _sums(out.read().decode(errors="replace"))


def _sums(profile):
    """(all, those for memory) of callgrind's own format."""
    names, everything = {}, 0
    memory = collections.Counter()
    function = called = None
    is_call = False

    def named(word):
        number, _, name = word.partition(" ")
        return names.setdefault(number, re.sub(r"'\d+$", "", name))

    for line in profile.splitlines():
        key, equals, value = line.partition("=")
        if equals and key in ("fn", "cfn"):
            if key == "fn":
                function = named(value)
            else:
                called = named(value)
        elif equals and key == "calls":
            is_call = True
        elif re.match(r"[+*\-\d]", line):
            cost = int(line.split()[1])
            if not is_call:
                everything += cost
            elif _begins(function, called):
                memory[called] += cost
            is_call = False
    return everything, sum(memory.values())


def _begins(caller, called):
    if caller == "start_thread":
        return True
    return ENTRIES.fullmatch(called) is not None and INSIDE.fullmatch(caller) is None
