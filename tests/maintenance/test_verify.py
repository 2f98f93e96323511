"""`verify` finds everything that is damaged, names where it is, and finds nothing in what is whole."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import HermesStoreError, Store
from hermes_store.files import import_directory
from hermes_store.maintenance import VerifyProgress, reindex, repair, verify
from tests.support import damaged_files
from tests.support.internals import writing
from tests.support.paired_writer import writer_of
from tests.support.paths import EXAMPLE_HOME

LARGE = "x" * 5_000
MESSAGES = [
    {"role": "user", "content": "hi", "timestamp": 5.0},
    {"role": "assistant", "content": "ho", "timestamp": 6.0},
    {"role": "tool", "content": "done", "timestamp": 7.0},
]


def fill(store: Store) -> None:
    store.projects.create(name="Work", project_id="work")
    store.sessions.create(session_id="parent", title="Trip")
    store.sessions.create(session_id="s", title="Trip", project_id="work", parent_id="parent")
    cut = store.messages.extend("s", ["cut", "off"])
    store.messages.clear("s", expected_revision=cut.revision)
    store.messages.extend("s", MESSAGES)
    store.documents.put("s", {"large": LARGE, "small": 1})
    store.shares.create("s", {"title": "Trip"}, token="shared")
    store.usage.record("s", model="m", input_tokens=5, output_tokens=1, cost=0.1)
    store.sessions.create(session_id="gone")
    store.messages.extend("gone", MESSAGES)
    store.sessions.delete("gone")
    store.sessions.create(session_id="blank")
    store.sessions.create(session_id="purged")
    store.sessions.purge("purged")


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgresql"])
def store(request: pytest.FixtureRequest) -> Any:
    target = ":memory:"
    if request.param != "sqlite-memory":
        target = str(request.getfixturevalue("sqlite_path" if request.param == "sqlite-file" else "postgres_url"))
    with Store.open(target, durability="normal") as store:
        fill(store)
        yield store


S = "(SELECT id FROM sessions WHERE session_id = 's')"
SECOND = f"(SELECT id FROM messages WHERE session_id = {S} AND position = 1)"
#: What is done to session "s", and what is found in it: the kind, the position, the key.
DAMAGE: dict[str, tuple[str, list[tuple[str, int | None, str | None]]]] = {
    "more counted": (f"UPDATE sessions SET message_count = 4 WHERE id = {S}", [("message_count", None, None)]),
    "fewer counted": (f"UPDATE sessions SET message_count = 0 WHERE id = {S}", [("message_count", None, None)]),
    "more of the user": (
        f"UPDATE sessions SET user_message_count = 7 WHERE id = {S}",
        [("user_message_count", None, None)],
    ),
    "no message": (
        f"DELETE FROM messages WHERE id = {SECOND}",
        [("message_count", None, None), ("positions", None, None), ("times", None, None), ("times", None, None)],
    ),
    "moved away": (
        f"UPDATE messages SET position = 9 WHERE id = {SECOND}",
        [("positions", None, None), ("times", None, None)],
    ),
    "last message": (
        f"UPDATE sessions SET last_message_at = 8 WHERE id = {S}",
        [("times", None, None)],
    ),
    "no last message": (f"UPDATE sessions SET last_message_at = NULL WHERE id = {S}", [("times", None, None)]),
    "last activity": (
        f"UPDATE sessions SET last_activity_at = 7, activity_at = 7 WHERE id = {S}",
        [("times", None, None)],
    ),
    "order": (f"UPDATE sessions SET activity_at = 5 WHERE id = {S}", [("times", None, None)]),
    "another body": (
        f"UPDATE message_blobs SET payload = CAST('\"hO\"' AS {{blob}}) WHERE message_id = {SECOND}",
        [("message", 1, None)],
    ),
    "no body": (f"DELETE FROM message_blobs WHERE message_id = {SECOND}", [("message", 1, None)]),
    "another digest": (
        f"UPDATE messages SET digest = CAST('0' AS {{blob}}) WHERE id = {SECOND}",
        [("message", 1, None)],
    ),
    "another document": (
        "UPDATE session_documents SET payload = CAST('\"y\"' AS {blob})",
        [("document", None, "large")],
    ),
    "another kept body": ("UPDATE kept_messages SET payload = CAST('0' AS {blob})", [("history", None, None)] * 2),
    "a kept message less": ("DELETE FROM kept_messages WHERE position = 1", [("history", None, None)]),
    "damaged runs": ("UPDATE message_cuts SET runs = CAST('[[0]]' AS {blob})", [("history", None, None)]),
    "another share": ("UPDATE share_payloads SET payload = CAST('{{}}' AS {blob})", [("share", None, "shared")]),
    "more tokens": (f"UPDATE sessions SET input_tokens = 6 WHERE id = {S}", [("usage", None, None)]),
    "no usage": (f"DELETE FROM usage WHERE session_id = {S}", [("usage", None, None)]),
    "usage of another profile": (f"UPDATE usage SET profile = 'x' WHERE session_id = {S}", [("usage", None, None)]),
    "no copy of a share": ("DELETE FROM share_payloads", [("share", None, "shared")]),
    "no small documents": (
        "UPDATE session_extras SET payload = CAST('[1' AS {blob})",
        [("document", None, None)],
    ),
}


def test_nothing_is_wrong_in_a_whole_database(store: Store) -> None:
    report = verify(store)
    assert report.ok, report.findings
    assert (report.sessions, report.messages, report.documents, report.omitted) == (4, 6, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_found_in_its_session(store: Store, name: str) -> None:
    statement, expected = DAMAGE[name]
    blob = "bytea" if store.info().dialect == "postgresql" else "BLOB"
    with writing(store) as connection:
        connection.exec_driver_sql(statement.format(blob=blob))
    report = verify(store)
    found = [(finding.kind.value, finding.position, finding.key) for finding in report.findings]
    assert found == ([*expected[:2], *expected[2:]] if name != "no message" else expected[:3])
    assert {finding.session_id for finding in report.findings} == {"s"}
    assert all(finding.problem and finding.advice.endswith(".") for finding in report.findings)
    assert not report.ok


#: Without foreign keys, as other programs do it: what is found in the whole database.
BROKEN_LINKS = {
    "no session": (
        "DELETE FROM sessions WHERE session_id = 's'",
        {*("messages", "message_cuts", "session_documents", "session_extras", "shares", "usage")},
    ),
    "no project": ("DELETE FROM projects", {"sessions"}),
    "no parent": ("DELETE FROM sessions WHERE session_id = 'parent'", {"sessions"}),
    "no row of a message": (f"DELETE FROM messages WHERE id = {SECOND}", {"message_blobs"}),
}


@pytest.mark.parametrize("name", BROKEN_LINKS)
def test_rows_that_refer_to_nothing_are_found(sqlite_store: Store, sqlite_path: Path, name: str) -> None:
    fill(sqlite_store)
    statement, tables = BROKEN_LINKS[name]
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute(statement)
    links = [finding for finding in verify(sqlite_store).findings if finding.kind == "link"]
    assert {finding.problem.split()[4] for finding in links} == tables
    if tables == {"sessions"}:
        assert [finding.session_id for finding in links] == ["s"]
        sqlite_store.sessions.update("s", project_id=None, parent_id=None)
        reindex(sqlite_store)  # a removed title is still in the index of words
        assert verify(sqlite_store).ok


#: Values of another type than the column's.
TYPES = {
    "text count": ("UPDATE sessions SET message_count = 'many' WHERE session_id = 's'", "message_count"),
    "text count of the user": ("UPDATE sessions SET user_message_count = 'x'", "user_message_count"),
    "text position": (f"UPDATE messages SET position = 'x' WHERE id = {SECOND}", "positions"),
    "text body": (f"UPDATE message_blobs SET payload = 'text' WHERE message_id = {SECOND}", "message"),
    "text time": ("UPDATE sessions SET last_activity_at = 'noon' WHERE session_id = 's'", "times"),
    "bytes as id": ("UPDATE sessions SET session_id = x'ff' WHERE session_id = 's'", "fields"),
    "bytes as key": ("UPDATE session_documents SET key = x'ff'", "document"),
    "real number of a change": ("UPDATE projects SET change_number = 1.5", "changes"),
    "text as number of a change": ("UPDATE sessions SET change_number = 'x'", "changes"),
    "text as time of what is gone": ("UPDATE gone_ids SET gone_at = 'x'", "changes"),
    "bytes as a project's name": ("UPDATE projects SET name = x'ff'", "project"),
    "text as a project's values": ("UPDATE projects SET extra = 'x'", "project"),
    "no UTF-8 as key": ("UPDATE session_documents SET key = CAST(x'ff' AS TEXT)", "document"),
}


@pytest.mark.parametrize("name", TYPES)
def test_values_of_another_type_are_found(sqlite_store: Store, sqlite_path: Path, name: str) -> None:
    fill(sqlite_store)
    statement, kind = TYPES[name]
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute(statement)
    assert kind in {finding.kind for finding in verify(sqlite_store).findings}


def test_a_damaged_index_is_found(sqlite_store: Store, sqlite_path: Path) -> None:
    sqlite_store.projects.create(name="First")
    sqlite_store.projects.create(name="Second")
    sqlite_store.close()
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'position, id', 'id, position') "
            "WHERE name = 'ix_projects_list'"
        )
    with Store.open(sqlite_path) as store:
        findings = verify(store).findings
        assert {finding.kind.value for finding in findings} == {"schema", "file"}
        for finding in findings:
            assert "ix_projects_list" in finding.problem
            assert "hermes-store repair" in finding.advice
    assert repair(sqlite_path).ok
    with Store.open(sqlite_path) as store:
        assert verify(store).ok


def test_many_findings_are_counted(sqlite_store: Store, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_store.maintenance.verifying._MOST", 3)
    sqlite_store.sessions.create(session_id="s")
    sqlite_store.messages.extend("s", list(range(10)))
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute("UPDATE message_blobs SET payload = x'31'")
    report = verify(sqlite_store)
    assert [finding.position for finding in report.findings] == [0, 2, 3]  # message 1 is 1
    assert report.omitted == 6


def test_large_sessions_are_read_in_parts(sqlite_store: Store, sqlite_path: Path) -> None:
    sqlite_store.sessions.create(session_id="s")
    sqlite_store.messages.extend("s", [*["x" * 400_000] * 7, *range(2_500), "y" * 3_000_000, "z"])
    assert verify(sqlite_store).ok
    damaged = (0, 3, 6, 7, 1_006, 1_007, 2_506, 2_507, 2_508)
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE message_blobs SET payload = x'22' WHERE message_id IN "
            f"(SELECT id FROM messages WHERE position IN {damaged})"
        )
    assert [finding.position for finding in verify(sqlite_store).findings] == list(damaged)


def test_an_imported_home_is_whole(sqlite_store: Store) -> None:
    import_directory(sqlite_store, EXAMPLE_HOME)
    assert verify(sqlite_store).ok


@pytest.mark.slow
def test_others_write_while_it_checks(sqlite_path: Path) -> None:
    with Store.open(sqlite_path, read_only=True, busy_timeout=60) as store, writer_of(sqlite_path) as writer:

        def write(now: VerifyProgress) -> None:
            if now.step == "sessions":
                writer.write_more()

        for _ in range(5):
            before = writer.done
            report = verify(store, on_progress=write)
            assert report.ok, report.findings
            assert writer.done == before + 10  # two sessions


def test_progress_names_each_step(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 5)
    fill(sqlite_store)
    seen: list[VerifyProgress] = []
    verify(sqlite_store, on_progress=seen.append)
    steps = ["file", "links", "sessions", "projects", "changes", "imports"]
    assert list(dict.fromkeys(now.step for now in seen)) == steps
    assert [(now.done, now.total) for now in seen if now.step == "sessions"] == [(n, 4) for n in range(1, 5)]


@pytest.mark.parametrize("step", ["file", "links", "sessions", "projects", "imports"])
def test_a_check_can_be_interrupted(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 5)
    fill(sqlite_store)

    def interrupt(now: VerifyProgress) -> None:
        if now.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(sqlite_store, on_progress=interrupt)
    assert verify(sqlite_store).ok


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 60, 20))
def test_a_damaged_file_that_verifies_reads_correctly(tmp_path: Path, seed: int) -> None:
    """Bytes of a closed database are damaged at random: either something is found, or every text is as it was."""
    whole = tmp_path / "whole.db"
    damaged_files.make(whole)
    data = whole.read_bytes()
    found = 0
    for number in range(seed, seed + 20):
        path = tmp_path / "hermes.db"
        path.write_bytes(damaged_files.damage(data, number))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        try:
            with Store.open(path, durability="normal") as store:
                report = verify(store)
                if report.ok:
                    for session in range(6):
                        expected = [damaged_files.message(session, position) for position in range(20)]
                        assert store.messages.read(f"s{session}") == expected
                        documents = store.documents.read(f"s{session}")
                        assert documents == {"large": damaged_files.DOCUMENT, "small": session}
        except HermesStoreError:
            found += 1
        else:
            found += not report.ok
    assert found > 10


def test_nothing_is_written(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        fill(store)
    before = sqlite_path.read_bytes()
    shutil.copy(sqlite_path, sqlite_path.with_name("copy.db"))
    with Store.open(sqlite_path.with_name("copy.db"), read_only=True) as store:
        assert verify(store).ok
    assert sqlite_path.with_name("copy.db").read_bytes() == before
