"""Sections over all programs: the overview, pauses, memory."""

from reporting import svg
from reporting.estimates import Estimate
from reporting.gc import figures
from reporting.gc.systems import PEERS, REFERENCE
from reporting.page import Section, table
from reporting.words import duration, listed

COLLECTORS = ("weir-auto", "libgc", "libgc-incremental", "libgc-parallel")
PAUSE = svg.Axis("pause", duration)
MEMORY = svg.Axis("peak RSS, as a multiple of libgc's", lambda value: f"{value:g}", say=figures.times)


def sections(f):
    return [_overview(f), _pauses(f), _memory(f)]


def overview_rows(f):
    """(what, {system: ratio}) for each program, variant and condition on all peers."""
    keys = dict.fromkeys((r["program"], r["variant"], r["cold"], r["huge_pages"])
                         for r in f.of(system="libgc"))
    rows = []
    for program, variant, cold, huge_pages in keys:
        found = {system: f.one(program=program, variant=variant, cold=cold, huge_pages=huge_pages,
                               system=system) for system in PEERS}
        words = " ".join(filter(None, [program, variant.partition(" ")[0],
                                       "" if cold else "(warm)"]))
        rows.append(((words, huge_pages), found))
    return rows


def _overview(f):
    rows, slower = [], []
    for (words, huge_pages), found in overview_rows(f):
        reference = found[REFERENCE]
        cells = [words, huge_pages, f"{reference['seconds']:.3f} s" if reference and
                 reference["seconds"] else ""]
        for system in PEERS[1:]:
            value = figures.ratio(found[system])
            cells.append(figures.times(value.median) if value else "")
        rows.append(cells)
        libgc = figures.ratio(found["libgc"])
        if libgc and libgc.median < 1:
            slower.append(f"{words} with huge pages {huge_pages}")
    conclusion = (f"Weir is slower than libgc as it comes in {len(slower)} of {len(rows)} "
                  f"comparisons{': ' + listed(slower) if slower else ''}.")
    head = ["", "huge pages", REFERENCE, *(f"{system} /" for system in PEERS[1:])]
    return Section("All programs", conclusion, key="overview", tables=[table(
        head, rows, "time on Weir; that of the others as a multiple of it")])


def _pauses(f):
    rows, longest = [], {}
    for program in f.programs():
        for system in COLLECTORS:
            found = [r for r in f.of(program=program, system=system, cold=True, huge_pages="off")
                     if r["pause_ns_p50"]]
            if not found:
                continue
            record = max(found, key=lambda r: r["pause_ns_max"])
            kinds = ("minor_pause", "full_pause") if system == REFERENCE else ("pause",)
            for kind in kinds:
                if not record[f"{kind}_ns_p50"]:
                    continue
                values = [record[f"{kind}_ns_{which}"] for which in ("p99", "p50", "max")]
                name = system if kind == "pause" else f"{system}, {kind.partition('_')[0]}"
                rows.append(svg.Row(f"{program}: {name}", figures.COLOURS[system],
                                    Estimate(*values)))
                longest[name] = max(longest.get(name, (0, "")), (values[2], program))
    said = [f"{name} {duration(value)} ({program})" for name, (value, program) in longest.items()]
    made = Section("Pauses", f"The longest ones: {listed(said)}." if said else
                   "Not measured: no record has pauses.", key="pauses")
    made.notes.append("As each collector tells them, from the stop of the program to its resume. The "
                      "bar reaches from the median to the longest, the mark is the 99th "
                      "percentile; of several variants that with the longest.")
    if rows:
        made.figure = svg.intervals(made.conclusion, PAUSE, rows, [])
    return made


def _memory(f):
    rows, above = [], []
    for program in f.programs():
        libgc = f.one(program=program, system="libgc", cold=True, huge_pages="off")
        for system in PEERS:
            same = dict(program=program, cold=True, huge_pages="off")
            record = f.one(system=system, **same) if libgc is None else f.one(
                system=system, variant=libgc["variant"], **same)
            if system == "libgc" or not (libgc and record and libgc["rss_peak_bytes"] and
                                         record["rss_peak_bytes"]):
                continue
            value = record["rss_peak_bytes"] / libgc["rss_peak_bytes"]
            rows.append(svg.Row(f"{program}: {system}", figures.COLOURS[system],
                                Estimate(value, value, value)))
            more = record["rss_peak_bytes"] - libgc["rss_peak_bytes"]
            if system == REFERENCE and value > 1.15 and more > 16 * 2**20:
                above.append(f"{program} {figures.times(value)}")
    conclusion = "Weir needs at most 1.15 times the memory of libgc, or 16 MiB more, in every program."
    if above:
        conclusion = ("Weir needs more than 1.15 times the memory of libgc, and 16 MiB more, in "
                      f"{listed(above)}.")
    made = Section("Memory", conclusion if rows else "Not measured: no record of libgc.",
                   key="memory")
    if rows:
        made.figure = svg.intervals(conclusion, MEMORY, rows, [(1, "as libgc")])
    return made
