"""A backup takes the place of a database at once, if nobody has that open; what was there is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    BackupError,
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseMissingError,
    HermesStoreError,
    InvalidInputError,
    SchemaNewerError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.maintenance import BackupProgress, backup, restore_backup, verify
from hermes_store.storage.dialects import open_files, sqlite_restore
from tests.support.first_release import DATABASES
from tests.support.processes import start_function

BEFORE, AFTER = ["one"], ["one", "two"]


@pytest.fixture(params=["wal", "delete"])
def mode(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def saved(sqlite_path: Path, tmp_path: Path, mode: Any) -> Path:
    """A backup of the database at `sqlite_path`, to which was written since, and which is closed."""
    with Store.open(sqlite_path, durability="normal", journal_mode=mode) as store:
        store.sessions.create(session_id="s")
        store.messages.extend("s", BEFORE)
        path = Path(backup(store, tmp_path / "saved").path)
        store.messages.append("s", "two")
    return path


def read(path: Path | str | None) -> list[Any]:
    assert path is not None
    with Store.open(path, read_only=True) as store:
        assert verify(store).ok
        return list(store.messages.read("s"))


def test_restoring_a_backup_keeps_the_old_file(saved: Path, sqlite_path: Path, mode: str) -> None:
    data = saved.read_bytes()
    sqlite_path.chmod(0o640)
    report = restore_backup(saved, sqlite_path)
    assert (read(sqlite_path), read(report.replaced)) == (BEFORE, AFTER)
    assert (report.target, report.sessions, report.messages) == (str(sqlite_path), 1, 1)
    assert stat.S_IMODE(sqlite_path.stat().st_mode) == 0o640
    assert saved.read_bytes() == data
    assert not list(sqlite_path.parent.glob("*.part"))
    with Store.open(sqlite_path) as store:
        assert store.info().journal_mode == mode
        store.messages.append("s", "three")
    assert read(report.replaced) == AFTER


def test_a_missing_database_is_restored(saved: Path, tmp_path: Path) -> None:
    assert restore_backup(saved, tmp_path / "new.db").replaced is None
    assert read(tmp_path / "new.db") == BEFORE
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    (tmp_path / "other.db-wal").write_bytes(b"a log")
    with pytest.raises(DatabaseCorruptError, match=r"log .* without its database"):
        restore_backup(saved, tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()


def test_a_link_to_the_database_stays_one(saved: Path, sqlite_path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(sqlite_path)
    restore_backup(saved, tmp_path / "link.db")
    assert (tmp_path / "link.db").is_symlink()
    assert read(sqlite_path) == BEFORE


@pytest.mark.parametrize("damage", ["header", "everything"])
def test_a_file_that_is_no_database_stays(saved: Path, sqlite_path: Path, damage: str) -> None:
    data = sqlite_path.read_bytes()
    broken = {"header": b"\0" * 100 + data[100:], "everything": b"x" * len(data)}[damage]
    sqlite_path.write_bytes(broken)
    before = sorted(sqlite_path.parent.iterdir())
    with pytest.raises(UnsupportedDatabaseError, match="move it away first"):
        restore_backup(saved, sqlite_path)
    assert sqlite_path.read_bytes() == broken
    assert sorted(sqlite_path.parent.iterdir()) == before


@pytest.mark.parametrize("damage", ["a page", "emptied"])
def test_a_damaged_database_is_replaced(saved: Path, sqlite_path: Path, damage: str) -> None:
    data = sqlite_path.read_bytes()
    broken = {"a page": data[:4096] + b"\xff" * 4096 + data[8192:], "emptied": b""}[damage]
    sqlite_path.write_bytes(broken)
    report = restore_backup(saved, sqlite_path)
    assert read(sqlite_path) == BEFORE
    # (The journal mode, which is in the header, is another one while a database is replaced.)
    assert Path(str(report.replaced)).read_bytes()[100:] == broken[100:]


def test_a_replaced_emptied_database_keeps_its_log(saved: Path, sqlite_path: Path) -> None:
    sqlite_path.write_bytes(b"")
    log = sqlite_path.with_name("hermes.db-wal")
    log.write_bytes(b"a log")
    report = restore_backup(saved, sqlite_path)
    assert read(sqlite_path) == BEFORE
    assert Path(f"{report.replaced}-wal").read_bytes() == b"a log"


def hold(path: str) -> None:
    """Have a database open, without a transaction, until the input ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("SELECT count(*) FROM sessions").fetchall()
        print("open", flush=True)
        sys.stdin.readline()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell who has a file open")
def test_who_has_the_database_open_is_named(saved: Path, sqlite_path: Path) -> None:
    other = start_function(hold, sqlite_path)
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(DatabaseLockedError, match=rf"Process {other.pid} \(.*\) has it open\. Nothing was changed"):
            restore_backup(saved, sqlite_path, on_progress=lambda _: pytest.fail("it was copied first"))
    finally:
        other.communicate("\n")
    assert read(sqlite_path) == AFTER
    restore_backup(saved, sqlite_path)
    assert read(sqlite_path) == BEFORE


