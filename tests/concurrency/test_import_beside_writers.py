"""Writers and readers while sessions are imported: nobody is kept waiting for long, and nobody sees a part of one."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import AgentBridge, DatabaseLockedError, Store
from hermes_store.files import import_directory
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Shape, create
from tests.support.other_process import forked
from tests.support.state_dir import StateDir
from tests.support.threads import all_well, together

pytestmark = pytest.mark.slow

#: Of one session, of 5 MB, and how many small ones there are.
MESSAGES, SESSIONS = 10_000, 400
#: Seconds that the writers wait for the lock.
PATIENCE = 1.0


def _fill_directory(folder: Path) -> Callable[[Store], object]:
    state = StateDir(folder / "webui")
    for version in ("first", "second"):
        big = [{"role": "user", "n": n, "version": version, "text": "x" * 450} for n in range(MESSAGES)]
        state.session("big", *big, age=7200.0 if version == "first" else 3600.0)
        if version == "first":
            (folder / "first.json").write_bytes((state.sessions / "big.json").read_bytes())
    second = (state.sessions / "big.json").read_bytes()
    state.write("big.json", (folder / "first.json").read_bytes(), age=7200.0)
    for number in range(SESSIONS):
        state.session(f"s{number:04}", "hi", "there")

    def run(store: Store) -> None:
        import_directory(store, state.root)
        state.write("big.json", second)
        report = import_directory(store, state.root)
        assert not report.failed

    return run


def _fill_agents_file(folder: Path) -> Callable[[Store], object]:
    path = folder / "state.db"
    create(path, Shape(), [])
    with closing(sqlite3.connect(path)) as db, db:
        sessions = [("big", BASE + 1e6, BASE + 1e6), *((f"s{n:04}", BASE + n, BASE + n) for n in range(SESSIONS))]
        db.executemany("INSERT INTO sessions (id, source, started_at, ended_at) VALUES (?, 'cli', ?, ?)", sessions)
        messages = [("big", "x" * 450, BASE + 1e6 + n / 1e5) for n in range(MESSAGES)]
        messages += [(f"s{n:04}", "hi", BASE + n) for n in range(SESSIONS)]
        db.executemany("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', ?, ?)", messages)

    def run(store: Store) -> None:
        report = AgentBridge(path, store=store).import_sessions()
        assert not report.failed

    return run


def _append_until(path: Path, is_over: Callable[[], bool]) -> tuple[int, list[str]]:
    """Append again and again, and return how often that was done, and the errors."""
    done, errors = 0, []
    with Store.open(path, durability="normal", busy_timeout=PATIENCE) as store:
        session_id = store.sessions.create(title="writer").session_id
        while not is_over():
            try:
                store.messages.append(session_id, "more")
                done += 1
            except DatabaseLockedError as error:
                errors.append(str(error))
            time.sleep(0.002)
    return done, errors


@pytest.mark.parametrize("fill", [_fill_directory, _fill_agents_file])
def test_writers_beside_an_import_are_never_refused(
    sqlite_path: Path, tmp_path: Path, fill: Callable[[Path], Callable[[Store], object]]
) -> None:
    run = fill(tmp_path)
    over = threading.Event()

    def import_all() -> None:
        try:
            with Store.open(sqlite_path, durability="normal") as store:
                run(store)
        finally:
            over.set()

    def write_in_thread() -> tuple[int, list[str]]:
        return _append_until(sqlite_path, over.is_set)

    def read() -> set[tuple[int, ...]]:
        """Return what was seen of the large session: how many messages its row says, and how many there are."""
        seen: set[tuple[int, ...]] = set()
        with Store.open(sqlite_path, durability="normal") as store:
            while not over.is_set():
                with store.snapshot() as snapshot:
                    rows = snapshot.sessions.list(limit=1000, include_empty=True).items
                    counts = [row.message_count for row in rows if row.session_id == "big"]
                    if counts:
                        messages: list[Any] = snapshot.messages.read("big")
                        versions = {message.get("version") for message in messages}
                        seen.add((*counts, len(messages), len(versions)))
                assert all(row.message_count >= 0 for row in rows)
        return seen

    def write_in_process(connection: Any) -> tuple[int, list[str]]:
        return _append_until(sqlite_path, connection.poll)

    with forked(write_in_process) as child:
        try:
            _, (done, errors), seen = all_well(together(import_all, write_in_thread, read))
        finally:
            child.connection.send("over")
        done_elsewhere, errors_elsewhere = child.said()
    assert (errors, errors_elsewhere) == ([], [])
    assert done > 20
    assert done_elsewhere > 5
    assert seen == {(MESSAGES, MESSAGES, 1)}
