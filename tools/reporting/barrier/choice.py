"""Which barrier to take: cycles of first writes, take and visits, and where they cost as much."""

from dataclasses import replace

from reporting import svg
from reporting.barrier.figures import BY_MMU, MIB, Shape
from reporting.barrier.plots import (DENSITY, ONE_IN, best_at, border_marks, by_mmu, complete,
                                     costs, curve_table, draw, missing, nearest, who_when)
from reporting.crossover import crossings, lowest
from reporting.estimates import estimate
from reporting.page import Section, table
from reporting.words import duration, listed, mebibytes, number, percent


def cycle_curves(f, visit_ns):
    return complete({b: f.curve(f.shapes("first_write", b, mib=MIB), f.dirty_percent,
                                lambda s: f.cycle(s, visit_ns)) for b in f.barriers()})


def crossover_table(curves):
    names = list(curves)
    rows = []
    for i, one in enumerate(names):
        for other in names[i + 1:]:
            crossed = crossings(curves[one], curves[other])
            shared = sorted(curves[one].keys() & curves[other].keys())
            if not shared:
                continue
            first, second = ((one, other) if curves[one][shared[0]].median
                             <= curves[other][shared[0]].median else (other, one))
            rows.append([first, second,
                         listed(map(percent, crossed)) if crossed else f"{first} throughout"])
    return table(["cheaper at the left end", "than", "until they cross at"], rows,
                 "Where the medians of two barriers cross", words=True)


def cycle(f):
    key, title = "cycle", "A whole cycle: first writes and take"
    curves = cycle_curves(f, 0)
    mmu = by_mmu(curves)
    reigns = lowest(mmu)
    if not reigns:
        return missing(key, title)
    conclusion = (f"Of the barriers that need no help from the program take "
                  f"{who_when(reigns, percent)}.")
    figure = draw(conclusion, DENSITY, costs(f"elapsed time per cycle, {mebibytes(MIB)}"), curves,
                  marks=border_marks(reigns, curves, percent))
    return Section(title, conclusion, figure, [
        "What the barrier costs, and nothing that is done with its answer: on this account "
        "always-dirty is nearly free, since the next sections send it the bill."], [
        curve_table("written", percent, curves, f"Elapsed time per cycle, {mebibytes(MIB)}"),
        crossover_table(mmu)], key)


def cycle_with_visits(f, visit_ns):
    key, title = "visits", f"A whole cycle, if visiting a page costs {duration(visit_ns)}"
    curves = cycle_curves(f, visit_ns)
    rivals = {b: c for b, c in curves.items() if b in BY_MMU or b == "always-dirty"}
    reigns = lowest(rivals)
    if not reigns or "always-dirty" not in rivals:
        return missing(key, title)
    conclusion = (f"First writes, take, and {duration(visit_ns)} for each page reported: take "
                  f"{who_when(reigns, percent)}.")
    axis = costs(f"elapsed time per cycle, {mebibytes(MIB)}")
    figure = draw(conclusion, DENSITY, axis, curves, marks=border_marks(reigns, rivals, percent))
    return Section(title, conclusion, figure, [
        "A collector scans each page that is reported, and with always-dirty that is all of them. "
        "The cost of a visit is assumed (--visit-ns), not measured: half a microsecond to a "
        "few for a page of small objects, by how much of what they point to is in cache. cards "
        "reports 512 bytes for a write, so its visits are an eighth."], [
        curve_table("written", percent, curves, f"Elapsed time per cycle, {mebibytes(MIB)}"),
        crossover_table(curves)], key)


def worth(f):
    """The cost of a visit at which a barrier breaks even with visiting all pages."""
    key, title = "worth", "When a barrier pays at all: the visit of a page at which it breaks even"
    curves = {}
    for barrier in (b for b in f.barriers() if b in BY_MMU):
        points = curves.setdefault(barrier, {})
        for shape in f.shapes("first_write", barrier, mib=MIB):
            nothing = replace(shape, barrier="always-dirty")
            if nothing not in f.by_shape:
                continue
            spared = zip(f.samples(f.take_of(nothing), "pages_taken"),
                         f.samples(f.take_of(shape), "pages_taken"))
            values = [(cost - base) / (all_pages - pages) for cost, base, (all_pages, pages)
                      in zip(f.cycle(shape), f.cycle(nothing), spared) if all_pages > pages]
            if values:
                points[f.dirty_percent(shape)] = estimate(values)
    curves = complete(curves)
    if not curves:
        return missing(key, title)
    xs = sorted(set().union(*curves.values()))
    bests = [(x, *best_at(curves, x)) for x in sorted({nearest(xs, 1), nearest(xs, 10)})]
    conclusion = "Against visiting all pages a barrier pays from " + listed(
        f"{duration(max(value.median, 0))} per visit where {percent(x)} of the pages are written "
        f"({name})" for x, name, value in bests) + "."
    figure = draw(conclusion, DENSITY, costs("cost of a visit, per page"), curves)
    return Section(title, conclusion, figure, [
        "Below its curve a barrier is not worth having: what it costs per cycle is more than the "
        "visits it spares. Where all pages are written there are none to spare, and no point."],
        [curve_table("written", percent, curves, "Cost of a visit at which it breaks even")], key)


def against_cards(f):
    """Writes to each dirty page, per cycle, at which marking cards has cost as much."""
    key, title = "cards", "Against a compiled barrier: writes to the same page until it is dearer"
    dense = [f.samples(Shape("first_write", b, MIB, one_in=1, order="seq"), "ns_per_dirty")
             for b in ("cards", "always-dirty")]
    if not all(dense):
        return missing(key, title)
    mark = estimate([marked - plain for marked, plain in zip(*dense)])
    if mark.median <= 0:
        return Section(title, "A card mark cost nothing that could be measured here: a compiled "
                       "barrier, where there can be one, is always cheaper.", key=key)
    curves = {}
    for barrier in (b for b in f.barriers() if b in BY_MMU):
        points = curves.setdefault(barrier, {})
        for shape in f.shapes("first_write", barrier, mib=MIB):
            plain, cards = (replace(shape, barrier=b) for b in ("always-dirty", "cards"))
            if plain not in f.by_shape or cards not in f.by_shape:
                continue
            values = [max(1, (cycle - store - take) / (f.writes(shape) * mark.median))
                      for cycle, store, take
                      in zip(f.cycle(shape), f.total(plain), f.total(f.take_of(cards)))]
            if values:
                points[f.dirty_percent(shape)] = estimate(values)
    curves = complete(curves)
    if not curves:
        return missing(key, title)
    at = nearest(set().union(*curves.values()), 100 / ONE_IN)
    name, writes = best_at(curves, at)
    conclusion = (f"A card mark takes {duration(mark.median)}: where {percent(at)} of the pages "
                  f"are written, {name} is cheaper from {number(writes.median)} writes to each of "
                  "them per cycle.")
    figure = draw(conclusion, DENSITY, svg.Axis("writes to a dirty page per cycle", number), curves)
    return Section(title, conclusion, figure, [
        "Above its curve a barrier is cheaper than marking a card after each write. A mark is "
        f"taken at its cheapest, {duration(mark.low)} to {duration(mark.high)}: the difference "
        "between cards and always-dirty for writes one after the other. At 1 the walk over the "
        "cards alone is dearer than the barrier. Visits are left out; cards are "
        "finer than pages, which is in their favour, and a call to mark one from another language "
        "is dearer, which is not."], [
        curve_table("written", percent, curves, "Writes to a dirty page at which it breaks even",
                    number)], key)
