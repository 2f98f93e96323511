"""A file that is no store, or no longer one, is refused by the right error and left as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    DatabaseCorruptError,
    DatabaseError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    HermesStoreError,
    SchemaNewerError,
    SchemaOutdatedError,
    Store,
    UnsupportedDatabaseError,
)


def _text(path: Path) -> None:
    path.write_text('{"session_id": "abc", "messages": []}\n' * 300)


def _noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def _zeroes(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _first_page_damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * 3996 + data[4096:])


def _short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 8192 * 4096])


def _zero_behind_the_first_page(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))


def _use(path: Path, session_id: str) -> None:
    with Store.open(path) as store:
        store.sessions.list(include_empty=True, total=True)
        store.messages.read(session_id)
        store.documents.read(session_id)


@pytest.mark.parametrize(
    "damage", [_text, _noise, _zeroes, _short, _first_page_damaged, _half, _zero_behind_the_first_page]
)
def test_damaged_files_are_corrupt_and_not_changed(
    sqlite_path: Path,
    session_id: str,
    damage: Callable[[Path], None],
    digest_of: Callable[[Path], str],
    require_cause: Callable[[DatabaseError], None],
) -> None:
    damage(sqlite_path)
    before = digest_of(sqlite_path)
    for _ in range(2):
        with pytest.raises(DatabaseCorruptError, match=sqlite_path.name) as caught:
            _use(sqlite_path, session_id)
        require_cause(caught.value)
    assert digest_of(sqlite_path) == before


def test_a_damaged_message_harms_no_other_session(sqlite_path: Path, session_id: str) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        other = store.sessions.create().session_id
        store.messages.append(other, "fine")
    with closing(sqlite3.connect(sqlite_path)) as connection, connection:
        connection.execute("UPDATE message_blobs SET payload = x'7b2268616c66' WHERE message_id = 2")
    with Store.open(sqlite_path) as store:
        with pytest.raises(DatabaseCorruptError):
            store.messages.read(session_id)
        assert store.messages.read(other) == ["fine"]
        assert [record.session_id for record in store.sessions.list().items] == [other, session_id]


def _in(folder: Path, *, journal_mode: str = "DELETE", script: str) -> Path:
    path = folder / "foreign.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.executescript(script)
    return path


NEWER = "CREATE TABLE hermes_store_version (version_num TEXT); INSERT INTO hermes_store_version VALUES ('9998');"
ALEMBIC = "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('0001');"
AGENT = "CREATE TABLE schema_version (version INTEGER); CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT);"


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
@pytest.mark.parametrize(
    ("script", "error"),
    [(AGENT, UnsupportedDatabaseError), (ALEMBIC, UnsupportedDatabaseError), (NEWER, SchemaNewerError)],
    ids=["agent", "alembic", "newer"],
)
def test_foreign_databases_are_refused_without_any_change(
    tmp_path: Path, journal_mode: str, script: str, error: type[Exception], digest_of: Callable[[Path], str]
) -> None:
    path = _in(tmp_path, journal_mode=journal_mode, script=script)
    before = digest_of(path)
    ways: list[dict[str, Any]] = [{}, {"migrate": False}, {"read_only": True}]
    for options in ways:
        with pytest.raises(error):
            Store.open(path, **options)
    assert digest_of(path) == before
    # Whoever reads a file that has a log makes one, and may not remove it when it is open for reading only.
    assert {file.name for file in tmp_path.iterdir()} <= {path.name, f"{path.name}-wal", f"{path.name}-shm"}


def test_a_forbidden_upgrade_is_refused_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        Store.open(tmp_path / "new.db", migrate=False)
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(SchemaOutdatedError):
        Store.open(path, migrate=False)
    with Store.open(path) as store:
        assert store.sessions.count() == 0, "an empty file becomes a store when it may"


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "inside").touch()
    with pytest.raises(DatabaseUnavailableError, match="is a directory"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


@pytest.mark.parametrize("below", ["hermes.db", "folder/hermes.db"])
def test_a_refused_path_through_a_file_changes_nothing(
    tmp_path: Path, below: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(DatabaseUnavailableError) as caught:
        Store.open(file / below)
    require_cause(caught.value)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("target", ["/proc/hermes/hermes.db", "/dev/null/hermes.db"])
def test_paths_where_no_file_can_exist_are_refused(target: str, require_cause: Callable[[DatabaseError], None]) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        Store.open(target)
    require_cause(caught.value)


def _open_and_write(path: Path, session_id: str | None, read_only: bool) -> tuple[str, Any]:
    try:
        with Store.open(path, read_only=read_only) as store:
            if not read_only:
                store.messages.append(session_id or "", "four")
            return "read", list(store.messages.read(session_id or ""))
    except HermesStoreError as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("folder", [".", "deep/deeper"])
def test_an_unwritable_folder_is_refused_and_stays_empty(
    public_folder: Path, folder: str, as_ordinary_user: Callable[..., Any]
) -> None:
    path = public_folder / folder / "hermes.db"
    kind, message = as_ordinary_user(_open_and_write, path, None, False)
    assert kind == DatabaseUnavailableError.__name__
    assert "Permission denied" in message
    assert list(public_folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o444, 0o000])
@pytest.mark.parametrize("read_only", [False, True])
def test_unwritable_files_are_read_or_give_typed_errors(  # noqa: PLR0917 - fixtures
    sqlite_path: Path,
    session_id: str,
    public_folder: Path,
    as_ordinary_user: Callable[..., Any],
    mode: int,
    read_only: bool,
    digest_of: Callable[[Path], str],
) -> None:
    public_folder.chmod(0o755)
    path = public_folder / "hermes.db"
    path.write_bytes(sqlite_path.read_bytes())
    before = digest_of(path)
    path.chmod(mode)
    public_folder.chmod(0o555)
    kind, detail = as_ordinary_user(_open_and_write, path, session_id, read_only)
    refused = {"DatabaseUnavailableError", "DatabaseReadOnlyError"}
    if mode == 0o444 and read_only:
        assert kind in refused or detail == ["one", "two", "three"]
    else:
        assert kind in refused
    if kind == "DatabaseReadOnlyError":
        assert "make the folder writable" in detail
    path.chmod(0o600)
    assert digest_of(path) == before
