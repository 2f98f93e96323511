"""Changes"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders import floor_changes
from ..contenders.floor import Floor
from ..results import FLOOR, OURS
from .content import sessions

_ROOT: Final = Path(__file__).parents[2]
#: Seconds of waiting in which nothing is written.
_IDLE: Final = 6.0


def run(bench: Bench) -> None:
    count = bench.settings.size(10_000, 60)
    with bench.scratch() as folder:
        path = copy(sessions(bench), folder / "both.db")
        with Store.open(path) as store, closing(Floor(path)) as floor:
            _pages(bench, store, floor, count)
            _idle(bench, store, floor)
            _delay(bench, store, path)


def _pages(bench: Bench, store: Store, floor: Floor, count: int) -> None:
    for changed in (0, bench.settings.size(10, 2), bench.settings.size(100, 3)):
        with store.watch() as watch:
            cursor, number = watch.cursor, floor.last_change()
        for each in range(changed):
            store.sessions.update(f"s{each}", title=f"Title {changed}")
        read, read_by_hand = partial(store.changes, after=cursor), partial(floor.changes, number)
        if len(read().items) != changed or len(read_by_hand()) != changed:
            raise AssertionError(f"not all of {changed} changes were found")
        said = f"{changed} changes of {count:,} sessions since a cursor"
        bench.compare(said, {FLOOR: read_by_hand, OURS: read}, rounds=12, inner=10)


def _idle(bench: Bench, store: Store, floor: Floor) -> None:
    """The floor asks SQLite as often whether anything was written."""
    seconds = _IDLE * bench.settings.scale**0.5
    waits: dict[str, Callable[[], object]] = {
        FLOOR: lambda: floor_changes.wait(floor.connection, seconds),
        OURS: lambda: list(store.watch(timeout=seconds)),
    }
    values = {}
    for name, wait in waits.items():
        used = time.process_time()
        wait()
        values[f"{name}: ms of processor time a second"] = (time.process_time() - used) / seconds * 1e3
    bench.measure("watch a file to which nobody writes", values)


def _delay(bench: Bench, store: Store, path: Path) -> None:
    """Another process writes, and prints when each commit was done."""
    count = bench.settings.rounds(60)
    with _writer(path, count) as lines, store.watch(timeout=30) as watch:
        delays = []
        for _ in range(count):
            change = next(watch)
            seen = time.time()
            title, _, committed = next(lines).rstrip().rpartition(" ")
            if change.session is None or change.session.title != title:
                raise AssertionError(f"{change} is not what was written: {title}")
            delays.append((seen - float(committed)) * 1e3)
    values = {"median ms": statistics.median(delays), "longest ms": max(delays)}
    bench.measure("the time from another process's commit to the change in a watch", values)


@contextmanager
def _writer(path: Path, count: int) -> Iterator[Iterator[str]]:
    """Run a process of this module that writes to a session so often, and give the lines that it prints."""
    command = [sys.executable, "-m", "benchmarks.works.changes", str(path), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("a process without pipes")
        process.stdout.readline()
        process.stdin.close()
        yield process.stdout


def main(path: str, count: str) -> None:
    """Change a title from time to time, and print it with when it was committed."""
    with Store.open(path) as store:
        print("ready", flush=True)
        sys.stdin.read()
        for number in range(int(count)):
            time.sleep(0.1 + number % 7 * 0.011)  # not in step with whoever looks
            store.sessions.update("s1", title=f"Title {number}")
            print(f"Title {number} {time.time()}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
