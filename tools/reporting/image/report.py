"""tools/report image: runs bench_image, and makes a page of its figures."""

import shlex

from reporting import google_benchmark, measurement, svg
from reporting.image.figures import CODECS, DELIVERIES, ORDERS, WAYS, Figures
from reporting.page import Section, bullets, code, page, paragraph, table
from reporting.words import duration, mebibytes, number, percent

FORMAT = {"report": "image", "version": 1}

MIB = svg.Axis("size of the image", mebibytes, (64, 256, 1024, 4096))
TOUCHED = svg.Axis("pages touched, in %", percent, (0.1, 1, 10, 100))
THREADS = svg.Axis("threads that run into its pages", number, (1, 2, 4))
RATE = svg.Axis("MiB of memory in a second", number)


def milliseconds(value):
    return duration(value * 1e6)


def passes(quick):
    size = "256" if quick else "1024"
    touched = (f"^open_touch/((lazy|background|eager|eager-parallel)/zlib|lazy/(zstd|none)|mmap/none)"
               f"/mib:{size}/touched_permille:[1-9][0-9]*(/order:[a-z]+)?$")
    opened = f"^open_touch/lazy/zlib/mib:(64|256|1024{'' if quick else '|4096'})/touched_permille:0$"
    filled = "^fill/.*/(cluster_kib:64/|threads:1$)|^save/"
    return [google_benchmark.Pass(f"{touched}|{filled}", 1 if quick else 5),
            google_benchmark.Pass(opened, 1 if quick else 3)]


def measure(program, root, build, quick):
    return measurement.measure(FORMAT, program, passes(quick), root, build, quick)[0]


def sections(document):
    f = Figures(document["samples"])
    return [_opening(f), _touching(f), _orders(f), _codecs(f), _filling(f), _saving(f)]


def _section(key, title, points, make):
    """`make` is called if there is anything to show."""
    if not points:
        return Section(title, "Not measured in this run.", key=key)
    section = make()
    section.title, section.key = title, key
    return section


def _cell(estimate, show):
    if estimate is None:
        return ""
    return show(estimate.median), f"{show(estimate.low)} to {show(estimate.high)}"


def _curves(points):
    return [svg.Curve(name, i, curve) for i, (name, curve) in enumerate(points.items())]


def _table(points, x_title, show_x, show, caption=""):
    xs = sorted(set().union(*points.values()))
    return table([x_title, *points], [[show_x(x)] + [_cell(c.get(x), show) for c in points.values()]
                                      for x in xs], caption)


def _found(pairs):
    return {x: estimate for x, estimate in pairs if estimate is not None}


def _opening(f):
    sizes = sorted({o.mib for o in f.opened if o.how == "lazy" and o.permille == 0})
    points = {name: _found((mib, f.open(counter, "lazy", "zlib", mib, 0)) for mib in sizes)
              for name, counter in (("open", "open_ms"), ("and read a page", "ms"))}

    def make():
        longest = max(e.median for e in points["open"].values())
        words = (f"Opening an image takes {milliseconds(longest)} at most, from "
                 f"{mebibytes(sizes[0])} to {mebibytes(sizes[-1])}.")
        return Section("", words, svg.plot(words, MIB, svg.Axis("time", milliseconds),
                                           _curves(points), bound=(5, "5 ms")),
                       tables=[_table(points, "image", mebibytes, milliseconds)])
    return _section("open", "Opening", points["open"], make)


def _touching(f):
    mib = f.largest()
    permilles = (1, 10, 100, 1000)
    points = {how: _found((p / 10, f.open("ms", how, "none" if how == "mmap" else "zlib", mib, p))
                          for p in permilles) for how in WAYS}

    def make():
        lazy, eager = points["lazy"].get(0.1), points["eager"].get(0.1)
        words = f"Touching pages of {mebibytes(mib)} at random"
        if lazy and eager:
            words += (f": 0.1 % of them in {milliseconds(lazy.median)}, 1/"
                      f"{number(eager.median / lazy.median)} of inflating all first")
        background, parallel = points["background"].get(100), points["eager-parallel"].get(100)
        if background and parallel:
            words += (f"; all of them, filled ahead, in {number(background.median / parallel.median)}"
                      f" of the time that inflating all at once on all cores takes")
        words += "."
        return Section("", words, svg.plot(words, TOUCHED, svg.Axis("time from before the open",
                                                                    milliseconds), _curves(points)),
                       tables=[_table(points, "touched", percent, milliseconds)])
    return _section("touch", "Touching some of it", points["lazy"], make)


