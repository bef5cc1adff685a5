"""Runs a Google Benchmark program several times over and collects the counters of each run."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from reporting.children import die_with_parent


class Failed(Exception):
    """The program could not be run, or stopped with an error."""


@dataclass(frozen=True)
class Pass:
    """Benchmarks, by a regular expression, and how often to run them."""
    pattern: str
    repetitions: int


STANDARD_KEYS = {"family_index", "per_family_instance_index", "repetitions", "repetition_index",
                 "threads", "iterations", "real_time", "cpu_time"}


def run(program, passes, progress_to=sys.stderr):
    """Returns {"samples": {name: {counter: [one of each repetition]}}, "notes": [lines], "context":
    what the program says of itself}. Notes are what is not here, by its stderr, and what failed.

    A repetition is a process of its own, so that what drifts in a minute drifts for all alike."""
    repetitions = [[p.pattern for p in passes if i < p.repetitions]
                   for i in range(max(p.repetitions for p in passes))]
    names = [_list(program, patterns) for patterns in repetitions]
    progress = _Progress(names, progress_to)
    samples, notes, context = {}, [], {}
    with tempfile.TemporaryDirectory(prefix="weir-report-") as folder:
        out = pathlib.Path(folder, "out.json")
        for patterns in repetitions:
            progress.begin_repetition()
            notes += _run_once(program, patterns, out, progress)
            document = json.loads(out.read_text())
            context = document["context"]
            for entry in document["benchmarks"]:
                _add(entry, samples, notes)
    progress.end()
    return {"samples": samples, "notes": sorted(set(notes)), "context": context}


def _command(program, patterns):
    return [str(program), f"--benchmark_filter={'|'.join(patterns)}"]


def _list(program, patterns):
    command = [*_command(program, patterns), "--benchmark_list_tests=true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failed(f"cannot run {program}: {error.strerror}") from error
    if done.returncode != 0:
        raise Failed(f"{program} stopped with {done.returncode}: {done.stderr.strip()}")
    if not done.stdout.split():
        raise Failed(f"{program} has none of the benchmarks that are wanted")
    return done.stdout.split()


def _run_once(program, patterns, out, progress):
    command = [*_command(program, patterns), f"--benchmark_out={out}",
               "--benchmark_out_format=json"]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                              preexec_fn=die_with_parent) as process:
            try:
                for line in process.stdout:
                    progress.done(line.partition(" ")[0])
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        said = errors.read().splitlines()
    if process.returncode != 0:
        raise Failed(f"{program} stopped with {process.returncode}: {' '.join(said[-3:])}")
    return [line for line in said if line.startswith("not here")]


def _add(entry, samples, notes):
    if entry.get("error_occurred"):
        notes.append(f"{entry['name']}: {entry['error_message']}")
        return
    counters = samples.setdefault(entry["name"], {})
    for key, value in entry.items():
        if isinstance(value, (int, float)) and key not in STANDARD_KEYS:
            counters.setdefault(key, []).append(float(f"{value:.6g}"))


class _Progress:
    """One line, redrawn, on a terminal; else a line for each repetition."""

    def __init__(self, names, stream):
        self.stream = stream
        self.total = [name for repetition in names for name in repetition]
        self.repetitions = len(names)
        self.repetition = 0
        self.finished = 0
        self.seconds = {}  # what a benchmark took when it ran last
        self.began = self.last = time.monotonic()

    def begin_repetition(self):
        self.repetition += 1
        self.last = time.monotonic()
        if not self.stream.isatty():
            print(f"repetition {self.repetition} of {self.repetitions}", file=self.stream,
                  flush=True)

    def done(self, name):
        if self.finished >= len(self.total) or name != self.total[self.finished]:
            return  # a heading
        now = time.monotonic()
        self.seconds[name] = now - self.last
        self.last = now
        self.finished += 1
        if self.stream.isatty():
            self._draw(name, now)

    def end(self):
        if self.stream.isatty():
            print("\r\x1b[K", end="", file=self.stream, flush=True)

    def _draw(self, name, now):
        mean = sum(self.seconds.values()) / len(self.seconds)
        left = sum(self.seconds.get(each, mean) for each in self.total[self.finished:])
        bar = "#" * (20 * self.finished // len(self.total))
        text = (f"[{bar:.<20}] repetition {self.repetition} of {self.repetitions}, "
                f"{_minutes(now - self.began)}, {_minutes(left)} left: {name}")
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]}\x1b[K", end="", file=self.stream, flush=True)


def _minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
