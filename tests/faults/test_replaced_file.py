"""The file, or its log, is deleted or replaced while a store has it open: no write is acknowledged and lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, DatabaseError, DatabaseMissingError, DatabaseReplacedError, Store
from tests.support.processes import run


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _delete(path: Path, backup: Path) -> None:
    path.unlink()


def _replace(path: Path, backup: Path) -> None:
    shutil.copy(backup, backup.with_name("copy"))
    backup.with_name("copy").replace(path)


def _remove_log(path: Path, backup: Path) -> None:
    _log(path).unlink()


def _delete_all(path: Path, backup: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


HAPPENINGS: list[tuple[Callable[[Path, Path], None], type[DatabaseError]]] = [
    (_delete, DatabaseMissingError),
    (_delete_all, DatabaseMissingError),
    (_replace, DatabaseReplacedError),
    (_remove_log, DatabaseReplacedError),
]


@pytest.mark.parametrize(("happen", "expected"), HAPPENINGS)
def test_no_write_is_acknowledged_and_lost(
    sqlite_path: Path,
    sqlite_template: Path,
    happen: Callable[[Path, Path], None],
    expected: type[DatabaseError],
) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="before")
        happen(sqlite_path, Path(shutil.copy(sqlite_template, sqlite_path.with_name("backup"))))
        for _ in range(2):
            with pytest.raises(expected, match="Nothing was written"):
                store.sessions.create(session_id="lost")
            with pytest.raises(expected), store.transaction() as tx:
                tx.sessions.create(session_id="lost")
    for file in sqlite_path.parent.glob(f"{sqlite_path.name}-*"):
        file.unlink()
    with Store.open(sqlite_path) as store:
        assert not store.sessions.exists("lost")
        assert store.sessions.create(session_id="after").session_id == "after"


def test_a_new_connection_is_to_the_same_file(sqlite_path: Path, sqlite_template: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="before")
        store.database.dialect.close()  # as before a fork
        _replace(sqlite_path, sqlite_template)
        with pytest.raises(DatabaseReplacedError):
            store.sessions.list()


def test_a_file_that_comes_back_is_used_again(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="before")
        away = sqlite_path.rename(sqlite_path.with_name("away"))
        with pytest.raises(DatabaseMissingError):
            store.sessions.create()
        away.rename(sqlite_path)
        store.sessions.create(session_id="after")
    with Store.open(sqlite_path) as store:
        assert store.sessions.exists("after")


def test_a_new_file_copied_without_its_log_opens(tmp_path: Path) -> None:
    with Store.open(tmp_path / "new.db"):
        # By a process of its own: closing a descriptor here would drop the store's locks.
        run("cp", tmp_path / "new.db", tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", migrate=False) as store:
        assert store.stats().sessions == 0


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_log_without_database_is_refused_and_kept(sqlite_path: Path, state: str) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create()
        log = _log(sqlite_path).read_bytes()
    sqlite_path.unlink()
    if state == "empty":
        sqlite_path.touch()
    _log(sqlite_path).write_bytes(log)
    with pytest.raises(DatabaseCorruptError, match="-wal is not"):
        Store.open(sqlite_path)
    assert _log(sqlite_path).read_bytes() == log
