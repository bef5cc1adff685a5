"""Looks up records, and how systems are drawn."""

from reporting.estimates import Estimate
from reporting.gc.systems import SYSTEMS

COLOURS = {"weir-auto": 0, "libgc": 1, "libgc-incremental": 2, "libgc-parallel": 3, "mimalloc": 5, "limit": 6,
           "weir-async": 10, "weir-uffd-sigbus": 7, "weir-mprotect": 3, "weir-uffd-thread": 8,
           "weir-soft-dirty": 11, "weir-cards": 9, "weir-always-dirty": 4, "weir-full": 11}


class Figures:
    def __init__(self, records):
        self.records = records

    def programs(self):
        return list(dict.fromkeys(record["program"] for record in self.records))

    def systems(self):
        present = {record["system"] for record in self.records}
        return [name for name in SYSTEMS if name in present]

    def of(self, **wanted):
        return [record for record in self.records
                if all(record[key] == value for key, value in wanted.items())]

    def one(self, **wanted):
        """The first of them, or None."""
        return next(iter(self.of(**wanted)), None)


def ratio(record):
    return _estimate(record, "ratio_to_weir_auto")


def time(record):
    return _estimate(record, "seconds")


def _estimate(record, key):
    if record is None or record[key] is None:
        return None
    return Estimate(record[key], record[f"{key}_low"], record[f"{key}_high"])


def times(value):
    """As in "takes 2.5 times as long"."""
    return f"{value:.2f}"


def condition(record):
    words = [record["variant"], "" if record["cold"] else "warm",
             f"huge pages {record['huge_pages']}"]
    return ", ".join(word for word in words if word)
