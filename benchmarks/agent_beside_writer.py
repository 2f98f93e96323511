"""What reading does to an agent that writes as fast as it can.

    python benchmarks/agent_beside_writer.py [CALLS] [FILE]

A process appends messages to a copy of FILE (the example home's state.db), a commit each, first alone, then beside a
plain read-only connection that runs the same kind of reads, then beside the bridge (3,000 calls: a page of sessions, a
page of messages, in turn). Prints the writer's commits per second and its 99th percentile, the log's size and how many
more files the reader has open; an error would end it. Only for Linux, which tells the open files in /proc.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hermes_store.agent import AgentBridge

EXAMPLE = Path(__file__).parents[1] / "examples" / "hermes-home" / "state.db"
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
(session,) = connection.execute("SELECT session_id FROM messages LIMIT 1").fetchone()
print("ready", flush=True)
times = []
while not sys.stdin.closed and (begun := time.perf_counter()):
    connection.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', ?, ?)",
                       (session, "word " * 100, time.time()))
    times.append(time.perf_counter() - begun)
    if len(times) % 50 == 0:
        import select
        if select.select([sys.stdin], [], [], 0)[0]:
            break
times.sort()
print(len(times), times[len(times) * 99 // 100])
"""


@contextmanager
def writing(path: Path, result: list[float]) -> Iterator[None]:
    """Let a process write meanwhile; then tell its commits per second, and the 99th percentile in milliseconds."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    commits, slow = writer.communicate("stop")[0].split()
    result += [int(commits) / seconds, float(slow) * 1000]


def plain(path: Path) -> Callable[[], object]:
    """Return the reads of a connection that opens, reads and closes, as any other reader may."""

    def read() -> None:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.execute(
                "SELECT s.id, max(m.timestamp), count(m.id) FROM sessions s LEFT JOIN messages m ON m.session_id = s.id"
                " GROUP BY s.id ORDER BY 2 DESC LIMIT 20"
            ).fetchall()

    return read


def bridged(path: Path) -> Callable[[], object]:
    """Return the bridge's reads."""
    bridge = AgentBridge(path)
    first = bridge.sessions(limit=1).items[0].session_id
    turn = iter(range(10**9))
    return lambda: bridge.messages(first, limit=20) if next(turn) % 2 else bridge.sessions(limit=20)


def open_files() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> None:
    """Measure, and print."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else EXAMPLE
    for name, reader in (("alone", None), ("beside a plain reader", plain), ("beside the bridge", bridged)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(shutil.copy(file, folder))
            read = reader(path) if reader else None
            result: list[float] = []
            files, largest = open_files(), 0
            with writing(path, result):
                until = time.perf_counter() + 10
                done = 0
                while done < calls if read else time.perf_counter() < until:
                    if read is None:
                        time.sleep(0.1)
                    else:
                        read()
                        done += 1
                    log = Path(f"{path}-wal")
                    largest = max(largest, log.stat().st_size if log.exists() else 0)
            print(
                f"{name}: {result[0]:,.0f} commits/s, p99 {result[1]:.2f} ms, log up to {largest / 2**20:.1f} MiB, "
                f"{done:,} calls, {open_files() - files} more files open"
            )


if __name__ == "__main__":
    main()
