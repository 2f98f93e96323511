"""Memory above that of an open store"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from .. import probe
from ..bench import Bench
from .content import listings, transcripts
from .importing import write_directory

_ROOT = Path(__file__).parents[2]


def run(bench: Bench) -> None:
    if not probe.STATUS.exists():
        bench.results.notes.append("Memory is measured on Linux only.")
        return
    size = bench.settings.size
    many, long = size(1_000_000, 60), size(50_000, 20)
    listing = listings(bench, many)
    _measure(bench, f"list {many:,} sessions in pages of 1,000", "list", listing)
    _measure(bench, f"read {long:,} messages", "read", transcripts(bench), "l50")
    count = size(10_000, 20)
    with bench.scratch() as home:
        paths = write_directory(home, count, 15)
        time.sleep(2.5)
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        database = bench.empty(home / "ours.db")
        _measure(bench, f"import {count:,} JSON files, {megabytes:,.0f} MB", "import", database, str(home))


def _measure(bench: Bench, work: str, *arguments: object) -> None:
    command = [sys.executable, "-m", "benchmarks.probe", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
    bench.measure(work, json.loads(done.stdout))
