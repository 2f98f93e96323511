"""Backups are whole, made while others write, and named last."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    BackupError,
    DatabaseCorruptError,
    InvalidInputError,
    Store,
    TransactionError,
    UnsupportedDatabaseError,
)
from hermes_store.maintenance import BackupProgress, backup
from hermes_store.storage.dialects import sqlite_backup
from tests.support.paired_writer import require_pairs, writer_of
from tests.support.processes import output, run_function

NAME = re.compile(r"hermes\.db\.\d{8}T\d{6}\.\d{6}Z\.backup")


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    sqlite_store.sessions.create(session_id="s", title="Trip")
    sqlite_store.messages.extend("s", [{"role": "user", "content": "hi " * 3000}] * 200)
    sqlite_store.sessions.create(session_id="gone")
    sqlite_store.sessions.delete("gone")
    sqlite_store.projects.create(name="P")
    return sqlite_store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_has_everything_and_opens(store: Store, tmp_path: Path) -> None:
    report = backup(store)
    path = Path(report.path)
    assert NAME.fullmatch(path.name)
    assert names(tmp_path / "backups") == [path.name]
    assert (report.sessions, report.messages, report.projects) == (2, 200, 1)
    assert report.size_bytes == path.stat().st_size
    assert report.schema_revision == store.info().schema_revision
    with Store.open(path) as copy:
        assert copy.messages.read("s") == store.messages.read("s")
        assert copy.stats() == store.stats()
        assert copy.info().journal_mode == "wal"


def test_only_the_owner_may_read_a_backup(store: Store) -> None:
    before = os.umask(0)
    try:
        path = Path(backup(store).path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_backup_has_the_state_of_one_moment(sqlite_path: Path, tmp_path: Path, mode: Any) -> None:
    with Store.open(sqlite_path, journal_mode=mode, busy_timeout=60) as store:
        store.sessions.create(session_id="large")
        store.messages.extend("large", ["x" * 20_000] * 200)
        with writer_of(sqlite_path) as writer:
            for number in range(3):
                done = writer.done
                writes = 0

                def write(now: BackupProgress) -> None:
                    nonlocal writes
                    if mode == "wal" and now.step == "copy" and writes < 2:  # without a log, writers wait
                        writer.write_more()
                        writes += 1

                if mode == "delete":
                    writer.start_more()
                report = backup(store, tmp_path / f"{number}.db", on_progress=write)
                assert (writes == 2) == (mode == "wal")
                if mode == "delete":
                    writer.wait()
                with Store.open(report.path, read_only=True) as copy:
                    require_pairs(copy, done)
                    assert (mode == "delete") or copy.messages.count("left") == done


def test_a_backup_needs_no_right_to_write(store: Store, sqlite_path: Path, tmp_path: Path) -> None:
    with Store.open(sqlite_path, read_only=True) as reader:
        assert backup(reader, tmp_path / "copy.db").messages == 200


def test_a_database_in_memory_is_backed_up(tmp_path: Path) -> None:
    with Store.open(":memory:") as store:
        store.sessions.create(title="Trip")
        with pytest.raises(InvalidInputError, match="name a target"):
            backup(store)
        assert backup(store, tmp_path / "copy.db").sessions == 1
        assert names(tmp_path) == ["copy.db"]


def test_a_postgresql_database_is_not_backed_up(postgres_url: str, tmp_path: Path) -> None:
    with Store.open(postgres_url) as store, pytest.raises(UnsupportedDatabaseError, match="pg_dump"):
        backup(store, tmp_path / "copy.db")
    assert names(tmp_path) == []


def test_progress_counts_pages_and_then_checks(store: Store, tmp_path: Path) -> None:
    seen: list[BackupProgress] = []
    backup(store, tmp_path / "copy.db", on_progress=seen.append)
    copied = [now for now in seen if now.step == "copy"]
    assert [now.done for now in copied] == sorted(now.done for now in copied)
    assert copied[-1].done == copied[-1].total
    assert all(now.step == "check" for now in seen[len(copied) :])


@pytest.mark.parametrize("step", ["copy", "check"])
def test_a_backup_that_is_interrupted_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 10)

    def interrupt(now: BackupProgress) -> None:
        if now.step == step:
            raise KeyboardInterrupt

    before = names(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        backup(store, tmp_path / "copy.db", on_progress=interrupt)
    assert names(tmp_path) == before
    store.messages.append("s", "afterwards")


def test_what_exists_is_not_overwritten(store: Store, sqlite_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for target in (tmp_path / "file", tmp_path / "link", sqlite_path):
        with pytest.raises(BackupError, match="exists already"):
            backup(store, target)
    (tmp_path / "copy.db.part").write_bytes(b"another one's")
    with pytest.raises(BackupError, match="another backup is writing it"):
        backup(store, tmp_path / "copy.db")
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert (tmp_path / "copy.db.part").read_bytes() == b"another one's"


@pytest.mark.parametrize("target", ["no folder", "file"])
def test_a_place_that_cannot_be_written_is_named(store: Store, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    before = names(tmp_path)
    with pytest.raises(BackupError, match=f"{target} cannot be written"):
        backup(store, tmp_path / target / "copy.db")
    assert names(tmp_path) == before


def test_keep_removes_older_backups_of_this_database_only(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    others = [
        "hermes.db.20200101T000000.000000Z.backup.gz",
        "other.db.20200101T000000.000000Z.backup",
        "xhermes.db.20200101T000000.000000Z.backup",
        "hermes.db.monday.backup",
        "notes",
    ]
    for name in [*others, "hermes.db.20200101T000000.000000Z.backup"]:
        (folder / name).write_bytes(b"")
    first = backup(store).path
    second = backup(store, keep=2)
    assert second.removed == [str(folder / "hermes.db.20200101T000000.000000Z.backup")]
    third = backup(store, folder, keep=1)
    assert third.removed == [first, second.path]
    assert names(folder) == sorted([*others, Path(third.path).name])


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, "1"])
def test_keep_is_a_number_of_backups(store: Store, tmp_path: Path, keep: Any) -> None:
    with pytest.raises(InvalidInputError, match="keep is a number"):
        backup(store, keep=keep)
    with pytest.raises(InvalidInputError, match="keep needs a folder"):
        backup(store, tmp_path / "copy.db", keep=1)
    assert not (tmp_path / "backups").exists()


def test_a_backup_removes_an_old_unfinished_part(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old, new = (folder / f"hermes.db.20200101T00000{number}.000000Z.backup.part" for number in range(2))
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    new.write_bytes(b"")
    path = Path(backup(store).path)
    assert names(folder) == sorted([new.name, path.name])


def test_a_damaged_database_gives_no_backup(store: Store, sqlite_path: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'projects'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    store.close()
    with sqlite_path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x0d\x00\x00\xff\xff" * 20)
    with Store.open(sqlite_path) as damaged, pytest.raises(DatabaseCorruptError, match=r"copy\.db|hermes\.db"):
        backup(damaged, tmp_path / "copy.db")
    assert [name for name in names(tmp_path) if name.startswith("copy")] == []


def test_a_damaged_copy_is_found(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the disk of the backup had changed a byte."""
    original = sqlite_backup.copy_pages

    def copy(source: Any, target: Path, progress: Callable[..., None]) -> None:
        original(source, target, progress)
        data = bytearray(target.read_bytes())
        data[4096 * 3 : 4096 * 3 + 8] = b"\xff" * 8
        target.write_bytes(data)

    monkeypatch.setattr(sqlite_backup, "copy_pages", copy)
    with pytest.raises(DatabaseCorruptError, match=r"copy\.db\.part is damaged \((?!\*)"):
        backup(store, tmp_path / "copy.db")
    assert [name for name in names(tmp_path) if name.startswith("copy")] == []


def test_a_backup_inside_a_transaction_is_refused(store: Store, tmp_path: Path) -> None:
    with store.transaction(), pytest.raises(TransactionError):
        backup(store, tmp_path / "copy.db")
    assert [name for name in names(tmp_path) if name.startswith("copy")] == []


def test_a_writer_in_this_process_keeps_its_lock(store: Store, sqlite_path: Path, tmp_path: Path) -> None:
    """A descriptor of the database that anybody closes would drop the locks of this process."""
    with Store.open(sqlite_path) as writer, writer.transaction() as tx:
        tx.sessions.update("s", title="Other")
        backup(store, tmp_path / "copy.db")
        assert try_to_write(sqlite_path) == "database is locked"


def try_to_write(path: Path) -> str:
    return output(run_function(print_attempt, path)).strip()


def print_attempt(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            print(error)
        else:
            print("free")
