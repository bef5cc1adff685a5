"""The samples of bench_barrier, by what was measured."""

import re
from dataclasses import dataclass, replace

from reporting.estimates import estimate

NAME = re.compile(r"^(?P<raw>raw/)?(?P<family>\w+)/(?P<barrier>[\w-]+)(/(?P<order>seq|rand))?"
                  r"/mib:(?P<mib>\d+)/one_in:(?P<one_in>\d+)(/threads:(?P<threads>\d+))?$")
# As they are ordered in tables, and numbered in colours.
BARRIERS = ["async", "uffd-thread", "uffd-sigbus", "mprotect", "soft-dirty", "cards",
            "always-dirty"]
# Those that see stores of code that knows nothing of them.
BY_MMU = BARRIERS[:5]
MIB = 256  # what varies neither by size nor by threads is measured on this much


@dataclass(frozen=True)
class Shape:
    family: str
    barrier: str
    mib: int
    one_in: int
    threads: int = 1
    order: str = "rand"
    raw: bool = False


class Figures:
    def __init__(self, samples, page_size):
        self.page_size = page_size
        self.by_shape = {}
        for name, counters in samples.items():
            found = NAME.match(name)
            if found:
                self.by_shape[Shape(found["family"], found["barrier"], int(found["mib"]),
                                    int(found["one_in"]), int(found["threads"] or 1),
                                    found["order"] or "rand", bool(found["raw"]))] = counters

    def barriers(self):
        """Those measured here, in order; unknown ones would have no colour and are left out."""
        return [b for b in BARRIERS if any(s.barrier == b and not s.raw for s in self.by_shape)]

    def pages(self, shape):
        return shape.mib * 2**20 / self.page_size

    def samples(self, shape, counter):
        return self.by_shape.get(shape, {}).get(counter, [])

    def writes(self, shape):
        return self.samples(shape, "writes")[0]

    def dirty_percent(self, shape):
        return 100 * self.writes(shape) / self.pages(shape)

    def shapes(self, family, barrier, **wanted):
        """Those measured that agree with `wanted`; by default one thread, random, Weir's own."""
        wanted = {"threads": 1, "order": "rand", "raw": False} | wanted
        return sorted((s for s in self.by_shape if s.family == family and s.barrier == barrier
                       and all(getattr(s, key) == value for key, value in wanted.items()
                               if value is not any)),
                      key=lambda s: (s.mib, -s.one_in, s.threads))

    def curve(self, shapes, x, samples):
        """{x(shape): Estimate of samples(shape)}, where there are samples."""
        points = {}
        for shape in shapes:
            values = samples(shape)
            if values:
                points[x(shape)] = estimate(values)
        return points

    def take_of(self, writes):
        return replace(writes, family="take")

    def total(self, shape, counter="ns_per_dirty"):
        """Of all writes or of the take, in nanoseconds."""
        return [value * writes for value, writes in
                zip(self.samples(shape, counter), self.samples(shape, "writes"))]

    def cycle(self, writes, visit_ns=0):
        """First writes, the take, and a visit of each page that it reports, in nanoseconds."""
        take = self.take_of(writes)
        return [written + taken + visit_ns * pages for written, taken, pages in
                zip(self.total(writes), self.total(take), self.samples(take, "pages_taken"))]
