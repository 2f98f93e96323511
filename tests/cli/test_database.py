"""hermes-store info, upgrade and export; and which database each command takes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.storage.migrations import HEAD

READING = [["list"], ["show", "abc"], ["projects"], ["info"], ["upgrade"], ["export", "out"]]


def test_info_describes_the_database_and_counts_its_contents(
    run: Any, run_json: Callable[..., Any], example_store: Store, database: Path
) -> None:
    example_store.sessions.delete("3f9c1e7a04b2")
    facts = run_json("info", "--db", database)
    counts = {name: facts[name] for name in ("sessions", "deleted", "projects", "messages")}
    messages = sum(session.message_count for session in example_store.sessions.iterate())
    assert counts == {"sessions": 15, "deleted": 1, "projects": 2, "messages": messages}
    assert facts["path"] == str(database)
    assert facts["schema_revision"] == HEAD
    lines = dict(line.split(maxsplit=1) for line in run("info", "--db", database).stdout.splitlines())
    assert lines["database"] == str(database)
    assert lines["sessions"] == "15, and 1 deleted"
    assert lines["messages"] == str(messages)


def test_info_counts_more_deleted_sessions_than_a_page(run_json: Callable[..., Any], sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store, store.transaction() as tx:
        for _ in range(201):
            tx.sessions.delete(tx.sessions.create(title="gone").session_id)
    assert run_json("info", "--db", sqlite_path)["deleted"] == 201


def test_importing_an_export_gives_the_same_sessions(
    run: Any, run_json: Callable[..., Any], database: Path, tmp_path: Path
) -> None:
    said = run("export", tmp_path / "out", "--db", database).stdout
    assert said.startswith("16 sessions (206 messages) and 2 projects are in ")
    again = tmp_path / "again.db"
    assert run_json("import", tmp_path / "out", "--db", again)["counts"] == {"imported": 18, "skipped": 1}
    before, after = (run_json("list", "--all", "--db", path)["items"] for path in (database, again))
    # (The exported file of a recovered session is whole.)
    differs = {"revision": 0, "recovered": False}
    assert [item | differs for item in before] == [item | differs for item in after]
    assert (sum(item["recovered"] for item in before), sum(item["recovered"] for item in after)) == (1, 0)


def test_an_export_reports_json_and_overwrites_no_sessions(
    run: Any, run_json: Callable[..., Any], database: Path, tmp_path: Path
) -> None:
    assert run_json("export", tmp_path / "out", "--db", database)["sessions"] == 16
    done = run("export", tmp_path / "out", "--db", database, code=4)
    assert "has sessions, projects or shares already" in done.stderr


def test_upgrade_says_that_a_database_is_current(run: Any, run_json: Callable[..., Any], database: Path) -> None:
    assert run("upgrade", "--db", database).stdout == f"{database} is at revision {HEAD}, which is the newest.\n"
    assert run_json("upgrade", "--db", database) == {"target": str(database), "from": HEAD, "to": HEAD}


def test_upgrade_says_from_where_to_where(run: Any, run_json: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    assert run("upgrade", "--db", empty).stdout == f"{empty} had no tables; it is at revision {HEAD} now.\n"
    (tmp_path / "other.db").touch()
    assert run_json("upgrade", "--db", tmp_path / "other.db")["from"] is None
    assert run("list", "--db", empty).stdout.startswith("No sessions yet")


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_no_command_but_import_makes_a_database(run: Any, tmp_path: Path, command: list[str]) -> None:
    missing = tmp_path / "no folder" / "no.db"
    done = run(*command, "--db", missing, code=3)
    assert done.stderr == f"There is no database at {missing}; `hermes-store import --db '{missing}'` makes one.\n"
    assert list(tmp_path.iterdir()) == []


def test_advice_does_not_name_a_default_database_path(run: Any, tmp_path: Path) -> None:
    done = run("list", code=3, HERMES_WEBUI_STATE_DIR=str(tmp_path))
    assert done.stderr == f"There is no database at {tmp_path}/hermes.db; `hermes-store import` makes one.\n"


def test_an_empty_file_is_no_database_yet(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    done = run("list", "--db", tmp_path / "empty.db", code=3)
    assert "is empty; `hermes-store import" in done.stderr


def test_an_empty_file_can_be_imported_into(run: Any, home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert "16 files" not in run("import", home, "--db", tmp_path / "empty.db", "--dry-run").stdout
    assert (tmp_path / "empty.db").stat().st_size == 0
    assert "Next: hermes-store list" in run("import", home, "--db", tmp_path / "empty.db").stdout


def no_database(path: Path) -> None:
    path.write_text("This is no database, and long enough to be told from one. " * 50, encoding="utf-8")


def newer_database(path: Path) -> None:
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hermes_store_version SET version_num = '9998'")


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE others (id)")


@pytest.mark.slow
@pytest.mark.parametrize("make", [no_database, newer_database, other_database])
@pytest.mark.parametrize("command", [*READING, ["import"]], ids=lambda command: command[0])
def test_foreign_databases_end_every_command_with_one_line(
    run: Any, home: Path, tmp_path: Path, command: list[str], make: Callable[[Path], None]
) -> None:
    path = tmp_path / "it.db"
    make(path)
    before = path.read_bytes()
    if command[0] == "import":
        command = ["import", str(home)]
    done = run(*command, "--db", path, code=4)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("target", ["mysql://root@localhost/x", "postgresql://me:secret@localhost:1/x", "://"])
def test_an_unreachable_target_is_one_line_without_password(run: Any, target: str) -> None:
    done = run("list", "--db", target, code=4)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "secret" not in done.stderr


def test_the_database_is_named_anywhere_or_by_environment(run: Any, database: Path, tmp_path: Path) -> None:
    said = run("list", "--db", database).stdout
    assert run("--db", database, "list").stdout == said
    assert run("--db", tmp_path / "missing.db", "list", "--db", database).stdout == said
    assert run("list", HERMES_STORE_URL=f"sqlite:///{database}").stdout == said
    assert run("list", "--db", database, HERMES_STORE_URL="sqlite:///missing.db").stdout == said
