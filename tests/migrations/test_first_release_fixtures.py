"""Databases of the first release, opened by the code of today: every value that was readable then is readable now.

Through the public interface alone, so that this holds for every schema to come. (The import log and the row ids have
none of their own; their tables are read as the first release named them.)
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import NotFoundError, SessionDeletedError, SessionExistsError, SessionRecord, Store
from hermes_store.files import import_directory
from tests.support.first_release import (
    JSON_FILES,
    canonical,
    content_digest,
    expected,
    import_log,
    make_large,
    restore_postgresql,
    restore_sqlite,
)

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path or URL of a database of the first release, whose imported files are in `tmp_path`."""
    if request.param == "sqlite":
        return str(restore_sqlite(tmp_path / "old.db", imported_from=tmp_path))
    make_postgres_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
    url = make_postgres_database(empty=True)
    restore_postgresql(url, imported_from=tmp_path)
    return url


@pytest.fixture
def store(old_database: str) -> Iterator[Store]:
    """The old database, opened by the code of today."""
    with Store.open(old_database) as store:
        yield store


@pytest.fixture
def json_files(tmp_path: Path) -> Path:
    """The state directory that was imported, where the import log says it is."""
    return Path(shutil.copytree(JSON_FILES, tmp_path / "json-files"))


def fields(record: Any, names: dict[str, Any]) -> dict[str, str]:
    """Return the fields that a record had in the first release."""
    return {name: canonical(getattr(record, name)) for name in names}


def records(store: Store) -> dict[str, SessionRecord]:
    """Return all sessions by id, live and deleted."""
    live = list(store.sessions.iterate(include_empty=True))
    deleted = list(store.sessions.list_deleted(limit=1000).items)
    found = {record.session_id: record for record in [*live, *deleted]}
    assert len(found) == len(live) + len(deleted)
    return found


def values(store: Store, session_id: str) -> tuple[list[str], dict[str, str]]:
    """Return a live session's messages and documents, as `expected` has them."""
    documents = store.documents.read(session_id)
    return (
        [canonical(message) for message in store.messages.read(session_id)],
        {key: canonical(value) for key, value in documents.items()},
    )


def assert_live_values_kept(store: Store, session_ids: set[str]) -> None:
    for session_id in session_ids:
        session = expected()["sessions"][session_id]
        messages, documents = values(store, session_id)
        assert messages == session["messages"], session_id
        assert documents == session["documents"], session_id


def test_all_session_records_are_as_before(store: Store) -> None:
    sessions = expected()["sessions"]
    found = records(store)
    assert found.keys() == sessions.keys()
    for session_id, record in found.items():
        before = sessions[session_id]["record"]
        assert fields(record, before) == {name: canonical(value) for name, value in before.items()}
        if record.deleted_at is None:
            assert store.sessions.get(session_id) == record


def test_all_messages_and_documents_are_as_before(store: Store) -> None:
    deleted = [record.session_id for record in store.sessions.list_deleted(limit=1000).items]
    assert len(deleted) >= 5
    for session_id in deleted:  # else they cannot be read
        store.sessions.restore(session_id)
    assert_live_values_kept(store, set(expected()["sessions"]))


def test_all_projects_are_as_before(store: Store) -> None:
    found: Any = store.projects.list()
    projects = found if isinstance(found, list) else found.items
    before = expected()["projects"]
    assert [fields(project, names) for project, names in zip(projects, before, strict=True)] == [
        {name: canonical(value) for name, value in project.items()} for project in before
    ]


def test_former_ids_never_mean_another_session(store: Store) -> None:
    renamed, purged = expected()["renamed"], expected()["purged"]
    assert len(renamed) >= 3
    assert len(purged) >= 4
    for former, now in renamed.items():
        with pytest.raises(NotFoundError, match=now):
            store.sessions.get(former)
        with pytest.raises(SessionExistsError):
            store.sessions.create(session_id=former)
    for gone in purged:
        with pytest.raises(NotFoundError):
            store.sessions.get(gone)
        with pytest.raises(SessionDeletedError):
            store.sessions.create(session_id=gone)


