"""The figures as text, for the terminal."""

from itertools import groupby

from reporting.words import duration, number

HEAD = ("", "time", "/ weir-auto", "(interval)", "CPU", "stopped", "minor max", "full max",
        "pause max", "MMU 10 ms", "100 ms", "minor", "full", "peak RSS")


def condition(record):
    words = [record["variant"], "cold" if record["cold"] else "warm",
             f"huge pages {record['huge_pages']}"]
    return ", ".join(word for word in words if word)


def text(records):
    parts = []
    for key, group in groupby(records, lambda r: (r["program"], condition(r))):
        rows = [HEAD] + [row(record) for record in group]
        widths = [max(len(line[i]) for line in rows) for i in range(len(HEAD))]
        parts.append(f"{key[0]}: {key[1]}")
        for cells_of in rows:
            cells = [cell.rjust(width) for cell, width in zip(cells_of[1:], widths[1:])]
            parts.append(f"  {cells_of[0].ljust(widths[0])}  {'  '.join(cells)}".rstrip())
        parts.append("")
    return "\n".join(parts)


def row(record):
    if record["seconds"] is None:
        return (record["system"], took_too_long(record), *[""] * (len(HEAD) - 2))
    return (record["system"], seconds(record["seconds"]), ratio(record), interval(record),
            seconds(record["cpu_seconds"]), seconds(record["gc_seconds"]),
            pause(record["minor_pause_ns_max"]), pause(record["full_pause_ns_max"]),
            pause(record["pause_ns_max"]), share(record["mmu_10ms"]), share(record["mmu_100ms"]),
            plain(record["minor"]), plain(record["full"]), mebibytes(record["rss_peak_bytes"]))


def took_too_long(record):
    return f"> {record['stopped_after_seconds']} s"


def ratio(record):
    value = record["ratio_to_weir_auto"]
    return "" if value is None else f"{value:.2f}"


def interval(record):
    low, high = (record[f"ratio_to_weir_auto_{end}"] for end in ("low", "high"))
    return "" if low is None else f"{low:.2f}-{high:.2f}"


def seconds(value):
    return "" if value is None else f"{value:.3f} s"


def pause(nanoseconds):
    return "" if nanoseconds is None else duration(nanoseconds).replace("\u00a0", " ")


def share(value):
    return "" if value is None else f"{value:.2f}"


def plain(value):
    return "" if value is None else str(value)


def mebibytes(value):
    return "" if value is None else f"{number(value / 2**20)} MiB".replace("\u202f", "")