def _orders(f):
    mib = f.largest()
    demanded = {order: _found((p / 10, f.open("demanded_clusters", "lazy", "zlib", mib, p, order))
                              for p in (1, 10, 100, 1000)) for order in ORDERS}
    times = {order: _found((p / 10, f.open("ms", "lazy", "zlib", mib, p, order))
                           for p in (1, 10, 100, 1000)) for order in ORDERS}

    def make():
        fewer = min(demanded["random"][x].median / max(1, demanded["recorded"][x].median)
                    for x in demanded["recorded"] if x in demanded["random"])
        words = (f"A hot list takes at least {number(fewer)} times fewer clusters out of the way of "
                 "who reads the same pages again.")
        return Section("", words, svg.plot(words, TOUCHED, svg.Axis("time from before the open",
                                                                    milliseconds), _curves(times)),
                       tables=[_table(times, "touched", percent, milliseconds, "Time"),
                               _table(demanded, "touched", percent, number,
                                      "Clusters that the reader ran into")])
    return _section("orders", "In which order", demanded["recorded"], make)


def _codecs(f):
    mib = f.largest()
    points = {codec: _found((p / 10, f.open("ms", "lazy", codec, mib, p))
                            for p in (1, 10, 100, 1000)) for codec in CODECS}

    def make():
        words = "; ".join(f"{codec}: {milliseconds(c[100].median)}"
                          for codec, c in points.items() if 100 in c)
        return Section("", f"Touching all of {mebibytes(mib)} takes, by codec: {words}.",
                       tables=[_table(points, "touched", percent, milliseconds)])
    return _section("codecs", "Codecs", points["zlib"], make)


def _filling(f):
    def each(estimates):
        named = {f"{delivery}, {codec}": _found(estimates(delivery, codec))
                 for delivery in DELIVERIES for codec in CODECS}
        return {name: found for name, found in named.items() if found}

    points = each(lambda delivery, codec: ((n, f.fill(delivery, codec, 64, n)) for n in (1, 2, 4)))
    sizes = each(lambda delivery, codec: ((kib, f.fill(delivery, codec, kib, 1)) for kib in (4, 16, 64)))

    def make():
        speedups = [c[4].median / c[1].median for c in points.values() if 1 in c and 4 in c]
        words = (f"By codec and delivery, four threads that run into the pages have them {number(min(speedups))} to "
                 f"{number(max(speedups))} times as fast as one." if speedups else "By threads.")
        return Section("", words, svg.plot(words, THREADS, RATE, _curves(points)),
                       tables=[_table(points, "threads", number, number,
                                      "MiB in a second, with clusters of 64 KiB"),
                               _table(sizes, "KiB in a cluster", number, number,
                                      "MiB in a second, by one thread")])
    return _section("fill", "Filling", points, make)


def _saving(f):
    points = {codec: _found((n, f.save(codec, n)) for n in (1, 2)) for codec in CODECS}

    def make():
        words = "; ".join(f"{codec}: {number(max(e.median for e in c.values()))} MiB in a second"
                          for codec, c in points.items() if c)
        return Section("", f"By codec: {words}.",
                       tables=[_table(points, "threads", number, number, "MiB in a second")])
    return _section("save", "Saving", points["zlib"], make)


def render(document, contents):
    load = document["load"]
    introduction = [
        paragraph("A heap of tables, strings and chained entries is saved, and opened again: what "
                  "that takes, and what touching its pages does, beside inflating all of it first "
                  "and beside a file of the same memory that is mapped. Medians of "
                  f"{1 if document['quick'] else 5} processes of three rounds each."),
        bullets([f"{key}: {value}" for key, value in document["machine"].items()] +
                [f"load before and after: {load['before']}, {load['after']}"] + document["notes"])]
    if max(load.values()) > document["cores"]:
        introduction.append(paragraph("Something else was running: these figures are too high, and "
                                      "those of several threads mean little.", "warning"))
    again = ["tools/report", "image"] + (["--quick"] if document["quick"] else [])
    ending = ["<section><h2>To repeat this</h2>", code(shlex.join(again)), paragraph(
        "On a machine with nothing else to do. docs/image.md says how images work."), "</section>"]
    return page("What heap images cost", introduction, contents, ending)
