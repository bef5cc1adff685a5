"""tools/report barrier: runs bench_barrier, and makes a page of its figures."""

import shlex

from reporting import google_benchmark, measurement
from reporting.barrier import bare, choice, costs
from reporting.barrier.figures import Figures
from reporting.page import bullets, code, page, paragraph, table

FORMAT = {"report": "barrier", "version": 1}

BUSY = 0.25  # of the cores: then something else is running, too

DENSITIES = "(first_write/[^/]+/rand|take/[^/]+)/mib:256/one_in:[0-9]+(/threads:1)?$"
THREADS = "first_write/[^/]+/rand/mib:256/one_in:8/threads:[0-9]+$"
SIZES = "(first_write/[^/]+/rand|take/[^/]+)/mib:({})/one_in:64(/threads:1)?$"
CARD_MARK = "^first_write/(cards|always-dirty)/seq/mib:256/one_in:1/threads:1$"


def passes(quick):
    """Large ranges take long to set up, and are not what own and raw are compared by."""
    small = "^(raw/)?(" + "|".join((DENSITIES, THREADS, SIZES.format("64"))) + ")"
    large = "^(raw/)?" + SIZES.format("1024" if quick else "1024|4096")
    return [google_benchmark.Pass(f"{small}|{CARD_MARK}", 3 if quick else 9),
            google_benchmark.Pass(large, 1 if quick else 3)]


def measure(program, root, build, quick):
    """The document that the page is made of."""
    document, context = measurement.measure(FORMAT, program, passes(quick), root, build, quick)
    return document | {"page_size": int(context["page_size"])}


def sections(document, visit_ns=1000.0):
    f = Figures(document["samples"], document["page_size"])
    return [
        costs.first_write_by_density(f), costs.first_write_by_size(f),
        costs.first_write_by_threads(f), costs.take_by_size(f), costs.take_by_dirty(f),
        choice.cycle(f), choice.cycle_with_visits(f, visit_ns), choice.worth(f),
        choice.against_cards(f), bare.first_writes(f), bare.takes(f)]


def render(document, contents):
    return page("What a write barrier costs", _introduction(document), contents, _ending(document))


def _introduction(document):
    repetitions = max(len(samples) for counters in document["samples"].values()
                      for samples in counters.values())
    parts = [paragraph(
        "A write barrier that is made of page faults costs something when a page is written for "
        "the first time in a cycle, something when the pages written are taken and armed again, "
        "and nothing in between. Each section has its conclusion first. Points are medians of "
        f"{repetitions} repetitions, fewer for ranges above 256 MiB; the bars, and the small "
        "print in tables, are the interval that the true median is in with 95 % (with fewer than "
        "six repetitions: the extremes).")]
    if document["load"]["before"] > BUSY * document["cores"]:
        parts.append(paragraph(
            f"The machine was busy: its load was {document['load']['before']} before the run, on "
            f"{document['cores']} cores. Do not rely on these figures.", "warning"))
    if document["quick"]:
        parts.append(paragraph("This is a quick run (--quick): fewer repetitions, no large ranges.",
                               "warning"))
    rows = list(document["machine"].items())
    rows.append(("load before and after", "{before} and {after}".format(**document["load"])))
    rows.append(("time taken", f"{document['seconds']} s"))
    parts.append(table([], rows, words=True))
    if document["notes"]:
        parts.append(paragraph("What the program said of what it could not measure:"))
        parts.append(bullets(document["notes"]))
    parts.append(paragraph("What it comes to:"))
    return parts


def _ending(document):
    again = ["tools/report", "barrier"] + (["--quick"] if document["quick"] else [])
    return ["<section><h2>To repeat this</h2>", code(shlex.join(again)), paragraph(
        "On a machine with nothing else to do. It builds bench_barrier, runs it, and leaves this "
        "page and its figures in build/report/. docs/measuring.md says what is measured, and how "
        "to read it. A JSON file that was kept becomes a page again by --from."), "</section>"]
