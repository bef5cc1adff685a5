"""Builds what is measured, by the same shell functions as the other tools."""

import subprocess
import sys


def build(root, target):
    """Whether `target` could be built; build/bin has it then. What went wrong is on stderr."""
    script = ('source "$1/tools/common.sh"; log=$(build_dir release)/report-build.log; '
              '"$1/tools/setup" && mkdir -p "$(build_dir release)" && '
              '{ build release "$2" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }')
    print(f"Building {target} ...", file=sys.stderr)
    return subprocess.run(["bash", "-c", script, "report", root, target],
                          check=False).returncode == 0
