"""`repair` puts right what follows from other rows, and leaves and names what follows from nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    DatabaseCorruptError,
    DatabaseMissingError,
    InvalidCursorError,
    InvalidInputError,
    RevisionNotKeptError,
    SchemaNewerError,
    StaleSessionError,
    Store,
)
from hermes_store.maintenance import RepairProgress, reindex, repair, verify
from hermes_store.storage.migrations import HEAD
from tests.support.internals import writing
from tests.support.paired_writer import writer_of

MESSAGES = [
    {"role": "user", "content": "hi", "timestamp": 5.0},
    {"role": "assistant", "content": "ho", "timestamp": 6.0},
    {"role": "tool", "content": "done", "timestamp": 7.0},
]
S = "(SELECT id FROM sessions WHERE session_id = 's')"
#: What is done to session "s": the kinds of what is put right, the messages that are left, and whether one is missing.
DERIVED: dict[str, tuple[str, int, bool]] = {
    "more counted": (f"UPDATE sessions SET message_count = 4 WHERE id = {S}", 3, True),
    "fewer counted": (f"UPDATE sessions SET message_count = 1 WHERE id = {S}", 3, False),
    "no message": (f"DELETE FROM messages WHERE session_id = {S} AND position = 1", 2, True),
    "moved away": (f"UPDATE messages SET position = 9 WHERE session_id = {S} AND position = 0", 3, True),
    "below zero": (f"UPDATE messages SET position = -3 WHERE session_id = {S} AND position = 1", 3, True),
    "more of the user": (f"UPDATE sessions SET user_message_count = 2 WHERE id = {S}", 3, False),
    "times": (f"UPDATE sessions SET last_message_at = 1, last_activity_at = 2 WHERE id = {S}", 3, False),
    "order": (f"UPDATE sessions SET activity_at = 5 WHERE id = {S}", 3, False),
}


def fill(store: Store) -> None:
    store.projects.create(name="Work", project_id="work")
    store.sessions.create(session_id="parent", title="Parent")
    store.sessions.create(session_id="s", title="Trip", project_id="work", parent_id="parent")
    store.messages.extend("s", MESSAGES)
    store.documents.put("s", {"small": 1, "large": "x" * 5_000})
    store.usage.record("s", model="m", input_tokens=5, cost=0.1, at=1e9)
    store.sessions.create(session_id="other", title="Other")
    store.messages.extend("other", MESSAGES)
    for session_id in ("purged", "lost"):
        store.sessions.create(session_id=session_id)
        store.sessions.purge(session_id)


def change(path: Path, *statements: str) -> None:
    """Run statements as another program does, without foreign keys."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def filled(sqlite_path: Path) -> Path:
    with Store.open(sqlite_path, durability="normal") as store:
        fill(store)
    return sqlite_path


