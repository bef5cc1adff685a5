"""What first writes and takes cost, by all that they depend on."""

from reporting import svg
from reporting.barrier.figures import MIB
from reporting.barrier.plots import (DENSITY, ONE_IN, border_marks, by_mmu, complete, costs,
                                     curve_table, draw, growth_words, missing, nearest, who_when)
from reporting.crossover import lowest
from reporting.page import Section
from reporting.words import count, counted, duration, mebibytes, number, percent

ONE_IN_BY_THREADS = 8  # enough of them for sixteen threads to be under way most of the time
CPU_TITLE = "CPU time of all threads, per first write"
THREADS = svg.Axis("threads that write", number, (1, 2, 4, 8, 16), counted("thread"))
SIZE = svg.Axis("size of the range", mebibytes, (64, 256, 1024, 4096))
DIRTY = svg.Axis("pages written", count, (10, 100, 1000, 10000), counted("page"))


def first_write_by_density(f):
    key, title = "density", "The first write to a page, by how many pages are written"
    shapes = {b: f.shapes("first_write", b, mib=MIB) for b in f.barriers()}
    curves = complete({b: f.curve(s, f.dirty_percent, lambda s: f.samples(s, "ns_per_dirty"))
                       for b, s in shapes.items()})
    reigns = lowest(by_mmu(curves))
    if not reigns:
        return missing(key, title)
    best = curves[reigns[0].name]
    at = nearest(best, 100 / ONE_IN)
    dearest = max((points[at].median, b) for b, points in by_mmu(curves).items() if at in points)
    conclusion = (f"The cheapest first write that needs no help from the program: "
                  f"{who_when(reigns, percent)}. Where {percent(at)} of the pages are written it "
                  f"takes {duration(best[at].median)} with {reigns[0].name} and "
                  f"{duration(dearest[0])} with {dearest[1]}.")
    y = costs("elapsed time per first write")
    cpu = complete({b: f.curve(s, f.dirty_percent, lambda s: f.samples(s, "cpu_ns_per_dirty"))
                    for b, s in shapes.items()})
    return Section(title, conclusion, draw(conclusion, DENSITY, y, curves,
                                           marks=border_marks(reigns, curves, percent)), [
        f"{mebibytes(MIB)}, one thread, pages in random order, one byte each. always-dirty is the "
        "store alone: it traps nothing. cards is the store and a card mark."], [
        curve_table("written", percent, curves, "Elapsed time per first write"),
        curve_table("written", percent, cpu, CPU_TITLE)], key)


def first_write_by(f, key, title, condition, x_axis, x, y_title, note, **wanted):
    curves, cpu = (complete({b: f.curve(f.shapes("first_write", b, **wanted), x,
                                        lambda s: f.samples(s, counter)) for b in f.barriers()})
                   for counter in ("ns_per_dirty", "cpu_ns_per_dirty"))
    reigns = lowest(by_mmu(curves))
    if not reigns or len(set().union(*by_mmu(curves).values())) < 2:
        return missing(key, title)
    conclusion = (f"{condition}: {growth_words(by_mmu(curves), x_axis)}; the cheapest is "
                  f"{who_when(reigns, x_axis.say)}.")
    figure = draw(conclusion, x_axis, costs(y_title), curves,
                  marks=border_marks(reigns, curves, x_axis.show))
    return Section(title, conclusion, figure, [note],
                   [curve_table(x_axis.title, x_axis.show, curves, y_title.capitalize()),
                    curve_table(x_axis.title, x_axis.show, cpu, CPU_TITLE)], key)


def first_write_by_size(f):
    return first_write_by(
        f, "size", "The first write to a page, by the size of the range",
        "A first write and the size of the range", SIZE, lambda s: s.mib,
        "elapsed time per first write", f"One page of {ONE_IN} is written, by one thread, in "
        "random order: larger ranges cost cache and TLB misses, with every barrier.", mib=any,
        one_in=ONE_IN)


def first_write_by_threads(f):
    return first_write_by(
        f, "threads", "The first write to a page, by how many threads write",
        "A first write and the threads that do it", THREADS, lambda s: s.threads,
        "core time per first write", f"{mebibytes(MIB)}, one page of {ONE_IN_BY_THREADS} is "
        "written, each by one thread. Core time is elapsed time multiplied by the cores that the "
        "threads can keep busy: a level curve is perfect scaling up to the cores of the machine.",
        mib=MIB, one_in=ONE_IN_BY_THREADS, threads=any)


def take_by(f, key, title, x_axis, x, note, **wanted):
    curves = complete({b: f.curve(f.shapes("take", b, **wanted), x, f.total)
                       for b in f.barriers()})
    reigns = lowest(by_mmu(curves))
    if not reigns or len(set().union(*by_mmu(curves).values())) < 2:
        return missing(key, title)
    last = max(curves[reigns[-1].name])
    conclusion = (f"The cheapest take: {who_when(reigns, x_axis.say)}; at {x_axis.say(last)} it "
                  f"takes {duration(curves[reigns[-1].name][last].median)}. "
                  f"F{growth_words(by_mmu(curves), x_axis)[1:]}.")
    figure = draw(conclusion, x_axis, costs("elapsed time of a take"), curves,
                  marks=border_marks(reigns, curves, x_axis.show))
    return Section(title, conclusion, figure, [note],
                   [curve_table(x_axis.title, x_axis.show, curves, "Elapsed time of a take")], key)


def take_by_size(f):
    return take_by(f, "take-size", "Taking and re-arming, by the size of the range", SIZE,
                   lambda s: s.mib, f"One page of {ONE_IN} was written. All of the range is armed.",
                   mib=any, one_in=ONE_IN)


def take_by_dirty(f):
    return take_by(f, "take-dirty", "Taking and re-arming, by how many pages were written", DIRTY,
                   f.writes, f"{mebibytes(MIB)}, all of it armed: what is left of a curve as it "
                   "levels off to the left is the walk over the range.", mib=MIB)