def test_the_import_log_is_as_before(old_database: str, store: Store, tmp_path: Path) -> None:
    engine = sa.create_engine(store_url(old_database), poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = import_log(connection)
    text = json.dumps(expected()["import_log"]).replace("/srv/first-release", str(tmp_path.resolve()))
    assert found == json.loads(text)
    assert {row["kind"] for row in found} == {"webui-session", "webui-project", "agent-session"}


def test_unchanged_files_are_not_imported_again(store: Store, json_files: Path) -> None:
    before = records(store)
    report = import_directory(store, json_files)
    assert {item.outcome.value for item in report.items} == {"unchanged", "skipped"}
    assert records(store) == before
    imported = {item.id for item in report.items} & expected()["sessions"].keys()
    assert_live_values_kept(store, {name for name in imported if name and before[name].deleted_at is None})


def test_a_changed_file_updates_untouched_sessions_only(store: Store, json_files: Path) -> None:
    for name in ("0dd000000005", "0dd000000012"):
        path = json_files / "sessions" / f"{name}.json"
        data = json.loads(path.read_bytes())
        path.write_text(json.dumps({**data, "title": "Changed in its file"}), encoding="ascii")
    outcomes = {item.id: item.outcome.value for item in import_directory(store, json_files).items}
    assert outcomes["0dd000000005"] == "updated"
    assert outcomes["0dd000000012"] == "conflict"  # it was changed in the store, too
    assert store.sessions.get("0dd000000005").title == "Changed in its file"
    assert store.sessions.get("0dd000000012").title == "Changed here"


def test_row_ids_of_removed_rows_stay_unused(old_database: str, store: Store) -> None:
    store.projects.create(name="New", project_id="new")
    store.sessions.create(session_id="new", title="New")
    messages = [*store.messages.read("replaced"), "new"]
    store.messages.replace("replaced", messages, expected_revision=store.sessions.get("replaced").revision)
    engine = sa.create_engine(store_url(old_database), poolclass=sa.NullPool)
    with engine.connect() as connection:
        for table in ("projects", "sessions", "messages"):
            highest = connection.exec_driver_sql(f"SELECT max(id) FROM {table}").scalar_one()
            assert highest > expected()["highest_row_ids"][table]


def store_url(target: str) -> str:
    return target if "://" in target else f"sqlite:///{target}"


def test_a_large_database_keeps_its_content(tmp_path: Path) -> None:
    path = make_large(tmp_path / "large.db", megabytes=3)
    assert 2_700_000 < path.stat().st_size < 3_300_000
    assert content_digest(make_large(tmp_path / "again.db", megabytes=3)) == content_digest(path)
    before = content_digest(path)
    with Store.open(path) as store:
        assert len(store.messages.read("00000000000a")) == 200
        assert len(store.documents.read("00000000000a")) == 58
    assert content_digest(path) == before


def test_the_content_digest_sees_every_change(tmp_path: Path) -> None:
    path = make_large(tmp_path / "large.db", megabytes=1)
    digests = {content_digest(path)}
    changes = (
        "UPDATE sessions SET title = 'other' WHERE id = 1",
        "UPDATE messages SET role = 'other' WHERE id = 1",
        "UPDATE message_blobs SET payload = X'31' WHERE message_id = 200",
        "UPDATE session_documents SET payload = X'31' WHERE session_id = 1 AND key = 'key_54'",
        "DELETE FROM session_documents WHERE session_id = 1 AND key = 'key_00'",
    )
    with closing(sqlite3.connect(path)) as connection:
        for change in changes:
            assert connection.execute(change).rowcount == 1
            connection.commit()
            digests.add(content_digest(path))
    assert len(digests) == 1 + len(changes)


def test_the_content_digest_ignores_where_documents_are(tmp_path: Path) -> None:
    path = make_large(tmp_path / "large.db", megabytes=1)
    before = content_digest(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE session_extras (session_id INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        for (session,) in connection.execute("SELECT id FROM sessions").fetchall():
            small = connection.execute(
                "DELETE FROM session_documents WHERE session_id = ? AND length(payload) <= 2048 RETURNING key, payload",
                (session,),
            ).fetchall()
            body = b"{" + b",".join(json.dumps(key).encode() + b":" + value for key, value in small) + b"}"
            connection.execute("INSERT INTO session_extras VALUES (?, ?)", (session, body))
        connection.commit()
    assert content_digest(path) == before
