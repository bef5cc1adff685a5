"""The sections of the report on barriers. What they conclude is computed; where figures for a
section are missing it says so."""

from reporting import svg
from reporting.barrier_figures import BARRIERS, BY_MMU, MIB
from reporting.crossover import crossings, lowest, median_at
from reporting.estimates import estimate
from reporting.page import Section, table
from reporting.words import duration, listed, mebibytes, number, percent

ONE_IN = 64  # pages dirty, where the size or the threads vary
DENSITY = svg.Axis("pages written, in % of the range", percent, (0.01, 0.1, 1, 10, 100))
THREADS = svg.Axis("threads that write", number, (1, 2, 4, 8, 16))
SIZE = svg.Axis("size of the range", mebibytes, (64, 256, 1024, 4096))
DIRTY = svg.Axis("pages written", number)


def costs(title):
    return svg.Axis(title, duration)


def draw(conclusion, x_axis, y_axis, curves, **more):
    named = [svg.Curve(b, BARRIERS.index(b), points) for b, points in curves.items()]
    return svg.plot(conclusion, x_axis, y_axis, named, **more)


def estimate_words(value, show=duration):
    return show(value.median), f"{show(value.low)} to {show(value.high)}"


def curve_table(x_title, show_x, curves, caption, show_y=duration):
    xs = sorted(set().union(*curves.values()))
    rows = [[show_x(x)] + [estimate_words(c[x], show_y) if x in c else "" for c in curves.values()]
            for x in xs]
    return table([x_title, *curves], rows, caption)


def complete(curves):
    """Without those that were not measured."""
    return {name: points for name, points in curves.items() if points}


def by_mmu(curves):
    return {name: points for name, points in curves.items() if name in BY_MMU}


def missing(key, title):
    return Section(title, "Not measured in this run.", key=key)


def who_when(reigns, show):
    """'async below 3 %, mprotect above', or 'async throughout'."""
    if len(reigns) == 1:
        return f"{reigns[0].name} throughout ({show(reigns[0].begin)} to {show(reigns[0].end)})"
    words = [f"{reigns[0].name} below {show(reigns[0].end)}"]
    words += [f"{r.name} from {show(r.begin)} to {show(r.end)}" for r in reigns[1:-1]]
    words.append(f"{reigns[-1].name} above {show(reigns[-1].begin)}")
    return listed(words, ", ")


def border_marks(reigns, curves, show):
    return [svg.Mark(after.begin, median_at(curves[before.name], after.begin),
                     f"{before.name} | {after.name}: {show(after.begin)}")
            for before, after in zip(reigns, reigns[1:])]


def growth_words(curves, x_axis):
    """By which factors the curves grow from the left to the right."""
    growth = {}
    for name, points in curves.items():
        xs = sorted(points)
        growth[name] = points[xs[-1]].median / points[xs[0]].median
    least, most = min(growth, key=growth.get), max(growth, key=growth.get)
    xs = sorted(set().union(*curves.values()))
    span = f"from {x_axis.show(xs[0])} to {x_axis.show(xs[-1])}"
    if least == most:
        return f"{span} it changes by a factor of {number(growth[most])}"
    return (f"{span} it changes by a factor of {number(growth[least])} ({least}) "
            f"to {number(growth[most])} ({most})")


def nearest(points, x):
    return min(points, key=lambda point: max(point / x, x / point))


# Each section: figures -> Section.

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
        curve_table("written", percent, cpu, "CPU time of all threads, per first write")], key)


def first_write_by(f, key, title, condition, x_axis, x, y_title, note, **wanted):
    curves = complete({b: f.curve(f.shapes("first_write", b, one_in=ONE_IN, **wanted), x,
                                  lambda s: f.samples(s, "ns_per_dirty")) for b in f.barriers()})
    reigns = lowest(by_mmu(curves))
    if not reigns or len(set().union(*by_mmu(curves).values())) < 2:
        return missing(key, title)
    conclusion = (f"{condition}: {growth_words(by_mmu(curves), x_axis)}; the cheapest is "
                  f"{who_when(reigns, x_axis.show)}.")
    figure = draw(conclusion, x_axis, costs(y_title), curves,
                  marks=border_marks(reigns, curves, x_axis.show))
    return Section(title, conclusion, figure, [note],
                   [curve_table(x_axis.title, x_axis.show, curves, y_title.capitalize())], key)


