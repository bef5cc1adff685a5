"""Who is the cheapest where, and where curves cross. A curve is {x: Estimate}; between its points
it is taken for a straight line on logarithmic axes."""

import math
from dataclasses import dataclass

from reporting.estimates import geometric_mean


@dataclass(frozen=True)
class Reign:
    """The range of x in which one curve is the lowest."""
    name: str
    begin: float
    end: float


def crossings(one, other):
    """All x at which the medians of two curves cross."""
    xs = sorted(one.keys() & other.keys())
    gaps = [math.log(one[x].median / other[x].median) for x in xs]
    found = []
    for (x, gap), (next_x, next_gap) in zip(zip(xs, gaps), list(zip(xs, gaps))[1:]):
        if gap * next_gap < 0:
            share = gap / (gap - next_gap)
            found.append(math.exp((1 - share) * math.log(x) + share * math.log(next_x)))
        elif next_gap == 0 and gap != 0:
            found.append(next_x)
    return found


def lowest(curves):
    """The reigns from left to right, as few as the intervals allow: one that is the lowest by
    chance, within another's interval, does not interrupt that one's reign."""
    xs = sorted(set.intersection(*(set(curve) for curve in curves.values()))) if curves else []
    if not xs:
        return []
    able = [_not_beaten(curves, x) for x in xs]
    rulers = []  # (name, index of its first x)
    start = 0
    while start < len(xs):
        name, past = _longest(curves, xs, able, start)
        rulers.append((name, start))
        start = past
    borders = [xs[0]]
    for (before, _), (after, first) in zip(rulers, rulers[1:]):
        borders.append(_border(curves[before], curves[after], xs[first - 1], xs[first]))
    borders.append(xs[-1])
    return [Reign(name, borders[i], borders[i + 1]) for i, (name, _) in enumerate(rulers)]


def _not_beaten(curves, x):
    best = min((curve[x] for curve in curves.values()), key=lambda value: value.median)
    return {name for name, curve in curves.items() if not curve[x].is_above(best)}


def _longest(curves, xs, able, start):
    def reach(name):
        past = start
        while past < len(xs) and name in able[past]:
            past += 1
        return past

    past = max(reach(name) for name in able[start])
    rivals = sorted(name for name in able[start] if reach(name) == past)
    cost = {name: geometric_mean(curves[name][x].median for x in xs[start:past]) for name in rivals}
    return min(rivals, key=cost.get), past


def _border(before, after, last, first):
    """Where one takes over from the other, between its last point and the other's first. Medians
    that cross outside, within their intervals, are moved to the nearer of the two."""
    middle = math.sqrt(last * first)
    candidates = crossings(before, after) or [middle]
    nearest = min(candidates, key=lambda x: abs(math.log(x / middle)))
    return min(max(nearest, last), first)


def median_at(curve, x):
    """The median between points, too."""
    xs = sorted(curve)
    after = next((i for i, point in enumerate(xs) if point >= x), len(xs) - 1)
    if after == 0 or xs[after] == x:
        return curve[xs[after]].median
    left, right = xs[after - 1], xs[after]
    share = math.log(x / left) / math.log(right / left)
    return math.exp((1 - share) * math.log(curve[left].median)
                    + share * math.log(curve[right].median))
