"""Sections for scattered_writes: the rate of writes against the time, for each barrier."""

from reporting import svg
from reporting.gc import figures
from reporting.gc.programs import NOT_MEASURED, tables
from reporting.page import Section
from reporting.words import listed

RATE = svg.Axis("writes to old objects for each allocation", lambda value: f"{value:g}")
RATIO = svg.Axis("time, as a multiple of weir-auto's", lambda value: f"{value:g}", say=figures.times)
NEED_CALLS = ("weir-cards",)  # of the client, after each store
WITHIN = 1.25


def sections(f):
    records = f.of(program="scattered_writes")
    kinds = dict.fromkeys((_rest(r), r["huge_pages"]) for r in records)
    return [_section([r for r in records if (_rest(r), r["huge_pages"]) == kind], *kind)
            for kind in kinds]


def _rate(record):
    return float(_options(record)["rate"])


def _rest(record):
    return " ".join(f"{k}={v}" for k, v in _options(record).items() if k != "rate")


def _options(record):
    return dict(word.split("=") for word in record["variant"].split())


def _section(records, rest, huge_pages):
    said = dict(word.split("=") for word in rest.split())
    stored = {"young": "references to young objects", "old": "references to old objects",
              "number": "numbers"}[said["store"]]
    title = (f"scattered_writes: {stored}, targets {said['targets']}, "
             f"heap in {said['shape']}{'' if said['shape'] == 'order' else ' order'}, "
             f"huge pages {huge_pages}")
    made = Section(title, _conclusion(records), tables=tables(records),
                   key="-".join(["scattered_writes", *said.values(), huge_pages]))
    curves = []
    for system in dict.fromkeys(r["system"] for r in records):
        points = {_rate(r): figures.ratio(r) for r in records if r["system"] == system}
        points = {rate: value for rate, value in points.items() if value}
        if points:
            curves.append(svg.Curve(system.removeprefix("weir-"), figures.COLOURS[system], points))
    if len({rate for curve in curves for rate in curve.points}) > 1:
        made.figure = svg.plot(made.conclusion, RATE, RATIO, curves)
    return made


def _conclusion(records):
    """How far `auto` is from the best that needs no client code, at each rate."""
    factors, cards = {}, {}
    for rate in sorted(set(map(_rate, records))):
        took = {r["system"]: r["seconds"] for r in records if _rate(r) == rate and r["seconds"]}
        own = {system: seconds for system, seconds in took.items()
               if system.startswith("weir-") and system not in NEED_CALLS + ("weir-auto",)}
        if "weir-auto" not in took or not own:
            continue
        best = min(own, key=own.get)
        factors[rate] = (took["weir-auto"] / own[best], best)
        if "weir-cards" in took:
            cards[rate] = took["weir-auto"] / took["weir-cards"]
    if not factors:
        return NOT_MEASURED
    within = [rate for rate, (factor, _) in factors.items() if factor <= WITHIN]
    worst = max(factors, key=lambda rate: factors[rate][0])
    words = (f"weir-auto is within {WITHIN} of the best barrier that needs no client code, and of "
             f"full collections alone, at {len(within)} of {len(factors)} rates; at worst it takes "
             f"{figures.times(factors[worst][0])} times as long as {factors[worst][1]}, at "
             f"{worst:g}")
    if cards:
        said = [f"{figures.times(factor)} at {rate:g}" for rate, factor in cards.items()]
        words += f". Against a compiled card mark it takes {listed(said)}"
    return words + "."
