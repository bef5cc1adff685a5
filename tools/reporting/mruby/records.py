"""Medians of what was measured, and what they come to against the better of mruby's two modes."""

import statistics

from reporting.estimates import estimate, geometric_mean
from reporting.mruby import plan

MEDIANS = ("cpu_seconds", "longest_gap", "peak_rss_kib", "gc_count", "gc_minor_gc_count",
           "gc_major_gc_count", "gc_time_ns", "gc_pause_ns_p50", "gc_pause_ns_p99",
           "gc_minor_pause_ns_max", "gc_full_pause_ns_max")


def records_of(program, runs):
    reference = runs.get(plan.REFERENCE)
    made = []
    for system, found in runs.items():
        record = {"program": program.name, "system": system, "rounds": len(found),
                  "checksum": found[0]["checksum"]} | _estimated(
                      "seconds", [run["seconds"] for run in found])
        if reference:  # of the same rounds: what was slow for one then was for the other
            record |= _estimated("ratio_to_weir", [
                run["seconds"] / own["seconds"] for run, own in zip(found, reference)])
            record |= _estimated("cpu_ratio_to_weir", [
                run["cpu_seconds"] / own["cpu_seconds"] for run, own in zip(found, reference)])
        for key in MEDIANS:
            values = [run[key] for run in found if key in run]
            record[key] = statistics.median(values) if values else None
        made.append(record)
    return made


def _estimated(key, samples):
    found = estimate(samples)
    return {key: found.median, f"{key}_low": found.low, f"{key}_high": found.high}


def verdicts(records):
    """Of each program: the faster of mruby's modes over Weir, memory, and gaps."""
    made = []
    for name in dict.fromkeys(record["program"] for record in records):
        of = {r["system"]: r for r in records if r["program"] == name}
        stock = [of[system] for system in plan.STOCK if system in of]
        own = of.get(plan.REFERENCE)
        if not own or not stock:
            continue
        made.append({
            "program": name, "allocates": plan.PROGRAMS[name].allocates,
            "speed": min(r["ratio_to_weir"] for r in stock),
            "cpu": min(r["cpu_ratio_to_weir"] for r in stock),
            "memory": own["peak_rss_kib"] / min(r["peak_rss_kib"] for r in stock),
            "more_mib": (own["peak_rss_kib"] - min(r["peak_rss_kib"] for r in stock)) / 1024,
            "gap": own["longest_gap"] and min(r["longest_gap"] for r in stock) / own["longest_gap"]})
    return made


def mean(found, key):
    """`speed` or `cpu`, of the programs that allocate."""
    values = [verdict[key] for verdict in found if verdict["allocates"]]
    return geometric_mean(values) if values else None
