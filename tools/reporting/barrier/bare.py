"""Weir's barriers against the same protocols in bare system calls."""

from dataclasses import replace

from reporting import svg
from reporting.barrier.figures import BARRIERS, MIB
from reporting.barrier.plots import missing
from reporting.estimates import estimate
from reporting.page import Section, table
from reporting.words import duration, mebibytes, percent

BOUND = 1.25


def first_writes(f):
    return _ratios(f, "raw-first-write", "first_write", "First writes",
                   "First writes against bare system calls")


def takes(f):
    return _ratios(f, "raw-take", "take", "Takes", "Taking against bare system calls")


def _ratios(f, key, family, noun, title):
    rows, drawn, outcomes = [], [], []
    for barrier in f.barriers():
        for raw in f.shapes(family, barrier, mib=any, threads=any, raw=True):
            own = replace(raw, raw=False)
            if own not in f.by_shape:
                continue
            ratio, cpu = (estimate([a / b for a, b in zip(f.samples(own, c), f.samples(raw, c))])
                          for c in ("ns_per_dirty", "cpu_ns_per_dirty"))
            what = f"{mebibytes(raw.mib)}, {percent(f.dirty_percent(raw))}"
            if raw.threads > 1:
                what += f", {raw.threads} threads"
            outcomes.append((ratio, f"{barrier}, {what}"))
            rows.append([barrier, what, duration(estimate(f.samples(own, "ns_per_dirty")).median),
                         duration(estimate(f.samples(raw, "ns_per_dirty")).median),
                         _ratio_words(ratio), _ratio_words(cpu), _verdict(ratio)])
            if raw.mib == MIB and raw.threads == 1:
                drawn.append(svg.Row(f"{barrier}, {percent(f.dirty_percent(raw))}",
                                     BARRIERS.index(barrier), ratio))
    if not drawn:
        return missing(key, title)
    worst, where = max(outcomes, key=lambda outcome: outcome[0].median)
    verdicts = [_verdict(ratio) for ratio, _ in outcomes]
    conclusion = (f"{noun}: {verdicts.count('within')} of {len(verdicts)} comparisons are within "
                  f"{BOUND} times the bare system calls, {verdicts.count('above')} above, and "
                  f"{verdicts.count('open')} open, since their interval has both; the highest "
                  f"median is {worst.median:.2f} ({worst.low:.2f} to {worst.high:.2f}): {where}.")
    axis = svg.Axis("elapsed time, Weir's over that of bare system calls", lambda v: f"{v:.3g}",
                    (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, 100))
    figure = svg.intervals(conclusion, axis, drawn, [(1, ""), (BOUND, f"{BOUND}")])
    return Section(title, conclusion, figure, [
        f"{mebibytes(MIB)}, one thread; the table has other sizes, and numbers of threads, too. "
        "Each repetition gives one ratio, of two measurements a second or so apart; shown are "
        "their median and its interval."], [
        table(["barrier", "what", "Weir", "bare", "ratio", "of CPU time", f"bound {BOUND}"], rows,
              "Elapsed time per page written, and ratios")], key)


def _ratio_words(ratio):
    return f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"


def _verdict(ratio):
    if ratio.high <= BOUND:
        return "within"
    return "above" if ratio.low > BOUND else "open"