def first_write_by_size(f):
    return first_write_by(
        f, "size", "The first write to a page, by the size of the range",
        "A first write and the size of the range", SIZE, lambda s: s.mib,
        "elapsed time per first write", f"One page of {ONE_IN} is written, by one thread, in random "
        "order: larger ranges cost cache and TLB misses, with every barrier.", mib=any)


def first_write_by_threads(f):
    return first_write_by(
        f, "threads", "The first write to a page, by how many threads write",
        "A first write and the threads that do it", THREADS, lambda s: s.threads,
        "core time per first write", f"{mebibytes(MIB)}, one page of {ONE_IN} is written, each by "
        "one thread. Core time is elapsed time multiplied by the cores that the threads can keep "
        "busy: a level curve is perfect scaling up to the cores of the machine.",
        mib=MIB, threads=any)


def take_by(f, key, title, x_axis, x, note, **wanted):
    curves = complete({b: f.curve(f.shapes("take", b, **wanted), x, f.total)
                       for b in f.barriers()})
    reigns = lowest(by_mmu(curves))
    if not reigns or len(set().union(*by_mmu(curves).values())) < 2:
        return missing(key, title)
    last = max(curves[reigns[-1].name])
    conclusion = (f"The cheapest take: {who_when(reigns, x_axis.show)}; at {x_axis.show(last)} it "
                  f"takes {duration(curves[reigns[-1].name][last].median)}. "
                  f"{growth_words(by_mmu(curves), x_axis).capitalize()}.")
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
            nothing = next(iter(f.shapes("first_write", "always-dirty", mib=MIB,
                                         one_in=shape.one_in)), None)
            if nothing is None:
                continue
            spared = zip(f.samples(f.take_of(nothing), "pages_taken"),
                         f.samples(f.take_of(shape), "pages_taken"))
            values = [(cost - base) / (all_pages - pages) for cost, base, (all_pages, pages)
                      in zip(f.cycle(shape), f.cycle(nothing), spared) if all_pages > pages]
            if values:
                points[f.dirty_percent(shape)] = estimate(values)
    curves = complete(curves)
    reigns = lowest(curves)
    if not reigns:
        return missing(key, title)
    best = curves[reigns[0].name]
    at = [nearest(best, x) for x in (1, 10) if x <= 2 * max(best)]
    needs = listed(f"more than {duration(max(best[x].median, 0))} where {percent(x)} are written"
                   for x in sorted(set(at)))
    conclusion = (f"{reigns[0].name} beats visiting all pages if a visit costs {needs}; its best "
                  f"rival needs {rival_words(curves, reigns[0].name, at[-1])}.")
    figure = draw(conclusion, DENSITY, costs("cost of a visit, per page"), curves)
    return Section(title, conclusion, figure, [
        "Below its curve a barrier is not worth having: what it costs per cycle is more than the "
        "visits it spares. Where all pages are written there are none to spare, and no point."],
        [curve_table("written", percent, curves, "Cost of a visit at which it breaks even")], key)


def rival_words(curves, name, x):
    rivals = [(points[x].median, b) for b, points in curves.items() if b != name and x in points]
    if not rivals:
        return "nothing, for there is none here"
    cost, rival = min(rivals)
    return f"{duration(max(cost, 0))} there ({rival})"


