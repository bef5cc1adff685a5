"""Plots as SVG text: curves on logarithmic axes, and intervals beside a bound. Colours are CSS
classes, so that the page decides on them (STYLE), for light and for dark."""

import math
from dataclasses import dataclass, field
from html import escape
from typing import Callable

from reporting.estimates import Estimate

WIDTH = 960
HEIGHT = 440
LEFT, RIGHT, TOP, BOTTOM = 84, 150, 10, 56
LINE = 17  # height of a line of text
LETTER = 6.9  # width of a letter, about

STYLE = """
.plot { --ink: #1c1c1c; --faint: #6a6a6a; --grid: #e3e3e3; --paper: #ffffff;
  --c0: #1763b0; --c1: #b85300; --c2: #8336a8; --c3: #c0222c; --c4: #7a5c00; --c5: #0f7a48;
  --c6: #666666; --c7: #00818a; --c8: #a8327a; --c9: #5a6b00; --c10: #4b4fc4; --c11: #8a4b2a;
  font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .plot { --ink: #e8e8e8; --faint: #a5a5a5; --grid: #3a3d42;
  --paper: #1b1d21; --c0: #6fb4f5; --c1: #ffa04d; --c2: #d296f2; --c3: #ff8080; --c4: #d9bb5e;
  --c5: #5fd399; --c6: #b0b0b0; --c7: #4fd0d8; --c8: #f28cc8; --c9: #b9cc4a; --c10: #a3a7ff;
  --c11: #d99a75; } }
.plot text { fill: var(--ink); }
.plot .faint { fill: var(--faint); }
.plot .grid { stroke: var(--grid); stroke-width: 1; }
.plot .axis { stroke: var(--faint); stroke-width: 1; fill: none; }
.plot .bound { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 6 4; }
.plot .border { stroke: var(--faint); stroke-width: 1.2; stroke-dasharray: 2 4; }
.plot .ring { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.plot .curve { fill: none; stroke: var(--c); stroke-width: 2; }
.plot .leader, .plot .whisker { stroke: var(--c); stroke-width: 1.2; }
.plot .leader { opacity: 0.45; }
.plot .marker { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
.plot .name { fill: var(--c); font-weight: 600; }
""" + "".join(f".plot .c{i} {{ --c: var(--c{i}); }}\n" for i in range(12))

# Around (0, 0); told apart without colour, too.
MARKERS = ["M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", "M-4.2 -4.2h8.4v8.4h-8.4z",
           "M0 -5.6L5.2 4h-10.4z", "M0 -6L6 0L0 6L-6 0z", "M0 5.6L5.2 -4h-10.4z",
           "M-2 -5.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5z", "M-5.5 -2.2h11v4.4h-11z",
           "M-2.2 -5.5h4.4v11h-4.4z", "M-5.6 0L4 -5.2v10.4z", "M5.6 0L-4 5.2v-10.4z",
           "M-5 -5L5 5V-5L-5 5z", "M-5 -5H5L-5 5H5z"]


@dataclass(frozen=True)
class Axis:
    title: str  # with the unit
    show: Callable[[float], str]
    ticks: tuple = ()  # where; else round numbers
    say: Callable[[float], str] = None  # as `show`, in a sentence

    def __post_init__(self):
        object.__setattr__(self, "say", self.say or self.show)


@dataclass(frozen=True)
class Curve:
    name: str
    colour: int  # also the marker
    points: dict  # {x: Estimate}


@dataclass(frozen=True)
class Mark:
    """A point that matters, with a line down to the x axis and words above the plot."""
    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Row:
    name: str
    colour: int
    value: Estimate


@dataclass
class _Scale:
    """Values to coordinates, logarithmically."""
    low: float
    high: float
    first: float
    last: float
    ticks: list = field(default_factory=list)

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)


