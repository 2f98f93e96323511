"""The tools for those who look after a database, on the command line."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from tests.support.pseudo_terminal import run_in_terminal


def backups(database: Path) -> list[str]:
    return sorted(str(path) for path in (database.parent / "backups").iterdir())


def test_a_backup_says_what_and_where(run: Any, database: Path) -> None:
    said = run("backup", "--db", database).stdout.splitlines()
    (path,) = backups(database)
    assert said[0].startswith(f"Backed up 16 sessions (206 messages) of {database} (")
    assert said[1] == f"{path} (291 kB)"


def test_a_backup_prints_json(run_json: Any, database: Path, tmp_path: Path) -> None:
    first = run_json("backup", "--db", database)
    done = run_json("backup", "--keep", "1", "--db", database)
    assert [done["path"]] == backups(database)
    assert done["removed"] == [first["path"]]
    assert (done["sessions"], done["messages"], done["projects"]) == (16, 206, 2)
    assert run_json("backup", tmp_path / "copy.db", "--db", database)["path"] == str(tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", read_only=True) as copy:
        assert copy.stats().sessions == 16


def test_what_cannot_be_backed_up_is_exit_code_4(run: Any, database: Path) -> None:
    assert "exists already" in run("backup", database, "--db", database, code=4).stderr
    assert "keep needs a folder" in run("backup", "new.db", "--keep", "1", "--db", database, code=2).stderr
    run("backup", "--keep", "0", "--db", database, code=2)
    assert "There is no database" in run("backup", "--db", database.parent / "none.db", code=3).stderr


@pytest.mark.slow
def test_a_backup_shows_progress_on_a_terminal(program_line: Any, database: Path) -> None:
    said, code = run_in_terminal(program_line("backup", "--db", database), {})
    assert (code, len(backups(database))) == (0, 1)
    assert "Backed up 16 sessions" in said


@pytest.mark.slow
def test_ctrl_c_leaves_no_backup(program_line: Any, database: Path, tmp_path: Path) -> None:
    with Store.open(database, durability="normal") as store:
        store.sessions.create(session_id="large")
        for _ in range(40):
            store.messages.extend("large", ["x" * 100_000] * 100)
    program = subprocess.Popen(program_line("backup", tmp_path / "copy.db", "--db", database), stderr=subprocess.PIPE)
    while not (tmp_path / "copy.db.part").exists() and program.poll() is None:
        pass
    program.send_signal(signal.SIGINT)
    _, said = program.communicate()
    assert program.returncode == 130
    assert b"Interrupted. No backup was made" in said
    assert not list(tmp_path.glob("copy*"))