@pytest.fixture(params=["sqlite-file", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    found = str(request.getfixturevalue("sqlite_path" if request.param == "sqlite-file" else "postgres_url"))
    with Store.open(found, durability="normal") as store:
        fill(store)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", DERIVED)
def test_what_follows_from_messages_is_put_right(target: str, name: str) -> None:
    statement, count, is_short = DERIVED[name]
    with Store.open(target, durability="normal") as store:
        before = store.sessions.get("s")
        with writing(store) as connection:
            connection.exec_driver_sql(statement)
        planned = repair(target, dry_run=True)
        assert not verify(store).ok
        done = repair(target)
        assert (done.ok, done.copy_path, done.sessions) == (True, None, 3)
        assert [(one.session_id, one.what) for one in done.repaired] == [
            (one.session_id, one.what) for one in planned.repaired
        ]
        assert {one.session_id for one in done.repaired} == {"s"}
        assert verify(store).ok
        after = store.sessions.get("s")
        assert (after.message_count, after.recovered) == (count, is_short)
        assert after.user_message_count == 1
        assert after.revision == before.revision + 1
        assert len(store.messages.read("s")) == count
        assert repair(target).repaired == []


@pytest.mark.parametrize(
    "damage",
    ["UPDATE usage SET input_tokens = 3, profile = 'x'", "DELETE FROM usage", "UPDATE sessions SET input_tokens = 7"],
)
def test_usage_follows_the_totals(target: str, damage: str) -> None:
    with Store.open(target, durability="normal") as store:
        with writing(store) as connection:
            connection.exec_driver_sql(damage)
        before = store.sessions.get("s")
        planned = repair(target, dry_run=True)
        done = repair(target)
        assert [one.what for one in done.repaired] == [one.what for one in planned.repaired]
        assert done.ok
        assert verify(store).ok
        assert store.sessions.get("s") == before
        counted = [one for one in store.usage.totals("session") if one.session == "s"]
        assert [(one.input_tokens, one.cost) for one in counted] == [(before.input_tokens, 0.1)]
        assert store.usage.totals(profile="x")[0].records == 0


#: What is done, the session and the project that are named, what `changes` tells of afterwards, and whether a cursor
#: from before goes on.
CHANGES: list[tuple[str, str | None, str | None, set[str], bool]] = [
    ("UPDATE projects SET change_number = 9223372036854775807", None, "work", {"work"}, True),
    ("UPDATE sessions SET change_number = -1 WHERE session_id = 's'", "s", None, {"s"}, True),
    ("UPDATE gone_ids SET change_number = -1 WHERE public_id = 'purged'", "purged", None, {"purged"}, True),
    ("UPDATE gone_ids SET public_id = 's' WHERE public_id = 'purged'", "s", None, {"s"}, True),
    ("UPDATE gone_ids SET kind = 'x' WHERE public_id = 'lost'", None, None, set(), False),
    ("DELETE FROM change_state", None, None, set(), False),
    ("UPDATE change_state SET base = -1", None, None, set(), False),
]


@pytest.mark.slow
def test_changes_tell_of_everything_again(target: str) -> None:
    for statement, session_id, project_id, told, goes_on in CHANGES:
        with Store.open(target, durability="normal") as store:
            cursor = store.changes().cursor
            with writing(store) as connection:
                connection.exec_driver_sql(statement)
            (finding,) = verify(store).findings
            assert (finding.kind, finding.session_id, finding.key) == ("changes", session_id, project_id), statement
            planned = repair(target, dry_run=True)
            done = repair(target)
            assert (done.ok, done.repaired) == (True, planned.repaired), statement
            assert verify(store).ok, statement
            if goes_on:
                assert {change.id for change in store.changes(after=cursor).items} == told, statement
            else:
                with pytest.raises(InvalidCursorError):
                    store.changes(after=cursor)
            cursor = store.changes().cursor
            store.sessions.update("other", title=statement)
            assert [change.id for change in store.changes(after=cursor).items] == ["other"], statement


def test_damaged_projects_are_left(target: str) -> None:
    with Store.open(target, durability="normal") as store:
        blob = "bytea" if store.info().dialect == "postgresql" else "BLOB"
        store.projects.create(name="Play", project_id="play")
        with writing(store) as connection:
            connection.exec_driver_sql(f"UPDATE projects SET extra = CAST('[1]' AS {blob}) WHERE project_id = 'work'")
            connection.exec_driver_sql("UPDATE projects SET project_id = 'p l a y' WHERE project_id = 'play'")
        done = repair(target)
        assert [(one.kind, one.key) for one in done.left] == [("project", "work"), ("project", None)]
        assert done.left == repair(target, dry_run=True).left == verify(store).findings


def test_former_messages_go_with_missing_ones(target: str) -> None:
    with Store.open(target, durability="normal") as store:
        before = {name: store.sessions.get(name).revision for name in ("s", "other")}
        for session_id, revision in before.items():
            store.messages.truncate(session_id, keep=2, expected_revision=revision)
            store.messages.append(session_id, "later")
            assert store.sessions.fork(session_id, revision=revision).message_count == 3
        with writing(store) as connection:
            connection.exec_driver_sql(f"DELETE FROM messages WHERE session_id = {S} AND position = 1")
        assert repair(target).ok
        with pytest.raises(RevisionNotKeptError):  # it would be a transcript that there never was
            store.sessions.fork("s", revision=before["s"])
        assert store.sessions.fork("other", revision=before["other"]).message_count == 3


def test_who_read_the_gaps_cannot_overwrite(filled: Path) -> None:
    change(filled, f"UPDATE messages SET position = position + 5 WHERE session_id = {S}")
    with Store.open(filled) as store:
        seen = store.sessions.get("s").revision
        assert repair(filled).ok
        assert store.messages.read("s") == MESSAGES
        with pytest.raises(StaleSessionError):
            store.messages.replace("s", [], expected_revision=seen)


#: Without foreign keys: what is done, and what a repair says.
LINKS = {
    "no project": ("DELETE FROM projects", "1 link to a project or parent that was not there removed"),
    "no parent": ("DELETE FROM sessions WHERE session_id = 'parent'", "1 link to a project or parent"),
    "no session": ("DELETE FROM sessions WHERE session_id = 's'", "session salvaged-2 was made for messages"),
    "no message": (f"DELETE FROM messages WHERE session_id = {S} AND position = 2", "1 body of no message removed"),
    "no owner of usage": (
        "UPDATE usage SET session_id = 99",
        "1 reference to a session that was not there removed",
    ),
    "no owner of a former id": (
        "INSERT INTO retired_ids VALUES ('former', 99, 1)",
        "1 reference to a session that was not there removed",
    ),
    "no owner of a share": (
        "INSERT INTO shares VALUES (9, 'lone', 99, 1, 1, NULL, x'00')",
        "1 share of no session removed",
    ),
    "no owner of small documents": ("INSERT INTO session_extras VALUES (99, '{}')", "small documents of no session"),
}


@pytest.mark.parametrize("name", LINKS)
def test_rows_that_refer_to_nothing_are_put_right(filled: Path, name: str) -> None:
    statement, said = LINKS[name]
    change(filled, statement)
    assert repair(filled, dry_run=True).repaired
    done = repair(filled)
    assert done.ok
    assert any(one.what.startswith(said) for one in done.repaired), done.repaired
    with Store.open(filled) as store:
        assert verify(store).ok
        if name == "no session":
            found = store.sessions.get("salvaged-2")
            assert (found.title, found.recovered) == ("Salvaged messages of a lost session", True)
            assert store.messages.read("salvaged-2") == MESSAGES
            assert store.documents.read("salvaged-2") == {"small": 1, "large": "x" * 5_000}


def test_what_follows_from_nothing_is_left(filled: Path) -> None:
    change(
        filled,
        "UPDATE message_blobs SET payload = x'22' WHERE message_id = 1",
        "UPDATE session_documents SET payload = x'22'",
        "UPDATE sessions SET title = x'ff' WHERE session_id = 'other'",
    )
    with Store.open(filled) as store:
        found = verify(store).findings
    done = repair(filled)
    assert (done.repaired, done.left) == ([], found)
    assert {(one.kind.value, one.session_id, one.position, one.key) for one in done.left} == {
        ("message", "s", 0, None),
        ("document", "s", None, "large"),
        ("fields", "other", None, None),
    }
    assert not done.ok


def test_a_page_of_bodies_is_left(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'message_blobs'").fetchone()
    with filled.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    with Store.open(filled) as store:
        found = verify(store).findings
    for report in (repair(filled, dry_run=True), repair(filled)):
        assert report.repaired == []
        assert {(one.kind.value, one.session_id) for one in report.left} == {
            (one.kind.value, one.session_id) for one in found
        }
    for finding in found:
        assert "malformed" in finding.problem
        assert "hermes-store" not in finding.problem
        assert "hermes-store salvage" in finding.advice
    with Store.open(filled) as store:  # it is as it was before
        store.sessions.update("other", title="Another")
        with pytest.raises(DatabaseCorruptError):
            reindex(store)
    with Store.open(filled) as store:
        store.sessions.update("other", title="Yet another")


#: A part of the schema's text: each is damaged in one letter.
NAMES = [
    b"workspace TEXT",
    b"session_extras (\n",
    b"CREATE TABLE messages",
    b"AUTOINCREMENT",
    b"ON sessions (archived, pinned, updated_at",
    b"WHERE deleted_at IS NULL",
    b"indexix_sessions_deletedsessions",
    b"indexsqlite_autoindex_sessions_1sessions",
    b"tablehermes_store_version",
    b"tablesqlite_sequence",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_the_schema_is_put_back(filled: Path, name: bytes) -> None:
    whole = filled.read_bytes()
    assert name in whole
    place = whole.index(name) + len(name) // 2
    damaged = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
    filled.write_bytes(damaged)
    planned = repair(filled, dry_run=True)
    assert filled.read_bytes() == damaged
    done = repair(filled)
    assert (done.ok, done.repaired[:1]) == (True, planned.repaired[:1])
    assert Path(str(done.copy_path)).read_bytes()[100:] == damaged[100:]
    assert Path(str(done.copy_path)).stat().st_mode & 0o777 == 0o600
    with Store.open(filled) as store:
        assert verify(store).ok
        assert store.sessions.count() == 3
        assert store.messages.read("s") == MESSAGES
        store.sessions.create(session_id="new", title="New")
    assert repair(filled).repaired == []


def test_an_index_that_is_missing_is_made(filled: Path) -> None:
    change(filled, "DROP INDEX ix_sessions_list")
    done = repair(filled)
    assert [one.what for one in done.repaired] == [
        "index ix_sessions_list, which is missing: not as this library made it"
    ]
    assert repair(filled).repaired == []


def test_what_others_added_stays(filled: Path) -> None:
    change(filled, "CREATE TABLE notes (text)", "CREATE INDEX ix_mine ON sessions (model)")
    before = filled.read_bytes()
    assert repair(filled).repaired == []
    assert filled.read_bytes() == before


def test_a_table_that_is_missing_cannot_be_repaired(filled: Path) -> None:
    change(filled, "DROP TABLE message_blobs")
    with pytest.raises(DatabaseCorruptError, match=r"table message_blobs is missing.*hermes-store salvage"):
        repair(filled)
    assert [one.name for one in filled.parent.iterdir()] == ["hermes.db"]


def test_wrong_marks_are_put_right(filled: Path) -> None:
    change(filled, "PRAGMA application_id = 7", "UPDATE hermes_store_version SET version_num = '00x4'")
    assert repair(filled).ok
    with Store.open(filled, migrate=False) as store:
        assert (store.info().schema_revision, verify(store).ok) == (HEAD, True)


def test_a_whole_database_is_not_written(filled: Path) -> None:
    before = filled.read_bytes()
    done = repair(filled)
    assert (done.ok, done.repaired, done.copy_path, done.sessions) == (True, [], None, 3)
    assert filled.read_bytes() == before
    assert [one.name for one in filled.parent.iterdir()] == ["hermes.db"]


@pytest.mark.slow
def test_others_write_while_it_repairs(sqlite_path: Path) -> None:
    with writer_of(sqlite_path) as writer:

        def write(now: RepairProgress) -> None:
            if now.step == "sessions":
                writer.write_more()

        change(sqlite_path, "UPDATE sessions SET message_count = message_count + 1")
        assert repair(sqlite_path, on_progress=write).ok
    with Store.open(sqlite_path) as store:
        assert verify(store).ok


def test_a_repair_can_be_interrupted(filled: Path) -> None:
    change(filled, "UPDATE sessions SET message_count = message_count + 1")
    seen: list[str] = []

    def interrupt(now: RepairProgress) -> None:
        seen.append(now.step)
        if now.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(filled, on_progress=interrupt)
    assert list(dict.fromkeys(seen)) == ["schema", "file", "links", "sessions"]
    assert {one.session_id for one in repair(filled).repaired} == {"s", "other"}  # the first one was done


def test_what_cannot_be_repaired_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        repair(tmp_path / "none.db")
    with pytest.raises(InvalidInputError, match="memory"):
        repair(":memory:")
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(DatabaseCorruptError, match="salvage"):
        repair(tmp_path / "text")
    assert [one.name for one in tmp_path.iterdir()] == ["text"]


def test_an_entry_of_the_import_log_is_checked(filled: Path) -> None:
    columns = "(kind, origin, item, digest, imported_at, notes)"
    rows: list[Any] = [
        ("webui-session", "/d", "a.json", b"1", 1.0, b'{"outcome":"imported"}'),
        ("webui-file", "/d", "b.json", b"1", 1.0, b'["a note"]'),
        ("webui-sesion", "/d", "c.json", b"1", 1.0, None),
        ("webui-file", "/d", "d.json", b"1", 1.0, b"{"),
        ("webui-file", "/d", "e.json", "1", 1.0, None),
        ("webui-file", b"\xff", "f.json", b"1", 1.0, None),
    ]
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.executemany(f"INSERT INTO import_items {columns} VALUES (?, ?, ?, ?, ?, ?)", rows)
    with Store.open(filled) as store:
        found = [one.problem.split()[1] for one in verify(store).findings]
    assert found == ["3", "4", "5", "6"]


def test_a_newer_database_is_not_repaired(filled: Path) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE sessions ADD COLUMN mood TEXT")
        connection.execute("UPDATE hermes_store_version SET version_num = '9999'")
        connection.execute("PRAGMA user_version = 9999")
    content = filled.read_bytes()
    for dry_run in (True, False):
        with pytest.raises(SchemaNewerError):
            repair(filled, dry_run=dry_run)
    assert filled.read_bytes() == content
    assert [one.name for one in filled.parent.glob("*.before-repair")] == []
