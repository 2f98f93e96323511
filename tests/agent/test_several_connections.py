"""Where one connection is slow others help, and what is read is the same: one state, exact, and nothing left open."""

from __future__ import annotations

import _thread
import gc
import itertools
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from hermes_store.agent import AgentBridge, attach, snapshot, watch
from hermes_store.agent.attach import AgentFile
from hermes_store.agent.schema import AgentSchema
from hermes_store.agent.snapshot import Snapshot
from hermes_store.agent.watch import driver_connection
from hermes_store.errors import AgentSchemaError
from tests.support.agent import writers
from tests.support.agent.conversations import BASE, expected
from tests.support.agent.statedb import Shape, insert
from tests.support.threads import readers_end, threads

StateDb = Callable[..., Path]
NO_INDEX = Shape(index=False)
COUNT = "SELECT count(*) FROM agent.messages m"
ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "_LARGE", 0)
    monkeypatch.setattr(attach, "_TWINS", 2)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every query look as if it read enough from the disk, from its first step on."""
    monkeypatch.setattr(watch, "STEPS", 1)
    monkeypatch.setattr(snapshot, "_ENOUGH", 0)


@contextmanager
def queries_of_threads() -> Iterator[list[tuple[bool, str, Any]]]:
    """Collect the queries in the block, with whether it was another thread's."""
    found: list[tuple[bool, str, Any]] = []
    here = threading.get_ident()

    def note(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        found.append((threading.get_ident() != here, text, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def read_shared(path: Path, work: Callable[[Snapshot], Any]) -> Any:
    return AgentFile(path=path).read(work, scans=True)


def open_files(path: Path) -> int:
    return sum(str(entry.resolve()).startswith(str(path)) for entry in Path("/proc/self/fd").iterdir())


def say(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        insert(db, "messages", {"session_id": "login", "role": "user", "content": "more", "timestamp": BASE + 1e6})


def everything(bridge: AgentBridge) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        page = bridge.sessions(limit=3, after=after, include=["archived", "empty", "cron"])
        found += page.items
        after = page.next
        if after is None:
            return found


# A scan that is shared


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_shared_scan_reads_what_one_connection_would(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    path = state_db(Shape(index=False, journal=journal))
    bridge = AgentBridge(path)
    with queries_of_threads() as queries:
        shared = everything(bridge)
    assert {text for elsewhere, text, _ in queries if elsewhere}, "no other connection did anything"
    monkeypatch.setattr(attach, "_LARGE", 2**40)
    assert shared == everything(bridge)
    assert len(shared) > 3


def test_every_message_is_scanned_by_one_of_the_connections(state_db: StateDb) -> None:
    path = state_db(NO_INDEX)
    with queries_of_threads() as queries:
        AgentBridge(path).sessions(limit=50, include=["empty"])
    scans = [query for query in queries if "sum(" in query[1]]
    assert [elsewhere for elsewhere, _, _ in scans].count(True) == 2
    with closing(sqlite3.connect("file::memory:", uri=True)) as db:
        db.execute("ATTACH DATABASE ? AS agent", (f"{path.as_uri()}?mode=ro",))
        found: list[set[Any]] = [set() for _ in scans]
        for part, (_, text, parameters) in zip(found, scans, strict=True):
            where = text[text.index(" WHERE ") : text.index(" GROUP BY")]
            part.update(db.execute(f"SELECT m.id FROM agent.messages m{where}", tuple(parameters)).fetchall())
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}", tuple(parameters))]
            assert plan[0].startswith("SEARCH m USING INTEGER PRIMARY KEY (rowid"), "it reads its own part alone"
        all_ids = set(db.execute("SELECT id FROM agent.messages").fetchall())
    assert all(found)
    assert sum(map(len, found)) == len(all_ids)
    assert set().union(*found) == all_ids


def test_only_a_read_that_scans_is_shared(state_db: StateDb) -> None:
    path = state_db(NO_INDEX)
    bridge = AgentBridge(path)
    with queries_of_threads() as queries:
        bridge.info()
        bridge.messages("login")
    assert not any(elsewhere for elsewhere, _, _ in queries)
    assert AgentFile(path=path).read(lambda found: found.twins) == ()
    assert AgentFile(path=state_db(Shape(), "other.db")).read(lambda found: found.twins, scans=True) == ()


@pytest.mark.parametrize("key", ["id INTEGER, PRIMARY KEY (session_id, id)", "id TEXT PRIMARY KEY", "id INTEGER"])
def test_a_file_whose_messages_are_not_in_the_order_of_their_ids_is_scanned_by_one(tmp_path: Path, key: str) -> None:
    path = tmp_path / "state.db"
    column, _, constraint = key.partition(", ")
    last = f", {constraint}) WITHOUT ROWID" if constraint else ")"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, started_at REAL)")
        db.execute(f"CREATE TABLE messages ({column}, session_id TEXT, rowid INTEGER, role TEXT, timestamp REAL{last}")
        db.execute("INSERT INTO sessions VALUES ('a', 'cli', ?)", (BASE,))
        rows = [(number, BASE + number) for number in range(5)]
        db.executemany("INSERT INTO messages (id, session_id, role, timestamp) VALUES (?, 'a', 'user', ?)", rows)
        db.commit()
    assert read_shared(path, lambda found: found.twins) == ()
    assert [(one.session_id, one.message_count) for one in AgentBridge(path).sessions().items] == [("a", 5)]


def test_the_connections_are_closed_when_opening_them_was_interrupted(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state_db(NO_INDEX)
    looks = itertools.count(1)

    def interrupted(_: Any) -> int:
        if next(looks) == 2:
            raise KeyboardInterrupt
        return 1

    monkeypatch.setattr(attach, "_data_version", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        AgentBridge(path).sessions()
    assert caught.value
    assert open_files(path) == 0


def test_the_agent_is_waited_for_once(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking whether the scan can be shared, and sharing it, are two transactions; they have one patience."""
    waits: list[float] = []
    wait = attach._wait_until

    def noted(connection: Any, give_up: float) -> None:
        waits.append(give_up)
        wait(connection, give_up)

    monkeypatch.setattr(attach, "_wait_until", noted)
    AgentBridge(state_db(NO_INDEX)).sessions()
    assert len(waits) == 2
    assert waits[0] == waits[1]


@pytest.mark.parametrize("when", ["before the first one reads", "after the first one read"])
def test_a_connection_that_sees_another_state_is_not_used(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    path = state_db(NO_INDEX)
    reads = itertools.count(1)
    read = AgentSchema.read

    def meanwhile(*arguments: Any) -> AgentSchema:
        second = next(reads) == 2
        if second and when == "before the first one reads":
            say(path)
        found = read(*arguments)
        if second and when == "after the first one read":
            say(path)
        return found

    monkeypatch.setattr(AgentSchema, "read", meanwhile)
    assert read_shared(path, lambda found: found.twins) == ()
    monkeypatch.setattr(AgentSchema, "read", read)
    assert len(read_shared(path, lambda found: found.twins)) == 2


def test_connections_go_on_seeing_one_state_while_the_agent_writes(state_db: StateDb) -> None:
    path = state_db(NO_INDEX)

    def work(found: Snapshot) -> list[int]:
        counts = []
        for _ in range(3):
            counts += [row[0] for row in found.together([COUNT] * 3)]
            say(path)
        return counts

    counts = read_shared(path, work)
    assert len(counts) == 9
    assert len(set(counts)) == 1


def test_a_file_that_was_put_in_the_place_of_the_one_that_is_read_is_not_mixed_with_it(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state_db(Shape(index=False, journal="delete"))
    other = shutil.copy(path, path.with_name("other.db"))
    twins = attach._twins

    def replaced(*arguments: Any) -> Any:
        Path(other).replace(path)
        return twins(*arguments)

    monkeypatch.setattr(attach, "_twins", replaced)
    assert read_shared(path, lambda found: found.twins) == ()


def test_what_another_connection_cannot_read_the_first_one_reads(state_db: StateDb) -> None:
    def work(found: Snapshot) -> list[Any]:
        driver_connection(found.twins[1]).setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 10)
        return found.together([COUNT] * 3)

    path = state_db(NO_INDEX)
    assert read_shared(path, work) == read_shared(path, lambda found: found.rows(COUNT)) * 3


def test_a_system_without_a_thread_to_spare_reads_with_one(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    path = state_db(NO_INDEX)
    wanted = read_shared(path, lambda found: found.rows(COUNT)) * 3
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert read_shared(path, lambda found: found.together([COUNT] * 3)) == wanted


def test_a_fault_of_the_first_connection_ends_the_others(state_db: StateDb) -> None:
    def work(found: Snapshot) -> None:
        found.together(["SELECT m.unheard FROM agent.messages m", ENDLESS, ENDLESS])

    before = threads()
    with pytest.raises(AgentSchemaError, match=r"no such column: m\.unheard"):
        read_shared(state_db(NO_INDEX), work)
    assert readers_end(before)


# A query that is helped


def test_a_query_that_waits_for_the_disk_is_helped_by_others_that_go_the_same_way(
    state_db: StateDb, slow_disk: None
) -> None:
    path = state_db()
    bridge = AgentBridge(path)
    helping: dict[str, Any] = {}
    until = time.monotonic() + 20
    while len(helping) < 2 and time.monotonic() < until:  # one may be too late for a query as short as this
        with queries_of_threads() as queries:
            helped = everything(bridge)
        helping |= {text: parameters for elsewhere, text, parameters in queries if elsewhere and text != "BEGIN"}
    assert len(helping) == 2
    first, *_ = ((text, parameters) for elsewhere, text, parameters in queries if not elsewhere and "c.last" in text)
    with closing(sqlite3.connect("file::memory:", uri=True)) as db:
        db.execute("ATTACH DATABASE ? AS agent", (f"{path.as_uri()}?mode=ro",))
        plans, looked = [], []
        for text, parameters in [first, *helping.items()]:
            without_limit = (*parameters[:-1], -1)
            plans.append([row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}", without_limit)])
            looked.append({row[0] for row in db.execute(text, without_limit)})
    assert plans[0] == plans[1] == plans[2], "they take another way"
    assert looked[1]
    assert looked[2]
    assert looked[1] | looked[2] < looked[0], "they leave nothing to the first"
    assert not looked[1] & looked[2], "they look twice"
    assert helped == everything(AgentBridge(path))


def test_a_query_that_does_not_wait_is_not_helped(state_db: StateDb) -> None:
    with queries_of_threads() as queries:
        everything(AgentBridge(state_db()))
    assert queries
    assert not any(elsewhere for elsewhere, _, _ in queries)


def test_a_helper_does_not_wait_for_the_agent(state_db: StateDb) -> None:
    """Where the agent waits for this reader to be done, a helper that waited for the agent would keep them all."""

    def patience(found: Snapshot) -> int:
        with found.open_another() as other:
            return int(driver_connection(other).execute("PRAGMA busy_timeout").fetchone()[0])

    assert AgentFile(path=state_db()).read(patience) == 0


def test_helpers_end_with_the_query_and_leave_nothing(state_db: StateDb, slow_disk: None) -> None:
    def work(found: Snapshot) -> list[Any]:
        with found.helped([ENDLESS, ENDLESS, "no query at all"]):
            rows = found.rows(COUNT)
            while sum(text == ENDLESS for _, text, _ in queries) < 2:  # until the helpers are at it
                pass
            return rows

    path = state_db()
    file = AgentFile(path=path)
    gc.disable()  # what only its next run would close is open
    before = threads()
    try:
        for _ in range(20):
            with queries_of_threads() as queries:
                assert file.read(work) == file.read(lambda found: found.rows(COUNT))
            assert open_files(path) == 0
        assert readers_end(before)
    finally:
        gc.enable()


# Both, beside a writer


@pytest.mark.slow
@pytest.mark.parametrize("index", [True, False], ids=["helped", "shared"])
def test_reads_of_several_connections_are_right_beside_a_writer(
    state_db: StateDb, slow_disk: None, index: bool
) -> None:
    shape = Shape(index=index)
    path = state_db(shape)
    bridge = AgentBridge(path)
    before, shown = len(expected(shape)), [0]
    with writers.running("hurry", path, shape), queries_of_threads() as queries:
        for _ in range(60):
            items = bridge.sessions(limit=50).items
            assert len(items) >= min(50, before)
            fast = [one for one in items if one.session_id.startswith("fast-")]
            assert all(one.message_count == 2 for one in fast)
            shown.append(max((int(one.session_id.removeprefix("fast-")) for one in fast), default=0))
            assert open_files(path) == 0
    assert shown == sorted(shown)
    assert shown[1] < shown[-1], "nothing was written meanwhile, so nothing was shown"
    assert any(elsewhere for elsewhere, _, _ in queries)
