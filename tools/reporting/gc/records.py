"""Makes a record of what an arm's runs have measured: medians, and intervals of what is compared."""

import statistics

from reporting.estimates import estimate
from reporting.gc.systems import REFERENCE


def records_of(groups_and_arms):
    """One for each arm that ran, in the order of the plan."""
    made = []
    for group, arms in groups_and_arms.items():
        reference = next((arm for arm in arms if arm.system == REFERENCE), None)
        made += [_record(group, arm, reference) for arm in arms
                 if arm.runs or arm.stopped_after is not None]
    return made


def seconds_of(run):
    """Of the last repetition: the only one, or the warm one."""
    return run["repetitions"][-1]["seconds"]


def _record(group, arm, reference):
    runs = list(arm.runs.values())
    made = {"program": group.program, "system": arm.system, "variant": group.variant,
            "cold": group.cold, "huge_pages": group.huge_pages, "rounds": len(runs),
            "stopped_after_seconds": arm.stopped_after if not runs else None,
            "barrier": runs[0]["barrier"] if runs else None,
            "checksum": runs[0]["checksum"] if runs else None}
    made |= _estimate("seconds", [seconds_of(run) for run in runs])
    made |= _estimate("ratio_to_weir_auto", _ratios(arm, reference))
    for key, field in (("pause", "pauses_ns"), ("minor_pause", "minor_pauses_ns"),
                       ("full_pause", "full_pauses_ns")):
        found = [run[field] for run in runs if run[field]]
        for which in ("p50", "p99", "max"):
            made[f"{key}_ns_{which}"] = _median([pauses[which] for pauses in found], whole=True)
        made[f"{key}_ns_worst"] = max((pauses["max"] for pauses in found), default=None)
    last = [run["repetitions"][-1] for run in runs]
    for key in ("mmu_10ms", "mmu_100ms", "cpu_seconds", "gc_seconds"):
        made[key] = _median([one[key] for one in last])
    made["mutator_seconds"] = _median([one["seconds"] - one["gc_seconds"] for one in last])
    for key in ("rss_peak_bytes", "minor_faults", "major_faults", "collections", "minor", "full"):
        made[key] = _median([one[key] for one in last if one[key] is not None], whole=True)
    return made


def _ratios(arm, reference):
    """Of the same rounds: what was slow for one then was for the other."""
    if reference is None:
        return []
    return [seconds_of(run) / seconds_of(reference.runs[number])
            for number, run in arm.runs.items() if number in reference.runs]


def _estimate(key, samples):
    if not samples:
        return {key: None, f"{key}_low": None, f"{key}_high": None}
    found = estimate(samples)
    return {key: round(found.median, 6), f"{key}_low": round(found.low, 6),
            f"{key}_high": round(found.high, 6)}


def _median(samples, whole=False):
    if not samples:
        return None
    found = statistics.median(samples)
    return round(found) if whole else round(found, 6)
