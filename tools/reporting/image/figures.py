"""The samples of bench_image, by what was measured."""

import re
from dataclasses import dataclass

from reporting.estimates import estimate

OPEN = re.compile(r"^open_touch/(?P<how>[\w-]+)/(?P<codec>\w+)/mib:(?P<mib>\d+)"
                  r"/touched_permille:(?P<permille>\d+)(/order:(?P<order>\w+))?$")
FILL = re.compile(r"^fill/(?P<delivery>\w+)/(?P<codec>\w+)/cluster_kib:(?P<kib>\d+)"
                  r"/threads:(?P<threads>\d+)$")
SAVE = re.compile(r"^save/(?P<codec>\w+)/threads:(?P<threads>\d+)$")

# As they are ordered in tables, and numbered in colours.
WAYS = ["lazy", "background", "eager", "eager-parallel", "mmap"]
CODECS = ["zlib", "zstd", "none"]
ORDERS = ["random", "sequential", "recorded"]
DELIVERIES = ["thread", "sigbus"]


@dataclass(frozen=True)
class Opened:
    how: str
    codec: str
    mib: int
    permille: int
    order: str = "random"


class Figures:
    def __init__(self, samples):
        self.opened, self.filled, self.saved = {}, {}, {}
        for name, counters in samples.items():
            if found := OPEN.match(name):
                self.opened[Opened(found["how"], found["codec"], int(found["mib"]),
                                   int(found["permille"]), found["order"] or "random")] = counters
            elif found := FILL.match(name):
                self.filled[found["delivery"], found["codec"], int(found["kib"]),
                            int(found["threads"])] = counters
            elif found := SAVE.match(name):
                self.saved[found["codec"], int(found["threads"])] = counters

    def largest(self):
        """The largest image that was opened in all ways, in MiB."""
        sizes = [o.mib for o in self.opened if o.how == "eager" and o.codec == "zlib"]
        return max(sizes, default=0)

    def open(self, counter, how, codec, mib, permille, order="random"):
        """None: not measured."""
        return _estimate(self.opened.get(Opened(how, codec, mib, permille, order)), counter)

    def fill(self, delivery, codec, kib, threads):
        return _estimate(self.filled.get((delivery, codec, kib, threads)), "mib_per_s")

    def save(self, codec, threads):
        return _estimate(self.saved.get((codec, threads)), "mib_per_s")


def _estimate(counters, counter):
    return estimate(counters[counter]) if counters and counter in counters else None
