"""Numbers as a reader wants them: three digits at most, with the unit that fits."""


def number(value):
    """12345 -> "12 300"; 0.01234 -> "0.012"."""
    if value == 0:
        return "0"
    digits = 2 if abs(value) < 100 else 3
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10:
        return count(rounded)
    return f"{rounded:.6f}".rstrip("0").rstrip(".")


def _in_units(value, units):
    for name, size in units:
        if abs(float(f"{value:.2g}")) >= size:
            return f"{number(value / size)}\u00a0{name}"
    name, size = units[-1]
    return f"{number(value / size)}\u00a0{name}"


def duration(nanoseconds):
    return _in_units(nanoseconds, [("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1)])


def mebibytes(mib):
    return f"{mib // 1024}\u00a0GiB" if mib % 1024 == 0 else f"{mib}\u00a0MiB"


def count(whole):
    return f"{whole:,.0f}".replace(",", "\u202f")


def counted(thing):
    """A function from numbers to "1 thing", "2 things"."""
    return lambda whole: f"{count(whole)}\u00a0{thing}" + ("" if whole == 1 else "s")


def percent(share_in_percent):
    return f"{number(share_in_percent)}\u00a0%"


def listed(words, last=" and "):
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + last + words[-1]
