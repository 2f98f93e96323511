"""Long use leaves nothing behind: no descriptors, no growing write-ahead log, no files."""

from __future__ import annotations

import gc
import os
from functools import partial
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, Store
from tests.proofs import soak
from tests.support.appending import append_rounds
from tests.support.threads import all_well, together

pytestmark = pytest.mark.slow


def _descriptors() -> int:
    gc.collect()  # what other tests left unclosed is not ours to count
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_opening_and_closing_repeatedly_leaks_no_descriptor(sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        session_id = store.sessions.create().session_id
    counts = []
    for _ in range(10):
        with Store.open(sqlite_path, durability="normal") as store:
            all_well(together(*(partial(append_rounds, store, n, [session_id], 1) for n in range(4))))
            store.messages.read(session_id)
        counts.append(_descriptors())
    assert counts == [counts[0]] * 10


def test_many_threads_leave_few_open_descriptors(sqlite_store: Store) -> None:
    before = _descriptors()
    session_id = sqlite_store.sessions.create().session_id
    for _ in range(3):
        all_well(together(*[partial(sqlite_store.messages.read, session_id)] * 40))
    # SQLite keeps the descriptors of the database file for reuse, one for each of the threads at most; the pool
    # keeps eight connections, each with a log, and the log's index is one more.
    assert _descriptors() <= before + 40 + 8 + 1


def test_a_refused_opening_leaks_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    path.write_bytes(b"no database at all" * 500)
    counts = set()
    for _ in range(10):
        (error,) = together(partial(Store.open, path))
        assert isinstance(error, DatabaseCorruptError)
        counts.add(_descriptors())
    assert len(counts) == 1


def test_the_log_stays_small_during_many_writes(sqlite_path: Path) -> None:
    log = sqlite_path.with_name(f"{sqlite_path.name}-wal")
    largest = 0
    with Store.open(sqlite_path, durability="normal") as store:
        session_id = store.sessions.create().session_id
        for number in range(60):
            store.messages.append(session_id, {"n": number, "content": "x" * 500_000})
            assert store.messages.count(session_id) == number + 1
            largest = max(largest, log.stat().st_size)
        assert sqlite_path.stat().st_size > 25_000_000
    # SQLite moves the log into the file each 1,000 pages of 4 KiB; a transaction that passes that adds its own.
    assert 0 < largest < 8_000_000
    assert not log.exists()


def test_closing_leaves_only_the_database_file(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        session_id = store.sessions.create().session_id
        all_well(together(*(partial(append_rounds, store, n, [session_id], 2) for n in range(6))))
    assert [path.name for path in sqlite_path.parent.iterdir()] == [sqlite_path.name]


def test_what_a_process_holds_does_not_grow() -> None:
    result = soak.prove(operations=3_000)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.problems == []
