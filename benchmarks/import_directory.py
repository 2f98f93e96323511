"""How long an import takes, and how much memory: python benchmarks/import_directory.py [SESSIONS] [GIGABYTES]

Writes a state directory of so many sessions (10,000) and about so many gigabytes (2), the largest session of
25 MB, with text in several scripts; imports it into a fresh database, twice; and prints for both runs the
time beside that of merely reading and parsing the files, and the peak of memory above that of an open store.
Only for Linux, which tells the peak in /proc.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST = 25_000_000
WORDS = ["deploy", "failed", "naïve", "测试", "🚀", "retry", "the", "query", "plan", "line", "error", "build", "cache"]


def sizes(count: int, total: float, chance: random.Random) -> Iterator[int]:
    """Sizes as in life: a few large sessions, many small ones."""
    yield LARGEST
    weights = [chance.lognormvariate(0, 1.5) for _ in range(count - 1)]
    scale = max(0.0, total - LARGEST) / sum(weights)
    yield from (min(LARGEST, round(weight * scale)) for weight in weights)


def session(number: int, size: int, chance: random.Random) -> dict[str, Any]:
    def message() -> dict[str, Any]:
        text = " ".join(chance.choices(WORDS, k=300))
        return {"role": chance.choice(["user", "assistant"]), "content": text, "timestamp": 1.7e9 + chance.random()}

    some = [message() for _ in range(4)]
    each = len(json.dumps(some[0], ensure_ascii=False).encode())
    messages = [{**some[index % 4], "n": index} for index in range(max(1, size // each))]
    title = f"Session {number}"
    times = {"created_at": 1.7e9 + number, "updated_at": 1.7e9 + number}
    return {"session_id": f"s{number:07d}", "title": title, **times, "messages": messages, "tool_calls": []}


def write(folder: Path, count: int, gigabytes: float) -> int:
    chance = random.Random(1)
    folder.mkdir(parents=True)
    written = 0
    for number, size in enumerate(sizes(count, gigabytes * 1e9, chance)):
        text = json.dumps(session(number, size, chance), ensure_ascii=False, indent=2)
        written += (folder / f"s{number:07d}.json").write_bytes(text.encode())
    return written


def parse(folder: Path) -> float:
    """The floor: every file read and parsed, and nothing else."""
    started = time.perf_counter()
    for path in folder.iterdir():
        json.loads(path.read_bytes())
    return time.perf_counter() - started


IMPORT = """
import sys, time
from hermes_store import Store
from hermes_store.files import import_directory

def status(key):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(key))

with Store.open(sys.argv[1] + "/hermes.db") as store:
    before = status("VmRSS")
    started = time.perf_counter()
    report = import_directory(store, sys.argv[1] + "/webui")
    print(time.perf_counter() - started, status("VmHWM") - before, *map(str, report.counts), sep="\\t")
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    gigabytes = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    with tempfile.TemporaryDirectory(prefix="hermes-import-") as name:
        folder = Path(name) / "webui" / "sessions"
        written = write(folder, count, gigabytes)
        print(f"{count:,} sessions, {written / 1e9:.2f} GB, the largest of {LARGEST / 1e6:.0f} MB")
        floor = parse(folder)
        for run in ("first run", "second run"):
            done = subprocess.run([sys.executable, "-c", IMPORT, name], capture_output=True, text=True, check=True)
            seconds, peak, *outcomes = done.stdout.split("\t")
            print(
                f"{run}: {count / float(seconds):,.0f} files/s, {float(seconds) / floor:.2f} times the time of parsing "
                f"them, {float(peak):.0f} MiB of memory; all {' '.join(outcomes).strip()}"
            )


if __name__ == "__main__":
    main()
