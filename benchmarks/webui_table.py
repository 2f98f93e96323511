"""What hermes-webui's functions cost, as the table of docs/adopting-in-hermes-webui.md has it.

    python -m benchmarks.webui_table [--scale 1] [--data FOLDER]

Medians of one run, in which the JSON files' way and the store take turns. The first line says on what.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from . import about, report
from .bench import Bench, Settings
from .results import JSON_FILES, OURS, Comparison, Results
from .works import webui


def row(one: Comparison) -> list[str]:
    """Return a row of the table: times in milliseconds, and how many times as fast the store is."""
    files, ours = one.contenders[JSON_FILES], one.contenders[OURS]
    times = [files.cpu, ours.cpu, files.wall, ours.wall]
    ratios = [files.cpu / ours.cpu, files.wall / ours.wall]
    return [one.work, *map(report.number, times), *(f"{value:.3g}" for value in ratios)]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="sizes and rounds, as a factor (default: 1)")
    parser.add_argument("--data", type=Path, help="where databases are made: a folder on a disk (default: temporary)")
    options = parser.parse_args()
    results = Results(about.describe(peers=False))
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=options.data, ignore_cleanup_errors=True) as folder:
        bench = Bench(Settings(options.scale, Path(folder), peers=False, postgres=None), results)
        bench.begin(str(webui.__doc__))
        webui.run(bench)
    print(report.about_line(results))
    head = ["", "JSON files, CPU", "store, CPU", "JSON files, wall", "store, wall", "CPU ratio", "wall ratio"]
    print(report.as_markdown([head, *map(row, results.comparisons)]))


if __name__ == "__main__":
    main()
