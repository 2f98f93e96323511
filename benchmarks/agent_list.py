"""How long a page of the agent's list takes, compared with the query that it replaces.

    python benchmarks/agent_list.py [SESSIONS] [MESSAGES] [FOLDER]

Writes files as the agent does (by default 10,000 sessions and a million messages), with and without the agent's indexes
on messages: in the order of time, several sessions at once, the indexes created first. In one pair of files, for every
five sessions that begin an old one is continued for a while; in the other, which is harder, every fiftieth message is
in any session. Then reads from each, in turn, the 200 rows of the query that hermes-webui used (without exact counts)
and a page of 50 (with them): warm, with the file dropped from the system's cache, and warm while two threads of this
process are busy in Python. Prints the medians. The files stay in FOLDER if one is given, and are used again. Only for
Linux.
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hermes_store.agent import AgentBridge

EXAMPLE = Path(__file__).parents[1] / "examples" / "hermes-home" / "state.db"
SOURCES = ["cli"] * 6 + ["telegram", "cron", "webui", "subagent"]
#: How many sessions get messages at a time.
AT_ONCE = 8
#: The chance that an old session is continued when one begins, and the part of the messages that are in any session.
PATTERNS = {"continued": (0.2, 0.0), "scattered": (0.0, 0.02)}
ROUNDS = 7
BUSY_THREADS = 2

OLD = """
SELECT s.id, s.title, s.model, s.message_count, s.started_at, s.source, MAX(m.timestamp) AS last_activity
FROM sessions s LEFT JOIN messages m ON m.session_id = s.id
WHERE s.source IS NOT NULL AND s.source != 'webui'
GROUP BY s.id ORDER BY COALESCE(MAX(m.timestamp), s.started_at) DESC LIMIT 200
"""


def tables(index: bool) -> list[str]:
    """Return the statements that made the agent's tables, without its full text search, which no list reads."""
    with closing(sqlite3.connect(f"{EXAMPLE.as_uri()}?immutable=1", uri=True)) as db:
        rows = db.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name IN ('sessions', 'messages', 'schema_version') "
            "AND type IN ('table', 'index') AND sql IS NOT NULL AND (type = 'table' OR tbl_name = 'sessions' OR ?) "
            "ORDER BY type DESC",
            (index,),
        ).fetchall()
    return [row[0] for row in rows]


def write(path: Path, pattern: str, index: bool, sessions: int, messages: int) -> None:
    again, anywhere = PATTERNS[pattern]
    chance = random.Random(1)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        for statement in tables(index):
            db.execute(statement)
        db.execute("BEGIN")
        clock, begun, working, spoken = 1_750_000_000.0, list[str](), list[str](), set[str]()
        for number in range(messages):
            clock += chance.random() * 20
            if len(begun) * messages <= number * sessions:  # evenly over the whole time
                begun.append(_begin(db, begun, clock, chance))
                working.append(begun[-1])
                if chance.random() < again:
                    working.append(chance.choice(begun))
                while len(working) > AT_ONCE:
                    working.pop(chance.randrange(AT_ONCE))
            session_id = chance.choice(begun if chance.random() < anywhere else working)
            role = "user" if session_id not in spoken else chance.choice(["user", "assistant", "tool"])
            spoken.add(session_id)
            words = "lorem ipsum " * chance.randrange(5, 40)
            db.execute(
                "INSERT INTO messages (session_id, role, content, timestamp, active) VALUES (?, ?, ?, ?, ?)",
                (session_id, role, words, clock, int(chance.random() < 0.998)),
            )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _begin(db: sqlite3.Connection, begun: list[str], clock: float, chance: random.Random) -> str:
    session_id = time.strftime("%Y%m%d_%H%M%S", time.gmtime(clock)) + f"_{chance.randrange(16**6):06x}"
    parent = begun[-1] if begun and chance.random() < 0.1 else None
    db.execute(
        "INSERT INTO sessions (id, source, model, system_prompt, parent_session_id, started_at, end_reason, title) "
        "VALUES (?, ?, 'model', ?, ?, ?, ?, ?)",
        (
            session_id,
            chance.choice(SOURCES),
            "x" * 3000,
            parent,
            clock,
            "compression" if chance.random() < 0.08 else None,
            f"Title {len(begun)}" if chance.random() < 0.5 else None,
        ),
    )
    return session_id


def old_list(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(OLD).fetchall()


def forget(path: Path) -> None:
    """Drop a file from the system's cache. Nothing of this process has it open, so this drops no locks."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def timed(read: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    before()
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


@contextmanager
def busy_threads() -> Iterator[None]:
    """Keep some threads busy in Python while the block lasts."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(1_000))

    threads = [threading.Thread(target=work) for _ in range(BUSY_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def compare(path: Path) -> Iterator[tuple[str, float, float]]:
    bridge = AgentBridge(path, deadline=600)
    reads: list[Callable[[], object]] = [lambda: old_list(path), lambda: bridge.sessions(limit=50)]

    def medians(before: Callable[[], object] = lambda: None) -> tuple[float, float]:
        times: list[list[float]] = [[], []]
        for read in reads:
            read()
        for _ in range(ROUNDS):
            for read, taken in zip(reads, times, strict=True):
                taken.append(timed(read, before))
        old, new = map(statistics.median, times)
        return old, new

    yield "warm", *medians()
    yield "cold", *medians(lambda: forget(path))
    with busy_threads():
        yield f"warm, {BUSY_THREADS} busy threads", *medians()


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    messages = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="hermes-list-") as name:
        folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(name)
        for pattern, index in itertools.product(PATTERNS, (True, False)):
            path = folder / f"{sessions}-{messages}-{pattern.replace(' ', '-')}-{'index' if index else 'none'}.db"
            if not path.exists():
                write(path, pattern, index, sessions, messages)
                os.sync()  # what is not on the disk yet cannot be dropped
            print(f"{pattern}, {'with' if index else 'without'} the index, {path.stat().st_size / 2**20:.0f} MiB")
            for state, old, new in compare(path):
                print(f"  {state}: {old * 1e3:7.1f} ms before, {new * 1e3:7.1f} ms now")


if __name__ == "__main__":
    main()
