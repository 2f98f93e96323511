"""The tools for those who look after a database, on the command line."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.quoting import size
from tests.support.pseudo_terminal import run_in_terminal


def backups(database: Path) -> list[str]:
    return sorted(str(path) for path in (database.parent / "backups").iterdir())


def test_a_backup_says_what_and_where(run: Any, database: Path) -> None:
    said = run("backup", "--db", database).stdout.splitlines()
    (path,) = backups(database)
    assert said[0].startswith(f"Backed up 16 sessions (206 messages) of {database} (")
    assert said[1] == f"{path} ({size(Path(path).stat().st_size)})"


def test_a_backup_prints_json(run_json: Any, database: Path, tmp_path: Path) -> None:
    first = run_json("backup", "--db", database)
    done = run_json("backup", "--keep", "1", "--db", database)
    assert [done["path"]] == backups(database)
    assert done["removed"] == [first["path"]]
    assert (done["sessions"], done["messages"], done["projects"]) == (16, 206, 2)
    assert run_json("backup", tmp_path / "copy.db", "--db", database)["path"] == str(tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", read_only=True) as copy:
        assert copy.stats().sessions == 16


def test_impossible_backups_exit_with_their_documented_codes(run: Any, database: Path) -> None:
    assert "exists already" in run("backup", database, "--db", database, code=4).stderr
    assert "keep needs a folder" in run("backup", "new.db", "--keep", "1", "--db", database, code=2).stderr
    run("backup", "--keep", "0", "--db", database, code=2)
    assert "There is no database" in run("backup", "--db", database.parent / "none.db", code=3).stderr


@pytest.mark.slow
def test_a_backup_shows_progress_on_a_terminal(database: Path) -> None:
    said, code = run_in_terminal(["backup", "--db", database], {})
    assert (code, len(backups(database))) == (0, 1)
    assert "Backed up 16 sessions" in said


@pytest.mark.slow
def test_ctrl_c_leaves_no_backup(program_line: Any, database: Path, tmp_path: Path) -> None:
    with Store.open(database, durability="normal") as store:
        store.sessions.create(session_id="large")
        for _ in range(20):
            store.messages.extend("large", ["x" * 100_000] * 100)
    program = subprocess.Popen(program_line("backup", tmp_path / "copy.db", "--db", database), stderr=subprocess.PIPE)
    while not (tmp_path / "copy.db.part").exists() and program.poll() is None:
        pass
    program.send_signal(signal.SIGINT)
    _, said = program.communicate()
    assert program.returncode == 130
    assert b"Interrupted. No backup was made" in said
    assert not list(tmp_path.glob("copy*"))


def damage(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE sessions SET message_count = 9 WHERE session_id = '5b8e2f61c0d7'")


def test_a_whole_database_is_exit_code_0(run: Any, run_json: Any, database: Path) -> None:
    assert "(16 sessions, 206 messages): nothing is wrong (" in run("verify", "--db", database).stdout
    done = run_json("verify", "--db", database)
    assert (done["ok"], done["sessions"], done["messages"], done["findings"]) == (True, 16, 206, [])


def test_a_finding_is_exit_code_1(run: Any, run_json: Any, database: Path) -> None:
    damage(database)
    said = run("verify", "--db", database, code=1).stdout.splitlines()
    assert said[0].startswith("session 5b8e2f61c0d7: its row counts 9 messages, and has 26. `hermes-store repair`")
    assert ": 1 finding (" in said[-1]
    done = run_json("verify", "--db", database, code=1)
    (finding,) = done["findings"]
    assert (done["ok"], finding["kind"], finding["session_id"]) == (False, "message_count", "5b8e2f61c0d7")
    assert "There is no database" in run("verify", "--db", database.parent / "none.db", code=3).stderr


@pytest.mark.slow
def test_a_check_shows_progress_on_a_terminal(database: Path) -> None:
    damage(database)
    said, code = run_in_terminal(["verify", "--db", database], {})
    assert code == 1
    assert "1 finding" in said


def test_compacting_says_how_much_it_gave_back(run: Any, run_json: Any, database: Path) -> None:
    with Store.open(database, durability="normal") as store:
        store.sessions.create(session_id="large")
        store.messages.extend("large", ["x" * 10_000] * 100)
        store.sessions.purge("large")
    done = run_json("compact", "--db", database)
    assert done["freed_bytes"] == done["size_before"] - done["size_after"] > 1_000_000
    assert done["erased"]
    assert run("compact", "--db", database).stdout.startswith(f"Compacted {database} from ")
    assert "There is no database" in run("compact", "--db", database.parent / "none.db", code=3).stderr


@pytest.mark.slow
def test_compacting_shows_progress_on_a_terminal(database: Path) -> None:
    said, code = run_in_terminal(["compact", "--db", database], {})
    assert code == 0
    assert "Compacted" in said


def test_a_backup_is_restored(run: Any, run_json: Any, database: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "saved", "--db", database)
    run("delete", "5b8e", "--db", database)
    refused = run("restore-backup", tmp_path / "saved", "--db", database, code=2).stderr
    assert refused == "Nothing was restored: there is no terminal to ask on; --yes says yes.\n"
    said = run("restore-backup", tmp_path / "saved", "--yes", "--db", database).stdout.splitlines()
    assert said[0].startswith(f"Restored 16 sessions (206 messages) of {tmp_path / 'saved'} to {database} (")
    assert Path(said[1].removeprefix("What was there is in ")).exists()
    run("delete", "5b8e", "--db", database)  # it is there again
    done = run_json("restore-backup", tmp_path / "saved", "--db", tmp_path / "new.db")  # nothing to ask
    assert (done["sessions"], done["replaced"]) == (16, None)


def test_a_restore_dry_run_says_what_it_replaces(run: Any, run_json: Any, database: Path) -> None:
    run("backup", "--db", database)
    (saved,) = backups(database)
    run("delete", "5b8e", "--db", database)
    with Store.open(database):
        said = run("restore-backup", saved, "--dry-run", "--db", database).stdout
    assert "is whole. Would restore 16 sessions (206 messages) of it to" in said
    assert "It would replace 15 sessions (180 messages), and 1 deleted, and keep that as" in said
    assert "First, end what has the database open: " in said
    assert run_json("restore-backup", saved, "--dry-run", "--db", database)["dry_run"]
    with Store.open(database, read_only=True) as store:
        assert store.stats().deleted == 1
    assert "There is no database there now." in run("restore-backup", saved, "--dry-run", "--db", "new.db").stdout
    assert not Path("new.db").exists()


def test_what_cannot_be_restored_says_why(run: Any, database: Path, tmp_path: Path) -> None:
    assert "There is no backup" in run("restore-backup", "nothing", "--db", database, code=3).stderr  # nothing to ask
    run("backup", tmp_path / "saved", "--db", database)
    with Store.open(database) as store, store.snapshot() as view:
        view.sessions.list()
        assert "is in use" in run("restore-backup", tmp_path / "saved", "--yes", "--db", database, code=4).stderr


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["y\n", "n\n"])
def test_on_a_terminal_a_restore_asks(run: Any, database: Path, tmp_path: Path, typed: str) -> None:
    run("backup", tmp_path / "saved", "--db", database)
    with Store.open(database, durability="normal") as store:
        store.sessions.create(session_id="later")
    command: list[str | Path] = ["restore-backup", tmp_path / "saved", "--db", database]
    said, code = run_in_terminal(command, {}, typed=typed)
    assert code == 0
    assert "and keep what is there now next to it?" in said.replace("\n", " ")
    with Store.open(database, read_only=True) as store:
        assert store.sessions.exists("later") == (typed == "n\n")


def test_a_copy_says_what_it_copied(run: Any, run_json: Any, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert run("copy", database, target).stdout.startswith(
        f"Copied 16 sessions (206 messages) of {database} to {target} ("
    )
    assert "not empty" in run("copy", database, target, code=4).stderr
    assert run_json("copy", target, tmp_path / "other.db")["rows"]["messages"] == 206
