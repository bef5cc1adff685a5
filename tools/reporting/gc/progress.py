"""Tells how far it is: one line, redrawn, on a terminal; else a line for each round of a program."""

import shutil
import time


class Progress:
    def __init__(self, stream, programs):
        self.stream = stream
        self.programs = programs
        self.program = None
        self.began = time.monotonic()
        self.round = None

    def begin(self, group, arm, number):
        if group.program != self.program:
            self.program, self.round = group.program, None
        if self.stream.isatty():
            self._draw(group, arm, number)
        elif number != self.round:
            self.stream.write(f"{self._minutes()} {group.program}: round {number + 1}\n")
            self.stream.flush()
        self.round = number

    def stopped(self, group, arm):
        self.end()
        self.stream.write(f"{self._minutes()} {group.program} {group.variant}: {arm.system} "
                          "takes too long, and is left out from here on\n")
        self.stream.flush()

    def end(self):
        if self.stream.isatty():
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _minutes(self):
        seconds = int(time.monotonic() - self.began)
        return f"{seconds // 60}:{seconds % 60:02}"

    def _draw(self, group, arm, number):
        at = self.programs.index(group.program)
        bar = "#" * (20 * at // len(self.programs))
        kind = "cold" if group.cold else "warm"
        text = (f"[{bar:.<20}] {self._minutes()} {group.program}, round {number + 1}, {kind}, "
                f"huge pages {group.huge_pages}: {arm.system} {group.variant}")
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"\r{text[:width]}\x1b[K")
        self.stream.flush()
