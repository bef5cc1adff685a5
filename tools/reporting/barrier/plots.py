"""What the sections of the report on barriers have in common: axes, plots, tables, sentences."""

from reporting import svg
from reporting.barrier.figures import BARRIERS, BY_MMU
from reporting.crossover import median_at
from reporting.page import Section, table
from reporting.words import duration, listed, number, percent

ONE_IN = 64  # pages is written, where the size varies
DENSITY = svg.Axis("pages written, in % of the range", percent, (0.01, 0.1, 1, 10, 100))


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
    span = f"from {x_axis.say(xs[0])} to {x_axis.say(xs[-1])}"
    if least == most:
        return f"{span} it changes by a factor of {number(growth[most])}"
    return (f"{span} it changes by a factor of {number(growth[least])} ({least}) "
            f"to {number(growth[most])} ({most})")


def best_at(curves, x):
    return min(((name, points[x]) for name, points in curves.items() if x in points),
               key=lambda pair: pair[1].median)


def nearest(points, x):
    return min(points, key=lambda point: max(point / x, x / point))
