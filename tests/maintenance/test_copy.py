"""`copy` brings everything to another database, of any kind, and goes on when it was interrupted."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    CopyError,
    CopyUnfinishedError,
    DatabaseCorruptError,
    SessionDeletedError,
    Store,
)
from hermes_store.files import export_directory, import_directory
from hermes_store.maintenance import CopyProgress, copy, verify
from hermes_store.storage import copied_tables
from tests.support.internals import reading
from tests.support.nasty_text import nasty_messages
from tests.support.paths import EXAMPLE_STATE_DIR
from tests.support.processes import run_function
from tests.support.tables import all_rows


def fill(store: Store) -> None:
    """Something in every table, and sessions whose parents have larger row ids."""
    import_directory(store, EXAMPLE_STATE_DIR)
    store.projects.create(name="Last", project_id="last")
    for session_id in ("child", "parent", "gone", "purged"):
        store.sessions.create(session_id=session_id, title=f"half \ud83d and \0 {session_id}")
        store.messages.extend(session_id, nasty_messages("half \ud83d"))
    store.sessions.update("child", parent_id="parent")
    store.sessions.change_id("child", "renamed")
    store.messages.clear("parent", expected_revision=store.sessions.get("parent").revision)
    store.messages.append("parent", "hi")
    store.documents.put("parent", {"large": "x" * 5_000, "small": [1.5, None]})
    store.shares.create("parent")
    store.usage.record("parent", model="m", input_tokens=3, cost=0.5)
    store.sessions.delete("gone")
    store.sessions.delete("purged")
    store.sessions.purge("purged")
    store.projects.delete("last")


def rows(target: str | Path) -> dict[str, Any]:
    with Store.open(target, read_only=True) as store:
        found = all_rows(store)
    del found["search_state"]  # it says how far the index of words is
    del found["change_state"]  # cursors are of one database
    return found


def files(target: str | Path, folder: Path) -> dict[str, bytes]:
    with Store.open(target, read_only=True) as store:
        export_directory(store, folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def counters(target: str | Path) -> dict[str, int]:
    with Store.open(target, read_only=True) as store, store.database.read() as unit:
        return {name: last for name, last in unit.dialect.row_counters(unit).items() if last}


@pytest.fixture
def source(sqlite_path: Path) -> Path:
    with Store.open(sqlite_path, durability="normal") as store:
        fill(store)
    return sqlite_path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied_tables, "_ROWS", 20)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet."""
    if request.param == "sqlite":
        return str(tmp_path / "copy.db")
    url: str = request.getfixturevalue("make_postgres_database")(empty=True)
    return url


@pytest.mark.slow
def test_a_copy_there_and_back_is_equal(source: Path, target: str, tmp_path: Path, small_parts: None) -> None:
    steps = []
    report = copy(source, target, on_progress=lambda now: steps.append(now.step))
    back = tmp_path / "back.db"
    copy(target, back)
    assert rows(source) == rows(target) == rows(back)
    assert counters(source) == counters(target) == counters(back)
    assert files(source, tmp_path / "1") == files(target, tmp_path / "2") == files(back, tmp_path / "3")
    assert list(dict.fromkeys(steps)) == ["copy", "check", "index"]
    assert (report.resumed, report.replaced) == (0, [])
    assert report.rows["message_blobs"] == report.rows["messages"] > report.messages > 200
    with Store.open(target) as store:
        assert verify(store).findings == []
        assert store.search("deploy").items
        with pytest.raises(SessionDeletedError):
            store.sessions.create(session_id="purged")
        with reading(store) as connection:
            before = connection.exec_driver_sql("SELECT max(id) FROM messages").scalar_one()
        store.messages.append("parent", "next")
        with reading(store) as connection:
            assert connection.exec_driver_sql("SELECT max(id) FROM messages").scalar_one() > before


class Stopped(Exception):  # noqa: N818 - it is no error
    pass


@pytest.mark.parametrize(("step", "is_store"), [("copy", False), ("check", False), ("index", True)])
def test_a_copy_interrupted_at_a_step_goes_on(source: Path, tmp_path: Path, step: str, is_store: bool) -> None:
    target = tmp_path / "copy.db"
    interrupted(source, target, step, parts=2 if step == "copy" else 1)
    if is_store:  # opening it fills the index of words
        with Store.open(target) as store:
            assert verify(store).findings == []
    else:
        with pytest.raises(CopyUnfinishedError, match="goes on"):
            Store.open(target)
        assert copy(source, target).resumed > 0
    assert rows(source) == rows(target)


