"""Medians of repeated measurements, with the interval that the true median is in."""

import math
import statistics
from dataclasses import dataclass

COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    median: float
    low: float
    high: float

    def is_above(self, other):
        """Above it for sure: the intervals have nothing in common."""
        return self.low > other.high


def interval_rank(count):
    """The k for which the k-th smallest and k-th largest of `count` samples enclose the median of
    what they are drawn from with at least 95 %, whatever its distribution. 1 for few samples,
    whose extremes enclose it less often than that."""
    rank, outside = 1, 2 * 0.5**count
    while rank < (count + 1) // 2:
        outside += 2 * math.comb(count, rank) * 0.5**count
        if outside > 1 - COVERAGE:
            break
        rank += 1
    return rank


def estimate(samples):
    ordered = sorted(samples)
    rank = interval_rank(len(ordered))
    return Estimate(statistics.median(ordered), ordered[rank - 1], ordered[-rank])


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))
