"""What the library costs: `python -m benchmarks` runs every work, and prints a table of each section.

`--quick` takes about a tenth of the time. docs/benchmarks.md explains the method and the columns.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import about, pages, report
from .bench import Bench, Settings
from .results import Results

#: The works by the names that `--only` takes, in their order; each is a module.
WORKS: Final = {
    "append": "append",
    "save": "save",
    "read": "read",
    "session": "session",
    "list": "listing",
    "search": "search",
    "usage": "usage",
    "changes": "changes",
    "import": "importing",
    "start": "start",
    "webui": "webui",
    "size": "size",
    "concurrent": "concurrent",
    "memory": "memory",
    "cold": "cold",
    "postgresql": "postgresql",
}
QUICK: Final = 0.1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"smaller sizes and fewer rounds: --scale {QUICK}")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes and rounds, as a factor (default: 1)")
    parser.add_argument("--only", default=",".join(WORKS), metavar="NAMES", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--no-peers", action="store_true", help="without the other libraries")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--plots", action="store_true", help=f"draw the plots in {pages.PLOTS}")
    parser.add_argument("--docs", action="store_true", help="write the plots, the results and the tables of the docs")
    parser.add_argument("--data", type=Path, help="where databases are made: a folder on a disk (default: temporary)")
    parser.add_argument(
        "--postgres", metavar="URL", help="a server whose databases are made and dropped; default: a new one"
    )
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        parsed.scale = QUICK
    parsed.only = parsed.only.split(",")
    unknown = [name for name in parsed.only if name not in WORKS]
    if unknown:
        parser.error(f"there is no work {', '.join(unknown)}; choose from {', '.join(WORKS)}")
    if not 0 < parsed.scale <= 1:
        parser.error("--scale is a number above 0, and at most 1")
    if parsed.docs and (parsed.scale, parsed.only, parsed.no_peers) != (1, [*WORKS], False):
        parser.error("--docs is for a run of everything")
    if (parsed.plots or parsed.docs) and importlib.util.find_spec("matplotlib") is None:
        parser.error("plots need matplotlib: pip install -e '.[bench]'")
    return parsed


def measure(options: argparse.Namespace, folder: Path) -> Results:
    """Run the works, and print the tables of each when it is done."""
    results = Results(about.describe(peers=not options.no_peers))
    print(report.about_line(results), flush=True)
    bench = Bench(Settings(options.scale, folder, not options.no_peers, options.postgres), results)
    began, noted = time.perf_counter(), 0
    for name in options.only:
        module = importlib.import_module(f".works.{WORKS[name]}", __package__)
        bench.begin(str(module.__doc__))
        started = time.perf_counter()
        print(f"\n{name} …", file=sys.stderr, flush=True)
        module.run(bench)
        for title, comparisons, measurements in results.sections():
            if title == bench.section:
                print("\n" + report.section_text(title, comparisons, measurements), flush=True)
        for note in results.notes[noted:]:
            print(f"({note})", flush=True)
        noted = len(results.notes)
        print(f"({name}: {time.perf_counter() - started:.0f} s)", file=sys.stderr, flush=True)
    print(f"({time.perf_counter() - began:.0f} s in all)", file=sys.stderr)
    return results


def main(arguments: Sequence[str]) -> None:
    """Run the program."""
    options = parse(arguments)
    if options.data is not None:
        options.data.mkdir(parents=True, exist_ok=True)
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.data, ignore_cleanup_errors=True) as folder,
    ):
        warnings.simplefilter("ignore")  # those of the peers are for their users
        os.environ.setdefault("HERMES_HOME", folder)
        logging.disable(logging.WARNING)
        try:
            results = measure(options, Path(folder))
        finally:
            logging.disable(logging.NOTSET)
    if options.out:
        results.write(options.out)
    if options.plots or options.docs:
        pages.draw(results)
    if options.docs:
        pages.write(results)


if __name__ == "__main__":
    main(sys.argv[1:])
