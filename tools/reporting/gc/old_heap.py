"""Minor collections beside an old heap: their pauses, and the parts of these, against its size."""

import os
import re
import statistics
import subprocess

from reporting import svg
from reporting.estimates import Estimate
from reporting.gc import systems
from reporting.gc.plan import PROGRAMS
from reporting.gc.runner import Failed
from reporting.page import Section, table
from reporting.words import duration, mebibytes

PROGRAM = "old_heap"
SIZES = (64, 256, 1024, 4096)  # MiB that are old
TINY_SIZES = (2, 4)
# The nursery and its collections are fixed, and clocks decide nothing: the same work at each size.
FIXED = ["--nursery=fixed"]
# As the collector likes, which is to keep to 2 ms. Garbage beside what lives: a program that only
# builds is better off without generations, and gets none; they come back with the first full
# collection of the cycles that count.
OWN = ["--nursery=own", "--garbage=1", "--cycles=800"]
OWN_UP_TO = 1024
TARGET_NS = 4e6  # for the 99th percentile
PARTS = ("dirty", "roots", "mark", "sweep")
SECONDS = 120  # for one run
BEGIN, END = "old_heap: the heap is old", "old_heap: that was all"

LINE = re.compile(r"^weir gc +\d+ minor .* pause +([\d,.]+) (s|ms|us): (.*?) us, ")
UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3}


def measure(folder, size, progress):
    """A record for each size and way of pacing."""
    tiny = [f"--{name}={value}" for name, value in PROGRAMS[PROGRAM].tiny.items()]
    sizes = SIZES if size == "standard" else TINY_SIZES
    made = []
    for pacing, options, environment in (("fixed", FIXED, {"WEIR_DETERMINISTIC": "1"}),
                                         ("own", OWN, {})):
        for mib in sizes:
            if pacing == "own" and mib > OWN_UP_TO:
                continue
            progress(f"{PROGRAM}: {mib} MiB, nursery {pacing}")
            given = (tiny if size == "tiny" else []) + options + [f"--old_mib={mib}"]
            made.append({"pacing": pacing, "old_mib": mib} |
                        summary_of(_log_of(folder, given, environment)))
    return made


def _log_of(folder, options, environment):
    system = systems.System("weir-auto", "weir", environment | {"WEIR_LOG": "gc"})
    done = subprocess.run(
        [str(folder / f"{PROGRAM}-weir"), *options], capture_output=True, text=True, check=False,
        timeout=SECONDS, env=systems.environment(system, "off", os.environ),
        stdin=subprocess.DEVNULL, preexec_fn=lambda: systems.prepare_child("off"))
    if done.returncode != 0:
        raise Failed(f"{PROGRAM} stopped with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stderr


def summary_of(log):
    """Of the cycles between the two marks, in nanoseconds."""
    between = log.partition(BEGIN)[2].partition(END)[0]
    pauses, parts = [], {part: [] for part in PARTS}
    for found in filter(None, map(LINE.match, between.splitlines())):
        pauses.append(float(found[1].replace(",", "")) * UNITS[found[2]])
        words = found[3].split()
        phases = dict(zip(words[::2], words[1::2]))
        for part in PARTS:
            parts[part].append(float(phases.get(part, "0").replace(",", "")) * 1e3)
    made = {"minor": len(pauses), "full": len(re.findall(r"^weir gc +\d+ full", between, re.M))}
    if pauses:
        made |= {"pause_ns": _three(pauses), "pause_ns_max": round(max(pauses)),
                 "parts_ns": {part: _three(values) for part, values in parts.items()}}
    return made


def _three(values):
    """Lower quartile, median, 99th percentile."""
    ordered = sorted(values)
    return [round(ordered[len(ordered) // 4]), round(statistics.median(ordered)),
            round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)])]


# ---- the section ----------------------------------------------------------------------------------

OLD = svg.Axis("old heap", mebibytes, SIZES)
PAUSE = svg.Axis("minor collection: lower quartile, median, p99", duration)


def section(records):
    made = Section("Minor collections beside an old heap", _conclusion(records), key=PROGRAM)
    fixed = [r for r in records if r["pacing"] == "fixed" and r["minor"]]
    curves = [svg.Curve("pause", 0, {r["old_mib"]: _estimate(r["pause_ns"]) for r in fixed})]
    for colour, part in enumerate(PARTS, 1):
        points = {r["old_mib"]: _estimate(r["parts_ns"][part]) for r in fixed}
        curves.append(svg.Curve(part, colour, points))
    if len(fixed) > 1:
        made.figure = svg.plot(made.conclusion, OLD, PAUSE, curves,
                               bound=(TARGET_NS, "4 ms: what the 99th percentile may be"))
    made.notes.append("In each cycle the same is allocated, and the same number of old objects, on "
                      "pages at random, gets a young one. `dirty` is the walk over the page tables "
                      "and the scan of what was written: only the walk depends on the old heap. "
                      "Huge pages are off. `own`: the collector chooses the nursery, for its "
                      "target of 2 ms.")
    made.tables = [table(["nursery", "old", "minor", "full", "pause: median", "p99", "max",
                          *PARTS], [_row(r) for r in records], "medians of the parts")]
    return made


def _estimate(three):
    low, median, high = three
    return Estimate(median, low, high)


def _row(record):
    head = [record["pacing"], mebibytes(record["old_mib"]), str(record["minor"]),
            str(record["full"])]
    if not record["minor"]:
        return head + [""] * (3 + len(PARTS))
    _, median, p99 = record["pause_ns"]
    return head + [duration(value) for value in (median, p99, record["pause_ns_max"])] + [
        duration(record["parts_ns"][part][1]) for part in PARTS]


def walk_ns_per_gib(records):
    """By how much `dirty` grows with the old heap, from the smallest to the largest; or None."""
    fixed = {r["old_mib"]: r["parts_ns"]["dirty"][1] for r in records
             if r["pacing"] == "fixed" and r["minor"]}
    if len(fixed) < 2:
        return None
    small, large = min(fixed), max(fixed)
    return (fixed[large] - fixed[small]) / ((large - small) / 1024)


def _conclusion(records):
    growth = walk_ns_per_gib(records)
    if growth is None:
        return "Not measured: there are no minor collections at two sizes."
    said = (f"The walk over the page tables takes {duration(growth)} for each GiB that is old and "
            "left alone" if growth > 0 else "What is old and left alone costs nothing measurable")
    judged = [r for r in records if r["minor"] and r["old_mib"] <= OWN_UP_TO]
    above = [r for r in judged if r["pause_ns"][2] > TARGET_NS]
    worst = max(judged, key=lambda r: r["pause_ns"][2])
    return (f"{said}. The 99th percentile of its pauses is above 4 ms in {len(above)} of "
            f"{len(judged)} runs with up to 1 GiB; the longest is "
            f"{duration(worst['pause_ns'][2])} ({mebibytes(worst['old_mib'])}, nursery "
            f"{worst['pacing']}).")
