"""A section for each program: who takes how long, beside Weir."""

from reporting import svg
from reporting.gc import figures, summary
from reporting.gc.plan import PROGRAMS
from reporting.gc.systems import REFERENCE
from reporting.page import Section, table
from reporting.words import listed

RATIO = svg.Axis("time, as a multiple of weir-auto's", lambda value: f"{value:g}", say=figures.times)
HEAD = ("system", "time", "/ weir-auto", "CPU", "stopped", "longest pause", "median",
        "MMU 10, 100 ms", "minor + full", "faults", "peak RSS")
NOT_MEASURED = "Not measured: no record has a ratio."


def section(f, name):
    records = f.of(program=name)
    made = Section(f"{name}: {PROGRAMS[name].stands_for}", _conclusion(records), key=name)
    rows = _rows(records)
    if rows:
        made.figure = svg.intervals(made.conclusion, RATIO, rows, [(1, "as weir-auto")])
    if name == "threads":
        made.notes.append(_scaling(f))
    made.tables = tables(records)
    return made


def tables(records):
    """One for each condition."""
    conditions = list(dict.fromkeys(map(figures.condition, records)))
    made = []
    for words in conditions:
        lines = [_line(r) for r in records if figures.condition(r) == words]
        made.append(table(HEAD, lines, words))
    return made


def _line(record):
    if record["seconds"] is None:
        return (record["system"], summary.took_too_long(record), *[""] * (len(HEAD) - 2))
    minor = record["minor_pause_ns_max"]
    of_minor = "" if minor is None else f"minor {summary.pause(minor)}"
    counts = [summary.plain(record[kind]) for kind in ("minor", "full")]
    if not any(counts):
        counts = [summary.plain(record["collections"] or None)]
    return (record["system"], summary.seconds(record["seconds"]),
            (summary.ratio(record), summary.interval(record)),
            summary.seconds(record["cpu_seconds"]), summary.seconds(record["gc_seconds"]),
            (summary.pause(record["pause_ns_max"]), of_minor),
            summary.pause(record["pause_ns_p50"]),
            f"{summary.share(record['mmu_10ms'])}, {summary.share(record['mmu_100ms'])}",
            " + ".join(counts), summary.plain(record["minor_faults"]),
            summary.mebibytes(record["rss_peak_bytes"]))


def _conclusion(records):
    made = []
    for words in dict.fromkeys(map(figures.condition, records)):
        found = [(r["system"], figures.ratio(r)) for r in records
                 if figures.condition(r) == words and r["system"] != REFERENCE]
        said = [f"{system} {figures.times(value.median)}" for system, value in found if value]
        if said:
            made.append(f"{listed(said)} ({words})")
    if not made:
        return NOT_MEASURED
    return "Times as long as Weir takes: " + "; ".join(made) + "."


def _rows(records):
    one_kind = len({record["huge_pages"] for record in records}) == 1
    rows = []
    for record in records:
        value = figures.ratio(record)
        if value and record["system"] != REFERENCE:
            words = f"{record['system']}, {figures.condition(record)}"
            huge = f"huge pages {record['huge_pages']}"  # not where it is the same for all
            words = words.replace(f", {huge}", "") if one_kind else words.replace(" pages", "")
            rows.append(svg.Row(words, figures.COLOURS[record["system"]], value))
    return rows


def _scaling(f):
    """What more mutators come to: each does the same work, so that n in the time of one are n."""
    said = []
    for system in f.systems():
        by_count = {int(r["variant"].partition("=")[2]): r["seconds"]
                    for r in f.of(program="threads", system=system) if r["seconds"]}
        factors = [f"{count}: {figures.times(count * by_count[1] / took)}"
                   for count, took in by_count.items() if count > 1 and 1 in by_count]
        if factors:
            said.append(f"{system} {', '.join(factors)}")
    return ("Allocation by several mutators, as a multiple of that by one: " + "; ".join(said) + ".")