def against_cards(f):
    """Writes to each dirty page, per cycle, at which marking cards has cost as much."""
    key, title = "cards", "Against a compiled barrier: writes to the same page until it is dearer"
    dense = {b: next(iter(f.shapes("first_write", b, mib=MIB, one_in=1, order="seq")), None)
             for b in ("cards", "always-dirty")}
    if None in dense.values():
        return missing(key, title)
    mark = estimate([marked - plain for marked, plain in
                     zip(*(f.samples(dense[b], "ns_per_dirty") for b in dense))])
    if mark.median <= 0:
        return Section(title, "A card mark cost nothing that could be measured here: a compiled "
                       "barrier, where there can be one, is always cheaper.", key=key)
    curves = {}
    for barrier in (b for b in f.barriers() if b in BY_MMU):
        points = curves.setdefault(barrier, {})
        for shape in f.shapes("first_write", barrier, mib=MIB):
            plain, cards = (next(iter(f.shapes("first_write", b, mib=MIB, one_in=shape.one_in)), None)
                            for b in ("always-dirty", "cards"))
            if plain is None or cards is None:
                continue
            values = [(cycle - store - take) / (f.writes(shape) * mark.median) for cycle, store, take
                      in zip(f.cycle(shape), f.total(plain), f.total(f.take_of(cards)))]
            if values and min(values) > 0:
                points[f.dirty_percent(shape)] = estimate(values)
    curves = complete(curves)
    reigns = lowest(curves)
    if not reigns:
        return missing(key, title)
    best = curves[reigns[-1].name]
    at = nearest(best, 100 / ONE_IN)
    conclusion = (f"A card mark takes {duration(mark.median)}: where {percent(at)} of the pages are "
                  f"written, {reigns[-1].name} is cheaper from {number(best[at].median)} writes to "
                  f"each of them per cycle.")
    figure = draw(conclusion, DENSITY, svg.Axis("writes to a dirty page per cycle", number), curves)
    return Section(title, conclusion, figure, [
        "Above its curve a barrier is cheaper than marking a card after each write. A mark is taken "
        f"at its cheapest, {duration(mark.low)} to {duration(mark.high)}: the difference between "
        "cards and always-dirty for writes one after the other. Visits are left out; cards are "
        "finer than pages, which is in their favour, and a call to mark one from another language "
        "is dearer, which is not."], [
        curve_table("written", percent, curves, "Writes to a dirty page at which it breaks even",
                    number)], key)


def bare(f):
    """Own against raw: first writes and takes."""
    return [_ratios(f, "raw-first-write", "first_write", "First writes",
                    "First writes against bare system calls"),
            _ratios(f, "raw-take", "take", "Takes", "Taking against bare system calls")]


BOUND = 1.25


def _ratios(f, key, family, noun, title):
    rows, drawn, outcomes = [], [], []
    for barrier in f.barriers():
        for raw in f.shapes(family, barrier, mib=any, threads=any, raw=True):
            own = next(iter(f.shapes(family, barrier, mib=raw.mib, one_in=raw.one_in,
                                     threads=raw.threads)), None)
            if own is None:
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
    axis = svg.Axis("elapsed time, Weir's over that of bare system calls", lambda v: f"{v:.2g}",
                    (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 10, 20, 50, 100))
    figure = svg.intervals(conclusion, axis, drawn, [(1, ""), (BOUND, "1.25")])
    return Section(title, conclusion, figure, [
        f"{mebibytes(MIB)}, one thread; the table has other sizes, and numbers of threads, too. Each "
        "repetition gives one ratio, of two measurements a second or so apart; shown are their "
        "median and its interval."], [
        table(["barrier", "what", "Weir", "bare", "ratio", "of CPU time", f"{BOUND}"], rows,
              "Elapsed time per page written, and ratios")], key)


def _ratio_words(ratio):
    return f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"


def _verdict(ratio):
    if ratio.high <= BOUND:
        return "within"
    return "above" if ratio.low > BOUND else "open"


def all_sections(f, visit_ns):
    return [first_write_by_density(f), first_write_by_size(f), first_write_by_threads(f),
            take_by_size(f), take_by_dirty(f), cycle(f), cycle_with_visits(f, visit_ns), worth(f),
            against_cards(f), *bare(f)]
