"""Runs groups of systems alternately, round by round, so that what drifts drifts for all alike."""

import time
from dataclasses import dataclass, field

from reporting.gc import plan, runner
from reporting.gc.systems import SYSTEMS


@dataclass
class Arm:
    """One system of a group."""
    system: str
    runs: dict = field(default_factory=dict)  # {round: record}
    stopped_after: float = None  # seconds: it took too long, once


class Rounds:
    """All groups of one program."""

    def __init__(self, folder, groups, changes, progress):
        """`changes`: options that are not as the plan has them, {program: {name: value}}."""
        self.folder = folder
        self.groups = groups
        self.changes = changes
        self.progress = progress
        self.arms = {group: [Arm(system) for system in group.systems] for group in groups}
        self.checksums = {}

    def run(self, rounds=None):
        """`rounds` None: as many as are usual, or as the time allows, but one at least."""
        ends = [time.monotonic()]
        for number in range(rounds or plan.ROUNDS):
            took = [end - begin for begin, end in zip(ends, ends[1:])]
            spent = ends[-1] - ends[0]
            # Of the last two, since long ones are run in every second.
            if rounds is None and took and spent + max(took[-2:]) > plan.SECONDS:
                break
            self._round(number)
            ends.append(time.monotonic())

    def _round(self, number):
        for group in self.groups:
            arms = self.arms[group]
            first = number % len(arms)  # who comes first changes, too
            for arm in arms[first:] + arms[:first]:
                if arm.stopped_after is None and not self._pauses(arm, number):
                    self._run_one(group, arm, number)

    def _pauses(self, arm, number):
        previous = arm.runs.get(number - 1)
        return previous is not None and sum(
            one["seconds"] for one in previous["repetitions"]) > plan.LONG

    def _run_one(self, group, arm, number):
        self.progress.begin(group, arm, number)
        try:
            record = runner.run(self.folder, group.program, SYSTEMS[arm.system],
                                plan.options_of(group, self.changes), group.huge_pages,
                                plan.SECONDS_OF_ONE * group.repetitions)
        except runner.TookTooLong:
            arm.stopped_after = plan.SECONDS_OF_ONE
            self.progress.stopped(group, arm)
            return
        arm.runs[number] = record
        self._check(group, arm, record)

    def _check(self, group, arm, record):
        key = (group.program, group.variant)
        expected, by = self.checksums.setdefault(key, (record["checksum"], arm.system))
        if record["checksum"] != expected:
            raise runner.Failed(
                f"{group.program} {group.variant}: {arm.system} computes {record['checksum']}, "
                f"{by} {expected}: one of them is wrong")