def _round_numbers(low, high):
    """1, 10, 100 ..., and what is between where these would be few."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    tenths = [i / 10 for i in range(10, 100)]
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tenths):
        ticks = [d * 10.0**k for k in decades for d in digits]
        inside = [t for t in ticks if low * 0.999 <= t <= high * 1.001]
        if len(inside) >= 4:
            break
    return inside


def _scale(axis, values, first, last, margin):
    low, high = min(values), max(values)
    pad = max((high / low) ** margin, 1.02)
    low, high = low / pad, high * pad
    ticks = [t for t in axis.ticks or _round_numbers(low, high) if low <= t <= high]
    return _Scale(low, high, first, last, ticks)


def plot(summary, x_axis, y_axis, curves, marks=(), bound=None):
    """`bound`: a horizontal (y, words)."""
    curves = [Curve(c.name, c.colour, _positive(c.points)) for c in curves]
    curves = [curve for curve in curves if curve.points]
    top = TOP + LINE * len(marks)
    height = HEIGHT + top - TOP
    bottom = height - BOTTOM
    ys = [v for c in curves for e in c.points.values() for v in (e.low, e.high)]
    if bound:
        ys.append(bound[0])
    x = _scale(x_axis, [v for c in curves for v in c.points], LEFT, WIDTH - RIGHT, 0.02)
    y = _scale(y_axis, ys, bottom, top, 0.04)
    parts = [_grid(x, y, x_axis, y_axis)]
    if bound:
        parts.append(_bound_line(y.at(bound[0]), bound[1]))
    for curve in curves:
        parts.append(_curve(curve, x, y, x_axis, y_axis))
    parts.append(_names(curves, y, top, bottom))
    for row, mark in enumerate(marks):  # words have a row each above the plot
        parts.append(_mark(mark, row, x, y, bottom))
    return _svg(summary, height, parts)


def intervals(summary, axis, rows, lines):
    """A row for each name with its interval; `lines` are (value, words)."""
    left, top = 250, TOP + LINE
    step = LINE + 4
    bottom = top + step * len(rows) + 6
    values = [v for r in rows for v in (r.value.low, r.value.high)] + [v for v, _ in lines]
    x = _scale(axis, values, left, WIDTH - 30, 0.05)
    parts = []
    for tick in x.ticks:
        parts.append(_line("grid", x.at(tick), top, x.at(tick), bottom))
        parts.append(_text(x.at(tick), bottom + LINE, axis.show(tick), "middle"))
    parts.append(_text((left + WIDTH - 30) / 2, bottom + 2.4 * LINE, axis.title, "middle"))
    for value, words in lines:
        parts.append(_line("bound", x.at(value), top, x.at(value), bottom))
        parts.append(_text(x.at(value), top - 5, words, "middle", "faint"))
    for i, row in enumerate(rows):
        at = top + step * (i + 0.5) + 3
        value = row.value
        words = _with_interval(row.name, value, axis)
        parts.append(f'<g class="c{row.colour}">' + _text(left - 12, at + 4, row.name, "end") +
                     _line("whisker", x.at(value.low), at, x.at(value.high), at) +
                     _marker(row.colour, x.at(value.median), at, words) + "</g>")
    return _svg(summary, bottom + 3 * LINE, parts)


def standalone(svg):
    """The same as a file of its own."""
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{STYLE}.plot {{ background: var(--paper); }}</style>", 1)


def _positive(points):
    return {x: e for x, e in sorted(points.items()) if x > 0 and e.low > 0}


def _svg(summary, height, parts):
    return (f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
            f'aria-label="{escape(summary)}">\n' + "\n".join(parts) + "\n</svg>\n")


def _line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x, y, words, anchor="start", kind=""):
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>{escape(words)}</text>'


def _marker(which, x, y, words):
    return (f'<path class="marker" d="{MARKERS[which]}" transform="translate({x:.1f} {y:.1f})">'
            f"<title>{escape(words)}</title></path>")


def _with_interval(what, value, axis):
    return f"{what}: {axis.show(value.median)} ({axis.show(value.low)} to {axis.show(value.high)})"


def _grid(x, y, x_axis, y_axis):
    parts = []
    for tick in y.ticks:
        parts.append(_line("grid", x.first, y.at(tick), x.last, y.at(tick)))
        parts.append(_text(x.first - 8, y.at(tick) + 4, y_axis.show(tick), "end"))
    for tick in x.ticks:
        parts.append(_line("grid", x.at(tick), y.first, x.at(tick), y.last))
        parts.append(_text(x.at(tick), y.first + LINE + 3, x_axis.show(tick), "middle"))
    parts.append(f'<path class="axis" d="M{x.first} {y.last}V{y.first}H{x.last}"/>')
    parts.append(_text((x.first + x.last) / 2, y.first + 2.6 * LINE, x_axis.title, "middle"))
    middle = (y.first + y.last) / 2
    parts.append(f'<g transform="translate(16 {middle:.1f}) rotate(-90)">'
                 + _text(0, 0, y_axis.title, "middle") + "</g>")
    return "\n".join(parts)


def _bound_line(at, words):
    return _line("bound", LEFT, at, WIDTH - RIGHT, at) + _text(LEFT + 8, at - 6, words)


def _curve(curve, x, y, x_axis, y_axis):
    parts = []
    for value, estimate in curve.points.items():
        at = x.at(value)
        parts.append(_line("whisker", at, y.at(estimate.low), at, y.at(estimate.high)))
    path = " ".join(f"{x.at(v):.1f},{y.at(e.median):.1f}" for v, e in curve.points.items())
    parts.append(f'<polyline class="curve" points="{path}"/>')
    for value, e in curve.points.items():
        words = _with_interval(f"{curve.name}, {x_axis.show(value)}", e, y_axis)
        parts.append(_marker(curve.colour, x.at(value), y.at(e.median), words))
    return f'<g class="c{curve.colour}">' + "".join(parts) + "</g>"


def _names(curves, y, top, bottom):
    """Beside the ends of the curves, pushed apart where they would overlap."""
    ends = sorted(((y.at(c.points[max(c.points)].median), c) for c in curves),
                  key=lambda end: end[0])
    places, lowest = [], top - LINE / 2
    for at, _ in ends:
        lowest = max(at, lowest + LINE)
        places.append(lowest)
    highest = bottom + LINE / 2
    for i in reversed(range(len(places))):
        highest = min(places[i], highest - LINE)
        places[i] = highest
    right = WIDTH - RIGHT
    return "\n".join(
        f'<g class="c{curve.colour}">' + _line("leader", right - 4, at, right + 12, place)
        + _text(right + 16, place + 4, curve.name, "start", "name") + "</g>"
        for (at, curve), place in zip(ends, places))


def _mark(mark, row, x, y, bottom):
    at, half = x.at(mark.x), len(mark.words) * LETTER / 2
    middle = min(max(at, LEFT + half), WIDTH - half)
    line = TOP + LINE * (row + 1) - 5
    return (_line("border", at, line + 4, at, bottom)
            + f'<circle class="ring" cx="{at:.1f}" cy="{y.at(mark.y):.1f}" r="8"/>'
            + _text(middle, line, mark.words, "middle"))
