"""The page that tools/compare gc makes of its records."""

import shlex

from reporting.gc import across, old_heap, programs, sweep
from reporting.gc.figures import Figures, times, ratio
from reporting.gc.systems import PEERS, REFERENCE
from reporting.page import bullets, code, page, paragraph, table

BUSY = 0.25  # of the cores: then something else is running, too


def sections(document):
    f = Figures(document["records"])
    made = across.sections(f) if document["records"] else []
    for name in f.programs():
        made += sweep.sections(f) if name == "scattered_writes" else [programs.section(f, name)]
    if document.get("old_heap"):
        made.append(old_heap.section(document["old_heap"]))
    return made


def render(document, arguments):
    return page("Weir beside its peers", _introduction(document), sections(document),
                _ending(arguments))


def markdown(document):
    """The overview, for a README."""
    lines = ["| program | huge pages | Weir | " + " | ".join(PEERS[1:]) + " |",
             "| --- " * (3 + len(PEERS[1:])) + "|"]
    for (words, huge_pages), found in across.overview_rows(Figures(document["records"])):
        own = found[REFERENCE]
        cells = [f"`{words}`", huge_pages,
                 f"{own['seconds']:.2f} s" if own and own["seconds"] else "-"]
        for system in PEERS[1:]:
            value = ratio(found[system])
            cells.append(f"{times(value.median)}x" if value else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _introduction(document):
    rounds = sorted({record["rounds"] for record in document["records"]}) or [1]
    parts = [paragraph(
        "The same programs on Weir, on its peers, and with memory that is never looked at again "
        "(limit). Systems take turns, round by round; a ratio is that of two runs of one round, "
        "above 1 if Weir was faster. Figures are medians of "
        f"{rounds[0]} to {rounds[-1]} rounds; bars are the interval that the true median is in "
        "with 95 % (with fewer than six rounds: the extremes). Huge pages are off for all, or on "
        "for all.")]
    if document["load"]["before"] > BUSY * document["cores"]:
        parts.append(paragraph(
            f"The machine was busy: its load was {document['load']['before']} before the run, on "
            f"{document['cores']} cores. Do not rely on these figures.", "warning"))
    if document["size"] != "standard":
        parts.append(paragraph("The programs were tiny: these figures mean nothing.", "warning"))
    if rounds[-1] < 5:
        parts.append(paragraph("Fewer than five rounds: for a first look.", "warning"))
    rows = list(document["machine"].items())
    rows.append(("load before and after", "{before} and {after}".format(**document["load"])))
    rows.append(("time taken", f"{document['seconds']} s"))
    parts.append(table([], rows, words=True))
    if document["notes"]:
        parts.append(bullets(document["notes"]))
    parts.append(paragraph("What it comes to:"))
    return parts


def _ending(arguments):
    return ["<section><h2>To repeat this</h2>", code(shlex.join(["tools/compare", *arguments])),
            paragraph("On a machine with nothing else to do. docs/comparison.md says what each "
                      "program stands for, and how it is measured."), "</section>"]
