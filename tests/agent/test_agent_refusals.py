"""Everything that can be wrong with the file has an error of its own, which says what, and what is to be done."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge, agent_file, degrade, reader_thread
from hermes_store.agent.snapshot import Snapshot
from hermes_store.errors import (
    AgentCorruptError,
    AgentEmptyError,
    AgentError,
    AgentHotJournalError,
    AgentLockedError,
    AgentMissingError,
    AgentNotADatabaseError,
    AgentPermissionError,
    AgentSchemaError,
    AgentTimeoutError,
    InvalidInputError,
)
from tests.support.agent import foreign, writers
from tests.support.agent.statedb import Shape
from tests.support.processes import output, run_function

StateDb = Callable[..., Path]


def use(bridge: AgentBridge) -> list[Callable[[], object]]:
    return [
        bridge.sessions,
        lambda: bridge.session("login"),
        lambda: bridge.messages("login"),
        bridge.info,
    ]


def refused(bridge: AgentBridge, kind: type[AgentError], cause: str | None, match: str) -> None:
    """Assert that every read is refused with this very error, which names the file."""
    for read in use(bridge):
        with pytest.raises(kind, match=match) as caught:
            read()
        assert type(caught.value) is kind
        assert str(bridge.path) in str(caught.value)
        if cause is not None:
            origin = caught.value.__cause__
            origin = getattr(origin, "orig", origin)
            assert isinstance(origin, sqlite3.Error)
            assert origin.sqlite_errorname.startswith(cause)
            assert cause in str(caught.value)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    refused(AgentBridge(tmp_path / "state.db"), AgentMissingError, None, "There is no .*Has the agent run")
    refused(AgentBridge(home=tmp_path / "no" / "home"), AgentMissingError, None, "There is no ")
    (tmp_path / "dangling.db").symlink_to(tmp_path / "gone.db")
    with pytest.raises(AgentMissingError):
        AgentBridge(tmp_path / "dangling.db").info()


def test_a_path_through_a_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match="file"):
        AgentBridge(home=tmp_path / "file").info()


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "state.db"
    loop.symlink_to(loop)
    with pytest.raises(AgentError, match=r"state\.db"):
        AgentBridge(loop).info()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state.db")
    refused(AgentBridge(home=tmp_path), AgentNotADatabaseError, None, "not a regular file")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    refused(AgentBridge(home=tmp_path), AgentNotADatabaseError, None, "not a regular file")
    assert list((tmp_path / "state.db").iterdir()) == []


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    refused(AgentBridge(home=tmp_path), AgentEmptyError, None, "0 bytes")


def _text(good: bytes) -> bytes:
    return b"Dear agent, please remember everything.\n" * 400


def _zeroes(good: bytes) -> bytes:
    return bytes(len(good))


def _begun(good: bytes) -> bytes:
    return good[:50]


def _half(good: bytes) -> bytes:
    return good[: len(good) // 2]


def _garbage(good: bytes) -> bytes:
    return good[:100] + random.Random(1).randbytes(len(good) - 100)


def _zeroed_schema(good: bytes) -> bytes:
    return good[:100] + bytes(4096) + good[4196:]


def _zeroed_rest(good: bytes) -> bytes:
    return good[:4096] + bytes(len(good) - 4096)


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize(
    ("damage", "kind", "cause"),
    [
        (_text, AgentNotADatabaseError, "SQLITE_NOTADB"),
        (_zeroes, AgentNotADatabaseError, "SQLITE_NOTADB"),
        (_begun, AgentCorruptError, "SQLITE_CORRUPT"),
        (_half, AgentCorruptError, "SQLITE_CORRUPT"),
        (_garbage, AgentCorruptError, "SQLITE_CORRUPT"),
        (_zeroed_schema, AgentCorruptError, "SQLITE_CORRUPT"),
        (_zeroed_rest, AgentCorruptError, "SQLITE_CORRUPT"),
    ],
)
def test_damage_is_told_and_not_mended(
    state_db: StateDb,
    journal: str,
    damage: Callable[[bytes], bytes],
    kind: type[AgentError],
    cause: str,
) -> None:
    path = state_db(Shape(journal=journal))
    path.write_bytes(damage(path.read_bytes()))
    damaged = path.read_bytes()
    refused(AgentBridge(path), kind, cause, "not an SQLite database|damaged")
    assert path.read_bytes() == damaged


def test_a_table_that_is_there_twice_is_damage(state_db: StateDb) -> None:
    path = state_db()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("INSERT INTO sqlite_master SELECT * FROM sqlite_master WHERE name = 'sessions'")
    refused(AgentBridge(path), AgentCorruptError, "SQLITE_CORRUPT", "malformed database schema")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_reading_an_exclusively_locked_file_is_refused(state_db: StateDb, journal: str) -> None:
    path = state_db(Shape(journal=journal))
    bridge = AgentBridge(path, busy_timeout=0.02)
    with writers.running("lock", path):
        refused(bridge, AgentLockedError, "SQLITE_BUSY", "Try again")
    assert bridge.info().sessions


def test_a_locked_file_is_waited_for_once(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    path = state_db()
    patience = []
    connect: Any = sqlite3.connect

    def counted(*arguments: Any, timeout: float, **more: Any) -> sqlite3.Connection:
        patience.append(timeout)
        return connect(*arguments, timeout=timeout, **more)

    monkeypatch.setattr(sqlite3, "connect", counted)
    with writers.running("lock", path), pytest.raises(AgentLockedError):
        AgentBridge(path, busy_timeout=300, deadline=0.03).info()
    assert len(patience) == 1
    assert 0 < patience[0] <= 0.03


class _Clock:
    """A clock that goes as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("duration", "attempts"), [(0, 3), (14, 3), (16, 2), (40, 1)])
