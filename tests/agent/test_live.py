"""A writer that commits as fast as it can is neither hindered nor misread, and nothing piles up."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store.agent import AgentBridge
from hermes_store.errors import HermesStoreError
from tests.support.agent import writers
from tests.support.agent.conversations import expected
from tests.support.agent.statedb import Shape

pytestmark = pytest.mark.slow

StateDb = Callable[..., Path]
#: The writer moves its log into the file at 1,000 pages of 4 KiB, if no reader is in the way; beside one that kept
#: its snapshot, the log grows by this much within the reads of a test.
LOG_BOUND = 64 * 2**20


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def held(path: Path) -> list[str]:
    """Return what this process has open of a file and of its sidecars."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:  # it was the folder itself
            continue
    return [link for link in links if link.startswith(str(path))]


def stop(writer: subprocess.Popen[str]) -> int:
    """Tell a writer to stop, and return how many conversations it wrote."""
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.poll() is None, "it died before"
    writer.stdin.close()
    return int(writer.stdout.readline())


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_reads_beside_a_writer_are_correct_without_leaks(state_db: StateDb, index: bool) -> None:
    shape = Shape(index=index)
    path = state_db(shape)
    log = path.with_name("state.db-wal")
    bridge = AgentBridge(path)
    before = len(expected(shape))
    bridge.info()
    open_before = descriptors()
    counts, logs = [0], [0]
    with writers.running("hurry", path, shape) as writer:
        for number in range(80):
            items = bridge.sessions(limit=50).items
            assert len(items) >= min(50, before)
            newest = bridge.session(items[0].session_id)
            assert newest.message_count == len(bridge.messages(newest.session_id).items) == 2
            counts.append(bridge.info().sessions)
            logs.append(log.stat().st_size)
            if number % 20 == 0:
                assert held(path) == []
        written = stop(writer)
    assert counts == sorted(counts)
    assert counts[1] < counts[-1], "nothing was written meanwhile, so nothing was shown"
    gc.collect()
    if index:  # without one, a read takes so long that a hurrying writer's log may grow beside it
        assert max(logs) < LOG_BOUND
    assert descriptors() <= open_before
    assert held(path) == []
    listed = bridge.sessions(limit=1000)
    shown = len(listed.items)
    while listed.next is not None:
        listed = bridge.sessions(limit=1000, after=listed.next)
        shown += len(listed.items)
    assert shown == before + written


def test_reads_wait_for_a_writer_without_a_log(state_db: StateDb) -> None:
    shape = Shape(journal="delete")
    path = state_db(shape)
    bridge = AgentBridge(path, busy_timeout=30)
    before = bridge.info().sessions
    with writers.running("hurry", path, shape) as writer:
        counts = []
        for _ in range(8):
            counts.append(bridge.info().sessions)
            assert len(bridge.messages("login").items) == 6
        written = stop(writer)
    assert counts == sorted(counts)
    assert bridge.info().sessions == before + written
    assert held(path) == []


def test_the_log_can_be_emptied_between_reads(state_db: StateDb) -> None:
    """A reader that kept its snapshot would be in the way of this."""
    path = state_db()
    bridge = AgentBridge(path)
    page = bridge.sessions(limit=3)
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for number in range(5):
            db.execute("UPDATE sessions SET model = ?", (str(number),))
            page = bridge.sessions(limit=3, after=page.next)
            messages = bridge.messages("story-b", limit=2)
            assert messages.next is not None
            busy, in_log, moved = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert (busy, in_log, moved) == (0, 0, 0)
    finally:
        db.close()


def test_a_failed_read_leaves_no_connection_either(state_db: StateDb) -> None:
    path = state_db()
    text = path.with_name("text.db")
    text.write_text("no database at all" * 100)
    bridge = AgentBridge(path)
    bridge.info()
    before = descriptors()
    failures: list[Callable[[], object]] = [
        lambda: bridge.messages("nobody"),
        lambda: bridge.sessions(after="x"),
        AgentBridge(text).info,
    ]
    gc.disable()  # what only its next run would close is open
    try:
        for _ in range(30):
            for read in failures:
                with pytest.raises(HermesStoreError):
                    read()
            assert held(path) == held(text) == []
        assert descriptors() == before
    finally:
        gc.enable()


def test_threads_may_share_a_bridge(state_db: StateDb) -> None:
    path = state_db()
    bridge = AgentBridge(path)
    wanted = bridge.sessions(limit=50)
    results: list[bool] = []

    def read() -> None:
        for _ in range(15):
            results.append(bridge.sessions(limit=50) == wanted)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 90
    assert held(path) == []