def copy_and_die(source: str, target: str, parts: str) -> None:
    """Copy in a process that is killed after some parts."""
    copied_tables._ROWS = 20
    left = int(parts)

    def die(now: CopyProgress) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    copy(source, target, on_progress=die)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_copy_cannot_open_but_can_resume(source: Path, target: str) -> None:
    assert run_function(copy_and_die, source, target, 12).returncode == -signal.SIGKILL
    with pytest.raises(CopyUnfinishedError):
        Store.open(target)
    assert copy(source, target).resumed > 100
    assert rows(source) == rows(target)


def interrupted(source: Path, target: str | Path, step: str = "copy", parts: int = 5) -> None:
    left = parts

    def stop(now: CopyProgress) -> None:
        nonlocal left
        left -= now.step == step
        if not left:
            raise Stopped

    with pytest.raises(Stopped):
        copy(source, target, on_progress=stop)


def test_a_source_that_changed_is_copied_anew(source: Path, tmp_path: Path, small_parts: None) -> None:
    target = tmp_path / "copy.db"
    interrupted(source, target, parts=8)
    with Store.open(source) as store:
        store.sessions.update("parent", title="Changed")
    assert copy(source, target).resumed == 0
    assert rows(source) == rows(target)


def test_an_open_target_refuses_writes_during_a_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with Store.open(target) as store:
        interrupted(source, target)
        with pytest.raises(CopyUnfinishedError):
            store.sessions.create(title="mine")
    copy(source, target)
    assert rows(source) == rows(target)


def test_a_second_copy_takes_over(source: Path, tmp_path: Path, small_parts: None) -> None:
    target = tmp_path / "copy.db"

    def take_over(now: CopyProgress) -> None:
        if now.step == "copy" and now.done > 100 and not done:
            done.append(now.done)
            interrupted(source, target, parts=1)

    done: list[int] = []
    with pytest.raises(CopyError, match="Another process"):
        copy(source, target, on_progress=take_over)
    assert copy(source, target).resumed >= done[0]
    assert rows(source) == rows(target)


def test_a_write_to_the_target_is_noticed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    def write(now: CopyProgress) -> None:
        if now.step == "check":
            with closing(sqlite3.connect(target)) as connection, connection:
                connection.execute("UPDATE message_blobs SET payload = '1'")

    with pytest.raises(CopyError, match="message_blobs"):
        copy(source, target, on_progress=write)
    with pytest.raises(CopyUnfinishedError):
        Store.open(target)
    assert copy(source, target).resumed == 0


def test_targets_that_are_no_empty_database_are_refused(source: Path, tmp_path: Path) -> None:
    full = tmp_path / "full.db"
    with Store.open(full) as store:
        store.projects.create(name="Work")
    before = rows(full)
    for target, reason in ((full, "not empty"), (source, "source itself|not empty"), (":memory:", "in memory")):
        with pytest.raises(CopyError, match=reason):
            copy(source, target)
    assert rows(full) == before


@pytest.fixture
def edited(source: Path) -> Iterator[Callable[[str], None]]:
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        yield lambda statement: connection.execute(statement).close()


def test_damaged_values_are_replaced_and_named(
    source: Path, edited: Callable[[str], None], make_postgres_database: Callable[..., str]
) -> None:
    edited("UPDATE sessions SET input_tokens = 'many', workspace = 'a' || char(0) || 'b' WHERE session_id = 'parent'")
    target = make_postgres_database(empty=True)
    report = copy(source, target)
    assert len(report.replaced) == 2
    assert "sessions: input_tokens of session_id 'parent'" in report.replaced
    with Store.open(target) as store:
        parent = store.sessions.get("parent")
    assert (parent.input_tokens, parent.workspace) == (0, "a\0b")


def test_links_to_missing_rows_are_refused(source: Path, edited: Callable[[str], None], tmp_path: Path) -> None:
    edited("PRAGMA foreign_keys = OFF")
    edited("DELETE FROM sessions WHERE session_id = 'parent'")
    with pytest.raises(DatabaseCorruptError, match="hermes-store repair"):
        copy(source, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_store_without_an_index_stays_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db", search=False) as store:
        store.sessions.create(title="words")
    copy(tmp_path / "a.db", tmp_path / "b.db")
    with Store.open(tmp_path / "b.db") as store:
        assert not store.info().search
