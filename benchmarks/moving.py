"""Moving to PostgreSQL, and what it gives: python -m benchmarks.moving [SESSIONS] [MESSAGES]

Makes a SQLite store of so many sessions (10,000) with so many messages each (20), copies it to a PostgreSQL server that
it starts, and back, next to a floor: the rows read by hand and sent with COPY into the same tables, without a check and
without the index of words. Then 2 and 8 processes append to sessions of their own, in the file and on the server.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from hermes_store import Store
from hermes_store.maintenance import CopyProgress, copy

from .databases import Content, build
from .results import OURS
from .servers import databases
from .writer import Processes

_TABLES = ("projects", "sessions", "messages", "message_blobs")
_FLAGS = ("pinned", "archived", "has_draft", "recovered")
_SECONDS = 3.0
_WRITERS: Final = (2, 8)


def server_seconds(url: str) -> float:
    """Return how many seconds of processor time the processes of a server took so far; 0 where /proc does not tell."""
    with psycopg.connect(url) as connection, contextlib.suppress(OSError):
        parent = _stat(connection.info.backend_pid)[1]
        ticks = 0
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and (found := _stat(int(folder.name)))[1] == parent:
                    ticks += found[11] + found[12]
        return (ticks + sum(_stat(parent)[11:15])) / os.sysconf("SC_CLK_TCK")  # with its children that ended
    return 0.0


def _stat(process: int) -> list[int]:
    """Return the numbers that /proc tells of a process: the second is its parent."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


def timed(url: str, function: Callable[[], object]) -> str:
    """Call a function, and return its wall time and the processor time that it took here and on the server."""
    started, worked, served = time.perf_counter(), time.process_time(), server_seconds(url)
    function()
    taken = time.perf_counter() - started
    own, others = time.process_time() - worked, server_seconds(url) - served
    return f"{taken:.1f} s; processor time {own + others:.1f} s ({own:.1f} s here, {others:.1f} s on the server)"


def by_hand(source: Path, url: str) -> None:
    with closing(sqlite3.connect(source)) as reading, psycopg.connect(url) as writing:
        for table in _TABLES:
            rows = reading.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            flags = [names.index(name) for name in _FLAGS if name in names]
            with writing.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copying:
                for row in rows:
                    values = list(row)
                    for flag in flags:
                        values[flag] = bool(values[flag])
                    copying.write_row(values)


def with_steps(source: str | Path, target: str | Path) -> None:
    ended: dict[str, float] = {}
    started = time.perf_counter()

    def note(now: CopyProgress) -> None:
        ended[now.step] = time.perf_counter() - started

    copy(source, target, on_progress=note)
    print("   after " + ", ".join(f"{step} {seconds:.1f} s" for step, seconds in ended.items()))


def writers(path: Path, url: str, count: int) -> None:
    sessions = [f"w{number}" for number in range(count)]
    for target in (path, url):
        with Store.open(target) as store:
            for session_id in sessions:
                if not store.sessions.exists(session_id):
                    store.sessions.create(session_id=session_id)
    found: dict[str, int] = {"SQLite": 0, "PostgreSQL": 0}
    longest = dict.fromkeys(found, 0.0)
    with closing(Processes(count)) as running:
        for _ in range(3):
            for name, target in (("SQLite", path), ("PostgreSQL", url)):
                taken = running.run(OURS, target, "full", sessions, _SECONDS)
                found[name] += sum(map(len, taken))
                longest[name] = max(longest[name], *(max(one) for one in taken))
    for name, appends in found.items():
        rate = appends / (3 * _SECONDS)
        print(f"{count} processes, {name}: {rate:,.0f} appends a second, the longest {longest[name] * 1000:,.0f} ms")


def main(arguments: Sequence[str]) -> None:
    sessions, each = map(int, (*arguments, *("10000", "20")[len(arguments) :]))
    with tempfile.TemporaryDirectory(prefix="hermes-moving-") as name:
        folder = Path(name)
        source = build(folder / "source.db", Content(sessions=sessions, each=each, profiles=3, projects=20))
        size = source.stat().st_size / 1e6
        print(f"{sessions:,} sessions of {each} messages, {size:.0f} MB; load {os.getloadavg()[0]:.1f}")
        with databases(folder, None, 4) as (floor, *targets, other):
            Store.open(floor).close()
            print("by hand:", timed(floor, lambda: by_hand(source, floor)))
            for number, target in enumerate(targets):
                print("to PostgreSQL:", timed(target, lambda target=target: with_steps(source, target)))  # type: ignore[misc]
                with Store.open(target) as store:
                    print(f"   which takes {store.info().size_bytes / 1e6:.0f} MB on the server")
                back = folder / f"back{number}.db"
                print("back:", timed(target, lambda target=target, back=back: with_steps(target, back)))  # type: ignore[misc]
            Store.open(other).close()
            for count in _WRITERS:
                writers(folder / "writers.db", other, count)
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
