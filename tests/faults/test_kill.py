"""Killed at any moment, a writer leaves whole sessions, and all that it was told is done."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.storage.dialects.sqlite_unit import SQLiteUnitOfWork
from tests.proofs import kill

_fork = multiprocessing.get_context("fork")


@pytest.mark.slow
def test_kills_at_any_point_lose_no_acknowledged_operation() -> None:
    result = kill.prove(kills=20, seed=1)
    assert result.problems == []
    assert result.figures["kills"] == 20


def test_killing_a_writer_undoes_its_open_transaction(
    sqlite_path: Path, session_id: str, require_sound: Callable[[Path], None]
) -> None:
    def write_and_wait(to_parent: Connection) -> None:
        with Store.open(sqlite_path) as store, store.transaction() as tx:
            # More than SQLite's page cache holds, so that a part of it is in the log already.
            tx.messages.extend(session_id, [{"n": n, "text": "x" * 100_000} for n in range(60)])
            tx.sessions.update(session_id, title="After")
            to_parent.send("written")
            time.sleep(60)

    receiver, sender = _fork.Pipe(duplex=False)
    writer = _fork.Process(target=write_and_wait, args=(sender,))
    writer.start()
    assert receiver.recv() == "written"
    assert sqlite_path.with_name(f"{sqlite_path.name}-wal").stat().st_size > 1_000_000
    writer.kill()
    writer.join()
    with Store.open(sqlite_path) as store:
        assert store.messages.read(session_id) == ["one", "two", "three"]
        assert store.sessions.get(session_id).title == "Before"
        store.messages.append(session_id, "four")
    require_sound(sqlite_path)


def test_a_killed_creation_leaves_a_database_that_opens(tmp_path: Path, require_sound: Callable[[Path], None]) -> None:
    chance = random.Random(7)
    for number in range(6):
        path = tmp_path / f"{number}.db"
        maker = _fork.Process(target=Store.open, args=(path,))
        maker.start()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.1)
        maker.kill()
        maker.join()
        with Store.open(path) as store:
            session_id = store.sessions.create().session_id
            store.messages.append(session_id, "one")
            assert store.messages.read(session_id) == ["one"]
        require_sound(path)


@pytest.mark.slow
def test_the_proof_finds_a_commit_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    commit, number = SQLiteUnitOfWork._commit, itertools.count()

    def lose_some(unit: SQLiteUnitOfWork) -> None:
        if unit.writes and next(number) % 20 == 19:
            unit.raw.rollback()
        else:
            commit(unit)

    monkeypatch.setattr(SQLiteUnitOfWork, "_commit", lose_some)
    assert kill.run("3", "0", "no")["problems"]