def test_a_passing_fault_is_retried_within_the_deadline(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, duration: float, attempts: int
) -> None:
    path = state_db()
    clock = _Clock()
    monkeypatch.setattr(agent_file, "time", clock)
    monkeypatch.setattr(reader_thread, "time", clock)
    met = 0

    def fail(snapshot: Snapshot) -> None:
        nonlocal met
        met += 1
        clock.now += duration
        fault = sqlite3.OperationalError("disk I/O error")
        fault.sqlite_errorname = "SQLITE_IOERR_READ"
        raise fault

    with pytest.raises(AgentError, match="SQLITE_IOERR_READ"):
        agent_file.AgentFile(path=path, deadline=30).read(fail)
    assert met == attempts


@pytest.mark.parametrize("busy_timeout", [0.5, 60.0])
def test_every_attempt_reads_one_state(state_db: StateDb, busy_timeout: float) -> None:
    found: list[tuple[bool, int]] = []

    def fail_once(snapshot: Snapshot) -> None:
        connection = snapshot.connection
        found.append((connection.in_transaction, connection.execute("PRAGMA busy_timeout").fetchone()[0]))
        if len(found) == 1:
            fault = sqlite3.OperationalError("disk I/O error")
            fault.sqlite_errorname = "SQLITE_IOERR_READ"
            raise fault

    agent_file.AgentFile(path=state_db(), deadline=30, busy_timeout=busy_timeout).read(fail_once)
    assert [one[0] for one in found] == [True, True]
    assert all(patience <= min(busy_timeout, 30) * 1000 for _, patience in found)


def test_an_interrupted_transaction_is_left_to_the_agent(state_db: StateDb) -> None:
    path = state_db(Shape(journal="delete"))
    whole = path.read_bytes()
    writers.run("crash", path)
    journal = path.with_name("state.db-journal")
    torn = path.read_bytes()
    left = journal.read_bytes()
    assert torn != whole
    refused(AgentBridge(path), AgentHotJournalError, "SQLITE_READONLY_ROLLBACK", "Start the agent once")
    assert path.read_bytes() == torn
    assert journal.read_bytes() == left
    with closing(sqlite3.connect(path)) as db:  # as the agent does
        db.execute("SELECT * FROM sessions").fetchall()
    assert AgentBridge(path).messages("login").items[1]["content"].startswith("Hello — grüße")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.slow
def test_reading_never_locks_a_file_s_owner_out(state_db: StateDb, open_folder: Path) -> None:
    if os.geteuid() != 0:  # who is not root has no file of another user's but the system's
        with pytest.raises(AgentPermissionError, match=r"belongs to another user.*foreign_owner=True"):
            AgentBridge("/etc/passwd").info()
        return
    path = Path(shutil.copy(state_db(late=False), open_folder / "state.db"))
    path.chmod(0o666)

    def read(how: str) -> str:
        return output(run_function(foreign.read, path, how))

    assert "belongs to another user" in read("carefully")
    assert [one.name for one in open_folder.iterdir()] == ["state.db"]
    with writers.running("hold", path):  # the agent's own sidecars are there: ours are not needed
        assert read("carefully") == "1\n"
    assert [one.name for one in open_folder.iterdir()] == ["state.db"]
    assert read("anyway") == "1\n"


