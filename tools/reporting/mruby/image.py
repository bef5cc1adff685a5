"""tools/compare mruby --image: how soon a program answers that begins with 20 MB of parsed JSON and
an index, from the sources on mruby, and from an image on Weir."""

import json
import statistics
import subprocess
import time

from reporting.mruby import data, plan
from reporting.mruby.runner import Failed, clean_environment

LIBRARIES = ("harness.rb", "json_text.rb", "text_index.rb", "image_load.rb")


def measure(root, interpreters, rounds, size, say):
    folder = root / "build" / "compare" / "mruby"
    files = [f"{name}={path}" for name, path in data.make(folder, size).items()]
    image, ask = folder / f"state-{size}.image", interpreters.scripts / "image_ask.rb"
    libraries = [word for name in LIBRARIES for word in ("-r", interpreters.scripts / name)]
    _run([interpreters.weir, *libraries[:-2], "--save-image", image, interpreters.scripts / LIBRARIES[-1],
          *files])
    commands = {"mruby, from sources": [interpreters.stock, *libraries, ask, *files],
                "mruby-weir, from sources": [interpreters.weir, *libraries, ask, *files],
                "mruby-weir, from an image": [interpreters.weir, "--image", image, ask]}
    runs = {what: [] for what in commands}
    for _ in range(rounds or plan.ROUNDS):
        for what, command in commands.items():
            runs[what].append(_run(command))
    if len({run["checksum"] for found in runs.values() for run in found}) != 1:
        raise Failed("the answers differ")
    sources = statistics.median(run["seconds"] for run in runs["mruby, from sources"])
    for what, found in runs.items():
        seconds = statistics.median(run["seconds"] for run in found)
        memory = statistics.median(run["peak_rss_kib"] for run in found) / 1024
        say(f"{what:28}{seconds:9.3f} s{memory:8.0f} MiB{sources / seconds:8.1f} times as soon")
    say(f"The image has {image.stat().st_size / 2**20:.0f} MiB.")


def _run(command):
    began = time.monotonic()
    done = subprocess.run(command, env=clean_environment(), check=False, text=True,
                          capture_output=True, timeout=plan.SECONDS_OF_ONE)
    if done.returncode != 0:
        raise Failed(f"{command[0]}: {done.stderr.strip()[-500:]}")
    record = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return record | {"seconds": time.monotonic() - began}