@pytest.mark.parametrize("told", [True, False], ids=["the system tells", "the system does not tell"])
def test_a_store_of_this_process_counts(
    saved: Path, sqlite_path: Path, mode: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        monkeypatch.setattr(open_files, "_PROCESSES", Path("/nowhere"))
    monkeypatch.setattr("hermes_store.maintenance.restoring._PATIENCE", 0.1)
    with Store.open(sqlite_path) as store:
        with store.snapshot() as view:  # in the journal mode "delete", only a transaction has a lock
            view.sessions.list()
            with pytest.raises(DatabaseLockedError, match="is in use"):
                restore_backup(saved, sqlite_path)
        assert store.info().journal_mode == mode
        assert store.messages.append("s", "three").message_count == 3


def test_a_refused_restore_leaves_everything(
    saved: Path, sqlite_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "aside")

    monkeypatch.setattr(sqlite_restore, "_keep", fail)
    before = sorted(sqlite_path.parent.iterdir())
    with pytest.raises(BackupError, match="aside cannot be written: Permission denied"):
        restore_backup(saved, sqlite_path)
    assert sorted(sqlite_path.parent.iterdir()) == before
    with Store.open(sqlite_path, read_only=True) as store:
        assert (store.info().journal_mode, store.messages.read("s")) == (mode, AFTER)
    sqlite_path.write_bytes(b"")
    log = sqlite_path.with_name("hermes.db-wal")
    log.write_bytes(b"a log")
    with pytest.raises(BackupError):
        restore_backup(saved, sqlite_path)
    assert log.read_bytes() == b"a log"


def test_without_hard_links_the_file_is_renamed(
    saved: Path, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    report = restore_backup(saved, sqlite_path)
    assert (read(sqlite_path), read(report.replaced)) == (BEFORE, AFTER)


def test_a_dry_run_replaces_nothing(saved: Path, sqlite_path: Path) -> None:
    before = read(sqlite_path)
    with Store.open(sqlite_path):  # it may be open
        report = restore_backup(saved, sqlite_path, dry_run=True)
        assert f"{os.getpid()} (" in "".join(report.open_in) or not Path("/proc").exists()
    assert report.dry_run
    assert read(sqlite_path) == before
    assert not Path(report.replaced or "").exists()
    assert list(sqlite_path.parent.glob("*.part*")) == []
    with pytest.raises(DatabaseMissingError):
        restore_backup(saved.with_name("missing"), sqlite_path, dry_run=True)
    assert restore_backup(saved, sqlite_path.with_name("new.db"), dry_run=True).replaced is None
    assert not sqlite_path.with_name("new.db").exists()


def test_an_open_backup_is_restored_with_its_log(tmp_path: Path) -> None:
    with Store.open(tmp_path / "live.db") as store:
        store.sessions.create(session_id="s")
        store.messages.append("s", "in the log")
        restore_backup(tmp_path / "live.db", tmp_path / "new.db")
    assert read(tmp_path / "new.db") == ["in the log"]


def test_a_backup_of_the_first_release_is_upgraded(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript((DATABASES / "0001-everything.sql").read_text(encoding="utf-8"))
    report = restore_backup(tmp_path / "old.db", tmp_path / "new.db")
    assert report.schema_revision == "0001"
    with Store.open(tmp_path / "new.db") as store:
        assert store.stats().messages > 0


def test_what_is_no_backup_is_refused(saved: Path, sqlite_path: Path, tmp_path: Path) -> None:
    before = sqlite_path.read_bytes()
    damaged = bytearray(saved.read_bytes())
    damaged[4_096 * 3 : 4_096 * 3 + 8] = b"\xff" * 8
    (tmp_path / "damaged").write_bytes(damaged)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"no database" * 1_000)
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE chats (id)")
    shutil.copy(saved, tmp_path / "newer")
    with closing(sqlite3.connect(tmp_path / "newer")) as connection, connection:
        connection.execute("UPDATE hermes_store_version SET version_num = '9998'")
    refusals: dict[str, type[HermesStoreError]] = {
        "missing": DatabaseMissingError,
        "damaged": DatabaseCorruptError,
        "empty": DatabaseCorruptError,
        "text": DatabaseCorruptError,
        "foreign": UnsupportedDatabaseError,
        "newer": SchemaNewerError,
        sqlite_path.name: BackupError,
    }
    for name, kind in refusals.items():
        with pytest.raises(kind):
            restore_backup(tmp_path / name, sqlite_path)
    with pytest.raises(UnsupportedDatabaseError):
        restore_backup(saved, tmp_path / "foreign")
    with pytest.raises(InvalidInputError, match="memory"):
        restore_backup(saved, ":memory:")
    with pytest.raises(UnsupportedDatabaseError, match="pg_restore"):
        restore_backup(saved, "postgresql://localhost/nowhere")
    with pytest.raises(BackupError, match="cannot be written"):
        restore_backup(saved, tmp_path / "no folder" / "new.db")
    assert sqlite_path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob("*.replaced"))


@pytest.mark.parametrize("step", ["copy", "check"])
def test_a_restore_can_be_interrupted(
    saved: Path, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 10)

    def interrupt(now: BackupProgress) -> None:
        if now.step == step:
            raise KeyboardInterrupt

    before = sorted(sqlite_path.parent.iterdir())
    with contextlib.suppress(KeyboardInterrupt):
        restore_backup(saved, sqlite_path, on_progress=interrupt)
    assert sorted(sqlite_path.parent.iterdir()) == before
    assert read(sqlite_path) == AFTER
