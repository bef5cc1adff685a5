"""tools/compare mruby: what it takes, and what it does."""

import sys
import time

from reporting import machine
from reporting.mruby import data, image, instructions, plan, records, report, runner


def measure(root, wanted):
    """The document, without its format; None: what was asked for has been printed."""
    weir = (wanted.programs or root / "build" / "bin").resolve() / "mruby-weir"
    interpreters = runner.Interpreters(root, str(weir))
    if not weir.exists():
        raise runner.Failed(f"{weir} is missing: is libmruby-dev installed?")
    if wanted.instructions:
        return instructions.measure(weir.parent, interpreters.scripts, wanted.program, print)
    if wanted.image:
        return image.measure(root, interpreters, wanted.rounds, wanted.size, print)
    files = data.make(root / "build" / "compare" / "mruby", wanted.size)
    described, load, began = machine.describe(root, root / "build"), machine.load(), time.monotonic()
    names, notes = [], []
    for name in wanted.system or plan.USUAL:
        reason = interpreters.why_not(plan.SYSTEMS[name])
        if reason is None:
            names.append(name)
        else:
            notes.append(f"not here: {name}: {reason}")
    made = []
    for name in wanted.program or plan.PROGRAMS:
        program = plan.PROGRAMS[name]
        options = (program.tiny if wanted.size == "tiny" else {}) | dict(wanted.set)
        if program.data:
            options |= {program.data: files[program.data]}
        runs = runner.by_turns(interpreters, program, names, options,
                               wanted.rounds or plan.ROUNDS, _tell)
        found = records.records_of(program, runs)
        print(report.text(found), flush=True)
        made += found
    print(report.overall(records.verdicts(made)))
    return {"machine": described, "cores": machine.cores(), "size": wanted.size, "notes": notes,
            "load": {"before": round(load, 2), "after": round(machine.load(), 2)},
            "seconds": round(time.monotonic() - began), "records": made}


def _tell(words):
    print(words, file=sys.stderr, flush=True)
