"""A run of a benchmark program, with what one has to know of the machine to believe it."""

import time

from reporting import google_benchmark, machine


def measure(kind, program, passes, root, build, quick):
    """The document that a page is made of, and what the program says of itself."""
    described = machine.describe(root, build)
    load, began = machine.load(), time.monotonic()
    measured = google_benchmark.run(program, passes)
    if not measured["samples"]:
        raise google_benchmark.Failed(f"each benchmark failed: {measured['notes'][0]}")
    return kind | {
        "machine": described, "cores": machine.cores(),
        "load": {"before": round(load, 2), "after": round(machine.load(), 2)},
        "seconds": round(time.monotonic() - began), "quick": quick,
        "samples": measured["samples"], "notes": measured["notes"]}, measured["context"]
