"""Numbers as a reader wants them: three digits at most, with the unit that fits."""


def number(value):
    """12345 -> "12 300"; 0.01234 -> "0.012"."""
    if value == 0:
        return "0"
    digits = 2 if abs(value) < 100 else 3
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10:
        return f"{rounded:,.0f}".replace(",", "\u202f")
    return f"{rounded:.6f}".rstrip("0").rstrip(".")


def _in_units(value, units):
    for name, size in units:
        if abs(float(f"{value:.2g}")) >= size:
            return f"{number(value / size)} {name}"
    name, size = units[-1]
    return f"{number(value / size)} {name}"


def duration(nanoseconds):
    return _in_units(nanoseconds, [("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1)])


def mebibytes(mib):
    return _in_units(mib, [("GiB", 1024), ("MiB", 1)])


def percent(share_in_percent):
    return f"{number(share_in_percent)} %"


def times(factor):
    return f"{number(factor)} times"


def listed(words, last=" and "):
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + last + words[-1]
