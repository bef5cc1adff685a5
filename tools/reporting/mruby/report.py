"""The page, and the lines on the terminal, of tools/compare mruby."""

import shlex

from reporting.mruby import plan, records
from reporting.page import Section, bullets, code, page, paragraph, table

BUSY = 0.25  # of the cores: then something else is running, too
HEAD = ("", "time", "/ weir", "CPU", "/ weir", "in collections", "pause p50", "p99", "longest minor",
        "longest full", "longest gap", "minor", "full", "peak RSS")


def row(r):
    def ms(key, unit=1e6):
        return "" if r[key] is None else f"{r[key] / unit:.2f} ms"

    def whole(key):
        return "" if r[key] is None else f"{r[key]:.0f}"

    def times(key):
        return f"{r[key]:.2f}" if key in r else ""

    gap = f"{r['longest_gap'] * 1e3:.2f} ms" if r["longest_gap"] else ""
    return (r["system"], f"{r['seconds']:.3f} s", times("ratio_to_weir"),
            f"{r['cpu_seconds']:.3f} s", times("cpu_ratio_to_weir"),
            ms("gc_time_ns"), ms("gc_pause_ns_p50"), ms("gc_pause_ns_p99"),
            ms("gc_minor_pause_ns_max"), ms("gc_full_pause_ns_max"), gap,
            whole("gc_minor_gc_count"), whole("gc_major_gc_count"),
            f"{r['peak_rss_kib'] / 1024:.0f} MiB")


def text(found):
    rows = [HEAD] + [row(r) for r in found]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(HEAD))]
    lines = [found[0]["program"]]
    for cells in rows:
        lines.append("  " + "  ".join([cells[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]))
    return "\n".join(lines) + "\n"


def conclusion(verdict):
    words = f"{verdict['speed']:.2f} times as fast as the faster of mruby's modes, " \
            f"{verdict['memory']:.2f} times the memory"
    return words + (f", the longest gap {1 / verdict['gap']:.2f} times" if verdict["gap"] else "")


def overall(found):
    speed = records.mean(found, "speed")
    if speed is None:
        return "Weir and mruby were not both measured."
    return (f"Over the programs that allocate, mruby on Weir is {speed:.2f} times as fast as the "
            "faster of mruby's two modes (geometric mean); by CPU time of all threads "
            f"{records.mean(found, 'cpu'):.2f} times.")


def render(document, arguments):
    found = records.verdicts(document["records"])
    judged = {verdict["program"]: verdict for verdict in found}
    sections = []
    for name in dict.fromkeys(r["program"] for r in document["records"]):
        of = [r for r in document["records"] if r["program"] == name]
        words = conclusion(judged[name]) if name in judged else "not compared"
        sections.append(Section(f"{name}: {plan.PROGRAMS[name].stands_for}", words, key=name,
                                tables=[table(HEAD, [row(r) for r in of])]))
    introduction = [paragraph(
        "The same Ruby programs on mruby as Debian ships it, generational and incremental, and on "
        "the same virtual machine with Weir as its collector. They take turns; figures are medians "
        "over the rounds. A gap is the longest time between two looks at the clock in which the "
        "program does the same little work each time.")]
    if document["load"]["before"] > BUSY * document["cores"]:
        introduction.append(paragraph("The machine was busy: do not rely on these figures.",
                                      "warning"))
    if document["size"] != "standard":
        introduction.append(paragraph("The programs were tiny: these figures mean nothing.",
                                      "warning"))
    introduction.append(table([], list(document["machine"].items()), words=True))
    introduction.append(bullets(document["notes"]) if document["notes"] else "")
    introduction.append(paragraph(overall(found), "conclusion"))
    ending = ["<section><h2>To repeat this</h2>", code(shlex.join(["tools/compare", *arguments])),
              "</section>"]
    return page("mruby, its own collector and Weir", introduction, sections, ending)
