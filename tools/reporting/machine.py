"""What a measurement was made on: the machine, its settings, the compiler, the tree."""

import datetime
import os
import pathlib
import platform
import re
import subprocess


def describe(root, build):
    """A {what: words} of the machine and of the build folder `build` of the tree at `root`."""
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "CPU": _cpu(),
        "cores": str(cores()),
        "memory": _memory(),
        "transparent huge pages": _chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
        "vm.max_map_count": _read("/proc/sys/vm/max_map_count"),
        "vm.unprivileged_userfaultfd": _read("/proc/sys/vm/unprivileged_userfaultfd"),
        "frequency governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "compiler": _compiler(build),
        "commit": _commit(root),
    }
    return {what: words for what, words in facts.items() if words}


def cores():
    return len(os.sched_getaffinity(0))


def load():
    """How many threads ran or wanted to, on average over the last minute."""
    return os.getloadavg()[0]


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return None


def _chosen(path):
    found = re.search(r"\[(\w+)\]", _read(path) or "")
    return found.group(1) if found else None


def _cpu():
    text = _read("/proc/cpuinfo") or ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    virtual = ", a virtual machine" if re.search(r"^flags\s*:.*\bhypervisor\b", text, re.M) else ""
    return model.group(1) + virtual if model else None


def _memory():
    text = _read("/proc/meminfo") or ""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    if "MemTotal" not in sizes:
        return None
    total, free = (int(sizes[key]) / 2**20 for key in ("MemTotal", "MemAvailable"))
    return f"{total:.1f} GiB, {free:.1f} GiB of it available"


def _compiler(build):
    cache = dict(re.findall(r"^(\w+):\w+=(.*)$", _read(build / "CMakeCache.txt") or "", re.M))
    program = cache.get("CMAKE_CXX_COMPILER")
    version = _first_line([program, "--version"]) if program else None
    kind = cache.get("CMAKE_BUILD_TYPE")
    flags = " ".join((cache.get("CMAKE_CXX_FLAGS", ""),
                      cache.get(f"CMAKE_CXX_FLAGS_{kind.upper()}", "") if kind else "")).strip()
    return f"{version}, {kind} ({flags})" if version else None


def _commit(root):
    commit = _first_line(["git", "-C", root, "rev-parse", "--short=12", "HEAD"])
    if not commit:
        return None
    changed = _first_line(["git", "-C", root, "status", "--porcelain", "--untracked-files=no"])
    return commit + (" and changes" if changed else "")


def _first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0]
