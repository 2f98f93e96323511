"""hermes-store db: what it says of the tables' revision, and what it leaves alone."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.cli.progress import log_lines_shown
from hermes_store.storage import search_filling
from hermes_store.storage.dialects import upgrade_progress
from hermes_store.storage.migrations import HEAD
from tests.support.first_release import restore_sqlite
from tests.support.pseudo_terminal import run_in_terminal

Json = Callable[..., Any]
READING = [["current"], ["check"]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of the first release."""
    return restore_sqlite(tmp_path / "old.db")


def test_current_names_the_revision_and_what_to_do(run: Any, run_json: Json, database: Path, old: Path) -> None:
    assert run("db", "current", "--db", database).stdout == f"{HEAD} (head)\n"
    assert run_json("db", "current", "--db", database) == {"target": str(database), "revision": HEAD, "head": HEAD}
    said = run("db", "current", "--db", old).stdout
    assert said == f"0001; this version needs {HEAD}: `hermes-store db upgrade --db {old}`\n"


def test_current_describes_an_empty_or_newer_database(run: Any, database: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert run("db", "current", "--db", tmp_path / "empty.db").stdout.startswith("no tables; this version needs ")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE hermes_store_version SET version_num = '9998'")
    assert run("db", "current", "--db", database).stdout == (
        f"9998, which is newer than this version knows ({HEAD}): upgrade hermes_store\n"
    )


def test_history_lists_the_revisions_newest_first(run: Any, run_json: Json) -> None:
    history = run_json("db", "history")
    assert history["head"] == HEAD
    revisions = [one["revision"] for one in history["items"]]
    assert revisions == sorted(revisions, reverse=True)
    assert [one["previous"] for one in history["items"]] == [*revisions[1:], None]
    lines = run("db", "history").stdout.splitlines()
    assert lines[0].startswith(f"{HEAD} (head) ")
    assert lines[-1] == "0001 Sessions, messages and projects: the first schema."


def test_check_finds_the_tables_as_they_should_be(run: Any, run_json: Json, database: Path) -> None:
    said = run("db", "check", "--db", database).stdout
    assert said == f"The tables of {database} are as revision {HEAD} makes them.\n"
    assert run_json("db", "check", "--db", database)["differences"] == []


def test_check_names_what_differs_and_ends_with_1(run: Any, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP INDEX ix_sessions_parent_id")
        connection.execute("CREATE INDEX mine ON messages (role)")
        connection.execute("ALTER TABLE projects ADD COLUMN more TEXT")
        connection.execute("ALTER TABLE projects DROP COLUMN color")
        connection.execute("CREATE TABLE others (id)")
    said = run("db", "check", "--db", database, code=1).stdout.splitlines()
    assert sorted(said) == [
        "column color of table projects is missing",
        "column more of table projects is not this version's",
        "index ix_sessions_parent_id of table sessions is missing",
        "index mine of table messages is not this version's",
    ]


def test_check_reports_an_older_database_without_changing_it(run: Any, old: Path) -> None:
    before = old.read_bytes()
    said = run("db", "check", "--db", old, code=1).stdout
    assert said.endswith(f"{old} is at revision 0001, and this version needs {HEAD}.\n")
    assert old.read_bytes() == before


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_reading_the_revision_makes_nothing(run: Any, tmp_path: Path, command: list[str]) -> None:
    missing = tmp_path / "no folder" / "no.db"
    done = run("db", *command, "--db", missing, code=3)
    assert done.stderr == f"There is no database at {missing}; `hermes-store import --db '{missing}'` makes one.\n"
    assert list(tmp_path.iterdir()) == []


def test_upgrade_is_the_same_as_without_db(run_json: Json, old: Path) -> None:
    assert run_json("db", "upgrade", "--db", old) == {"target": str(old), "from": "0001", "to": HEAD}
    assert run_json("upgrade", "--db", old) == {"target": str(old), "from": HEAD, "to": HEAD}


def test_the_printed_statements_make_the_database(run: Any, tmp_path: Path) -> None:
    made = tmp_path / "made.db"
    script = run("db", "sql", "--db", made).stdout
    assert not made.exists()
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(script)
    with Store.open(made, migrate=False) as store:
        store.sessions.create(title="Trip")
    run("db", "check", "--db", made)


def test_statements_are_written_for_the_kind_of_database(run: Any) -> None:
    assert "bytea" in run("db", "sql", "--db", "postgresql://nowhere/x").stdout.casefold()
    part = run("db", "sql", "--to", "0001").stdout
    assert "transcript_revision" not in part
    assert "CREATE TABLE sessions" in part


@pytest.mark.parametrize(
    "options", [["--from", HEAD], ["--from", "zzz"], ["--to", "0000"], ["--from", HEAD, "--to", "0001"]]
)
def test_statements_between_no_revisions_are_wrong_usage(run: Any, options: list[str]) -> None:
    assert run("db", "sql", *options, code=2).stderr.count("\n") == 1


def test_a_lost_revision_is_noted_again(run: Any, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM hermes_store_version")
    assert f"stamp {HEAD}" in run("list", "--db", database, code=4).stderr
    assert "there is no terminal" in run("db", "stamp", HEAD, "--db", database, code=2).stderr
    said = run("db", "stamp", HEAD, "--yes", "--db", database).stdout
    assert said == f"{database} is noted to be at revision {HEAD}.\n"
    assert "15 sessions" in run("list", "--db", database).stdout


def test_stamping_needs_a_database_and_a_known_revision(run: Any, tmp_path: Path, database: Path) -> None:
    run("db", "stamp", HEAD, "--yes", "--db", tmp_path / "none.db", code=3)
    assert not (tmp_path / "none.db").exists()
    run("db", "stamp", "zzz", "--yes", "--db", database, code=2)
    assert run("db", "current", "--db", database).stdout == f"{HEAD} (head)\n"


def test_the_revision_of_postgresql_is_shown_and_checked(run: Any, postgres_url: str) -> None:
    assert run("db", "current", "--db", postgres_url).stdout == f"{HEAD} (head)\n"
    run("db", "check", "--db", postgres_url)


def test_an_upgrade_shows_how_far_it_is(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_filling, "_LOG_EVERY", 0.0)
    said, code = run_in_terminal(["upgrade", "--db", old], {}, columns=200)
    assert (code, f"was at revision 0001 and is at {HEAD} now." in said) == (0, True)
    assert "Index of words: " in said


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_upgrade_says_what_it_did(run: Any, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(upgrade_progress, "_INSTRUCTIONS", 1_000)
        patch.setattr(upgrade_progress.UpgradeProgress, "show", interrupt)
        done = run("upgrade", "--db", old, code=130)
    assert done.stderr == "Interrupted. The database is as it was.\n"
    with monkeypatch.context() as patch:
        patch.setattr(search_filling, "_fill_some", interrupt)
        for command in (["upgrade"], ["reindex"]):
            done = run(*command, "--db", old, code=130)
            assert "Its tables are upgraded; the next command that writes goes on" in done.stderr
    run("reindex", "--db", old)
    assert "nothing is wrong" in run("verify", "--db", old).stdout


def test_warnings_are_printed_while_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    logger = logging.getLogger("hermes_store")
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        with log_lines_shown(shown.append):
            logger.info("half of it")
            logger.warning("careful")
    finally:
        root.handlers = handlers
    assert (shown, capsys.readouterr().err) == (["half of it"], "careful\n")
    assert not logger.handlers