def test_an_unreadable_file_s_owner_is_named(state_db: StateDb, open_folder: Path) -> None:
    if os.geteuid() != 0:
        path = state_db()
        path.chmod(0)
        refused(AgentBridge(path), AgentPermissionError, "SQLITE_CANTOPEN", "Read it as the user")
        return
    path = Path(shutil.copy(state_db(), open_folder / "state.db"))
    path.chmod(0o600)
    told = output(run_function(foreign.read, path, "anyway"))
    assert "refused" in told
    assert "Read it as the user whom the agent runs as" in told


def test_any_path_to_the_stores_database_is_refused(sqlite_store: Store, sqlite_path: Path, tmp_path: Path) -> None:
    hard, soft = tmp_path / "hard.db", tmp_path / "soft.db"
    os.link(sqlite_path, hard)
    soft.symlink_to(sqlite_path)
    for path in (sqlite_path, hard, soft):
        with pytest.raises(AgentNotADatabaseError, match="the store's own database"):
            AgentBridge(path, store=sqlite_store).info()


def test_another_stores_database_is_refused(sqlite_store: Store, sqlite_path: Path) -> None:
    """It has tables of the same names, so it would be shown as if the agent had written it."""
    session = sqlite_store.sessions.create(title="ours")
    sqlite_store.messages.append(session.session_id, {"role": "user", "content": "hi"})
    refused(AgentBridge(sqlite_path), AgentSchemaError, None, "store")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("DROP TABLE sessions", "no table 'sessions'"),
        ("DROP TABLE messages", "no table 'messages'"),
        ("ALTER TABLE sessions RENAME TO s; CREATE VIEW sessions AS SELECT * FROM s", "no table 'sessions'"),
        ("ALTER TABLE messages RENAME TO m; CREATE VIEW messages AS SELECT * FROM m", "no table 'messages'"),
        ("DROP TABLE sessions; CREATE TABLE sessions (name TEXT)", "no column id"),
        ("DROP TABLE messages; CREATE TABLE messages (text TEXT)", "no column id, session_id"),
    ],
)
def test_a_file_without_the_agents_tables_is_refused(state_db: StateDb, change: str, match: str) -> None:
    path = state_db(Shape(2))
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "".join(
                f"DROP TRIGGER {name};" for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'")
            )
            + change
        )
    refused(AgentBridge(path), AgentSchemaError, None, match)


def test_tables_with_the_least_of_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE sessions (id TEXT); CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT);"
            "INSERT INTO sessions VALUES ('a'), ('b'); INSERT INTO messages (session_id) VALUES ('a'), ('a')"
        )
    bridge = AgentBridge(path)
    assert [(one.session_id, one.title, one.message_count) for one in bridge.sessions().items] == [
        ("a", "Cli session", 2)
    ]
    assert [one.session_id for one in bridge.sessions(include=["empty"]).items] == ["b", "a"]
    assert bridge.messages("a").items == [
        {"role": None, "content": None, "_state_db_row_id": number} for number in (1, 2)
    ]
    assert bridge.info().schema_version is None


def test_a_read_that_exceeds_its_deadline_is_stopped(state_db: StateDb) -> None:
    path = state_db(Shape(index=False))
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
            "INSERT INTO messages (session_id, role, content, timestamp) SELECT 's' || i, 'user', 'x', i FROM n"
        )
        db.commit()
    with pytest.raises(AgentTimeoutError, match="longer than the deadline") as caught:
        AgentBridge(path, deadline=0.0).sessions()
    assert str(path) in str(caught.value)
    assert AgentBridge(path).sessions().items


def test_degrade_logs_agent_errors_and_returns_the_fallback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge = AgentBridge(home=tmp_path)
    nothing: list[object] = []
    with caplog.at_level(logging.WARNING, logger="hermes_store.agent"):
        assert degrade(lambda: list[object](bridge.sessions().items), nothing) is nothing
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(tmp_path) in caplog.text
    caplog.clear()
    assert degrade(lambda: 1, 2) == 1
    for mistake in (InvalidInputError("x"), KeyError("x")):

        def make(mistake: Exception = mistake) -> int:
            raise mistake

        with pytest.raises(type(mistake)):
            degrade(make, 2)
    assert not caplog.records
