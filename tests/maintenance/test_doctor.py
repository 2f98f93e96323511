"""`doctor` says what is wrong with a database or around it, also when it cannot be opened, and writes nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hermes_store import InvalidInputError, Store, UnsupportedDatabaseError
from hermes_store.maintenance import Diagnosis, DoctorReport, backup, doctor
from hermes_store.storage.dialects import sqlite_health
from hermes_store.storage.dialects.postgresql_health import conditions
from tests.support.first_release import DATABASES
from tests.support.internals import writing
from tests.support.processes import start_function
from tests.support.state_dir import StateDir

DAY = 86_400.0


def found(report: DoctorReport, check: str) -> Any:
    """The only finding of a check."""
    (item,) = [item for item in report.items if item.check == check]
    return item


def bad(report: DoctorReport) -> dict[str, str]:
    """The checks that found more than a note, with how bad it is."""
    return {item.check: item.severity.value for item in report.items if item.severity in ("warning", "problem")}


@pytest.fixture
def database(sqlite_path: Path) -> Path:
    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(session_id="s", title="Trip")
        store.messages.append("s", "hi")
    sqlite_path.parent.chmod(0o700)
    return sqlite_path


def test_a_damaged_schema_is_a_problem(database: Path) -> None:
    database.write_bytes(database.read_bytes().replace(b"workspace TEXT", b"workspbce TEXT"))
    report = doctor(database)
    assert bad(report) == {"schema text": "problem"}
    assert "table sessions" in found(report, "schema text").text


def test_a_healthy_database_has_nothing_wrong(database: Path) -> None:
    before = database.read_bytes()
    report = doctor(database)
    assert report.ok
    assert bad(report) == {}
    assert {item.check for item in report.items} >= {
        *("schema", "SQLite", "file system", "log", "open in", "free space", "integrity", "tables", "rows", "trash"),
        *("modes", "folder", "disk", "backups"),
    }
    assert all(item.text.endswith(".") for item in report.items)
    assert all(item.advice for item in report.items if item.severity != "ok")
    assert database.read_bytes() == before


@pytest.mark.parametrize("backend", ["sqlite-memory", "postgresql"])
def test_other_databases_are_looked_at_as_well(request: pytest.FixtureRequest, backend: str) -> None:
    if backend == "sqlite-memory":
        report = doctor(":memory:")  # which is empty for everybody else
        assert bad(report) == {"database": "problem"}
        return
    url = request.getfixturevalue("postgres_url")
    with Store.open(url) as store:
        store.sessions.create(title="Trip")
        report = doctor(url)
        assert report.ok, report
        assert {"PostgreSQL", "transactions", "old rows", "schema", "rows"} <= {item.check for item in report.items}
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            other.execute("SELECT 1")
            with store.database.read() as unit:
                found = {one.check: one for one in conditions(unit, long=0.0)}
    assert found["transactions"].severity == "warning"
    assert "idle in transaction" in found["transactions"].text


def unusable(folder: Path, database: Path) -> dict[str, tuple[Path, str, str]]:
    """Make databases that cannot be opened: where each is, how bad it is, and a word of what is said."""
    (folder / "empty").write_bytes(b"")
    (folder / "text").write_text("no database " * 100)
    (folder / "directory").mkdir()
    shutil.copy(database, folder / "newer")
    with closing(sqlite3.connect(folder / "newer")) as connection, connection:
        connection.execute("UPDATE hermes_store_version SET version_num = '9998'")
    with closing(sqlite3.connect(folder / "foreign")) as connection:
        connection.execute("CREATE TABLE chats (id)")
    with closing(sqlite3.connect(folder / "older")) as connection:
        connection.executescript((DATABASES / "0001-everything.sql").read_text(encoding="utf-8"))
    content = bytearray(database.read_bytes())
    content[100:4000] = b"\xff" * 3900
    (folder / "damaged").write_bytes(content)
    return {
        "missing": (folder / "missing", "problem", "There is no database"),
        "folder missing": (folder / "no" / "folder", "problem", "There is no database"),
        "empty": (folder / "empty", "problem", "no hermes_store tables"),
        "text": (folder / "text", "problem", "not a database"),
        "directory": (folder / "directory", "problem", "is a directory"),
        "newer": (folder / "newer", "problem", "9998"),
        "foreign": (folder / "foreign", "problem", "something else"),
        "older": (folder / "older", "warning", "0001"),
        "damaged": (folder / "damaged", "problem", "malformed"),
    }


def test_a_database_that_cannot_open_is_reported(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unusable"
    folder.mkdir(mode=0o700)
    for name, (path, severity, words) in unusable(folder, database).items():
        before = path.read_bytes() if path.is_file() else None
        report = doctor(path)
        assert not report.ok
        (item,) = [one for one in report.items if one.check in ("database", "schema")]
        assert (item.severity, words in item.text) == (severity, True), (name, item)
        assert (path.read_bytes() if path.is_file() else None) == before


def test_damage_in_a_file_is_found(database: Path) -> None:
    content = bytearray(database.read_bytes())
    page = 4096
    content[page * 2 : page * 3] = b"\xff" * page
    database.write_bytes(content)
    assert "problem" in bad(doctor(database)).values()


def test_odd_rows_and_other_tables_are_found(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE theirs (id)")
        connection.execute("INSERT INTO message_blobs VALUES (4711, '1')")
        connection.execute("UPDATE sessions SET message_count = 'many'")
    report = doctor(database)
    assert bad(report) == {"integrity": "problem", "rows": "problem"}
    assert "message_blobs" in found(report, "integrity").text
    assert "message_count of session_id 's'" in found(report, "rows").text
    assert "theirs" in found(report, "tables").text
    assert "search" not in found(report, "tables").text  # those of the index of words are this library's


@pytest.mark.skipif(os.name == "nt", reason="modes are of Unix")
def test_who_else_may_read_or_replace_it(database: Path) -> None:
    database.chmod(0o640)
    database.parent.chmod(0o770)
    report = doctor(database)
    assert bad(report) == {"modes": "warning", "folder": "warning"}
    assert f"chmod 600 {database.name}" in found(report, "modes").advice


def test_the_trash_and_the_backups_have_their_age(database: Path) -> None:
    with Store.open(database) as store:
        made = Path(backup(store).path)
        store.sessions.delete("s")
        with writing(store) as connection:
            connection.exec_driver_sql(f"UPDATE sessions SET deleted_at = {time.time() - 40 * DAY}")
    report = doctor(database)
    assert "The first was deleted 40 days ago." in found(report, "trash").text
    assert "--deleted-before 30d" in found(report, "trash").advice
    assert found(report, "backups").severity == "ok"
    os.utime(made, (time.time() - 31 * DAY,) * 2)
    (database.parent / f"{database.name}.20260101T000000.000000Z.replaced").write_bytes(b"x" * 2000)
    report = doctor(database)
    assert bad(report) == {"backups": "warning"}
    assert "1 file, 2.0 kB" in found(report, "left over").text


def test_files_that_were_not_imported_are_named(database: Path, tmp_path: Path) -> None:
    state = StateDir(tmp_path / "home" / "webui")
    state.session("new", "hello")
    for home in (tmp_path / "home", tmp_path / "home" / "webui"):
        assert "1 are not imported (new.json)" in found(doctor(database, home=home), "imports").text
    assert not [item for item in doctor(database).items if item.check == "imports"]
    assert found(doctor(database, home=tmp_path), "imports").severity == "note"
    shutil.copy(database, tmp_path / "home" / "webui" / "hermes.db")  # in the folder itself
    assert "new.json" in found(doctor(tmp_path / "home" / "webui" / "hermes.db"), "imports").text


def test_imported_files_that_changed_are_named(database: Path, tmp_path: Path) -> None:
    from hermes_store.files import import_directory

    state = StateDir(tmp_path / "webui")
    state.session("one", "hello")
    with Store.open(database) as store:
        import_directory(store, state.root)
    assert "The" not in found(doctor(database, home=state.root), "imports").text.split(" ")
    assert found(doctor(database, home=state.root), "imports").severity == "ok"
    os.utime(state.sessions / "one.json", (time.time() + 5,) * 2)
    assert "1 changed since (one.json)" in found(doctor(database, home=state.root), "imports").text


def test_share_files_are_named(database: Path, tmp_path: Path) -> None:
    from hermes_store.files import import_directory

    state = StateDir(tmp_path / "webui")
    state.session("one", "hello")
    (state.root / "shares").mkdir()
    share = {"source_session_id": "one", "title": "One", "messages": [], "message_count": 0, "created_at": 1.0}
    (state.root / "shares" / "first.json").write_text(json.dumps({**share, "token": "first"}))
    with Store.open(database) as store:
        import_directory(store, state.root)
    assert [item.severity for item in of_imports(database, state.root)] == ["ok", "ok"]
    (state.root / "shares" / "second.json").write_text(json.dumps({**share, "token": "second"}))
    (state.root / "shares" / "none.txt").write_text("")
    (item,) = [item for item in of_imports(database, state.root) if item.severity == "note"]
    assert f"Of 2 share files in {state.root}, 1 are not imported (second.json)." in item.text
    assert f"hermes-store import {state.root}" in item.advice


def of_imports(database: Path, home: Path) -> list[Diagnosis]:
    return [item for item in doctor(database, home=home).items if item.check == "imports"]


def test_damaged_projects_are_named(database: Path) -> None:
    with Store.open(database) as store:
        store.projects.create(name="Work", project_id="work")
        with writing(store) as connection:
            connection.exec_driver_sql("UPDATE projects SET created_at = 'noon'")
    assert "created_at of project_id 'work'" in found(doctor(database), "rows").text


def test_a_log_on_a_shared_filesystem_is_reported(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_health, "shared_file_system", lambda folder: "nfs4")
    report = doctor(database)
    assert "nfs4" in found(report, "file system").text
    assert bad(report) == {"file system": "problem"}
    with Store.open(database, journal_mode="delete"):
        assert found(doctor(database), "file system").severity == "note"


def read_slowly(path: str) -> None:
    """In a process of its own: be in a transaction that reads, until the input ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sessions").fetchall()
        print("reading", flush=True)
        sys.stdin.read()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux says who has locks")
def test_a_long_log_names_who_reads(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_health, "_LONG_LOG", 1000)
    with Store.open(database) as store:
        store.messages.append("s", "x" * 5000)
        report = doctor(database)
        assert bad(report)["log"] == "warning"
        assert "Nobody reads at this moment" in found(report, "log").text
        with start_function(read_slowly, database) as reader:
            assert reader.stdout.readline() == "reading\n"
            report = doctor(database)
            reader.communicate("")
        assert f"Process {reader.pid} (python" in found(report, "log").text
        assert f"{reader.pid} (python" in found(report, "open in").text


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_versions_with_the_reset_fault_are_known(version: tuple[int, int, int], faulty: bool) -> None:
    assert sqlite_health.has_reset_fault(version) == faulty


def test_wrong_arguments_are_refused(database: Path) -> None:
    for arguments in ({"on_progress": 1}, {"home": 7}):
        with pytest.raises(InvalidInputError):
            doctor(database, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedDatabaseError):
        doctor("mysql://localhost/x")


def test_a_callback_can_end_it(database: Path) -> None:
    def stop() -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        doctor(database, on_progress=stop)
