"""`hermes-store repair` and `salvage`: what they print, and their exit codes."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

ID = "5b8e2f61c0d7"


def change(database: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_repair_says_what_it_did(run: Any, run_json: Any, database: Path) -> None:
    change(database, f"UPDATE sessions SET message_count = 9 WHERE session_id = '{ID}'")
    said = run("repair", "--dry-run", "--db", database).stdout.splitlines()
    assert said[0] == f"Would repair session {ID}: its row counts 9 messages, and has 26."
    assert said[1].startswith(f"Looked at {database} (16 sessions): 1 repair, 0 findings left (")
    assert run_json("repair", "--dry-run", "--db", database)["dry_run"]
    done = run("repair", "--db", database).stdout.splitlines()
    assert done[0] == f"Repaired session {ID}: its row counts 9 messages, and has 26."
    assert (run_json("repair", "--db", database)["repaired"], run("verify", "--db", database).exit_code) == ([], 0)


def test_what_is_left_is_exit_code_1(run: Any, run_json: Any, database: Path) -> None:
    change(database, "UPDATE message_blobs SET payload = x'22' WHERE message_id = 1")
    said = run("repair", "--db", database, code=1).stdout.splitlines()
    assert said[0].startswith("Left session ")
    assert "messages.update" in said[0]
    done = run_json("repair", "--db", database, code=1)
    assert (done["ok"], done["left"][0]["kind"]) == (False, "message")
    assert "There is no database" in run("repair", "--db", database.parent / "none.db", code=3).stderr


def test_what_to_do_is_said_once(run: Any, database: Path) -> None:
    change(database, "UPDATE message_blobs SET payload = x'22' WHERE message_id <= 2")
    *found, advice, result = run("verify", "--db", database, code=1).stdout.splitlines()
    assert [line.endswith("is not what was written.") for line in found] == [True, True]
    assert advice.startswith("Of these 2: Restore a backup, or write it again with messages.update.")
    assert ": 2 findings (" in result


def test_a_damaged_schema_leads_to_repair(run: Any, database: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = database.read_bytes()
    database.write_bytes(content.replace(b"workspace TEXT", b"workspbce TEXT"))
    assert "16 sessions" in run("list", "--all", "--db", database).stdout
    assert "`hermes-store repair` puts it right in the file" in caplog.text  # without a handler, on standard error
    assert "`hermes-store repair`" in run("rename", ID, "New", "--db", database, code=4).stderr
    said = run("repair", "--db", database).stdout.splitlines()
    assert said[0] == "Repaired database: table sessions: not as this library made it."
    assert said[1].startswith(f"The file as it was is in {database}.")
    assert "16 sessions" in run("info", "--db", database).stdout + run("list", "--all", "--db", database).stdout


def test_a_salvage_says_what_is_missing(run: Any, run_json: Any, database: Path, tmp_path: Path) -> None:
    run("delete", "9d27a4f8e316", "--db", database)  # which counts as well
    said = run("salvage", database, tmp_path / "whole.db").stdout.splitlines()
    assert said[0].startswith(f"Read {database} (")
    assert said[0].endswith("16 whole.")
    assert said[1].startswith(f"{tmp_path / 'whole.db'} (206 messages, 2 projects, ")
    session = f"(SELECT id FROM sessions WHERE session_id = '{ID}')"
    row = f"(SELECT id FROM messages WHERE position = 3 AND session_id = {session})"
    change(database, f"UPDATE message_blobs SET payload = x'22' WHERE message_id = {row}")
    said = run("salvage", database, tmp_path / "partly.db", code=1).stdout.splitlines()
    assert said[0] == f"Part of session {ID}: 1 message missing, at 3."
    assert said[1].endswith("15 whole, 1 with parts missing.")
    done = run_json("salvage", database, tmp_path / "json.db", code=1)
    assert (done["ok"], done["messages"], done["sessions"][0]["missing"]) == (False, 205, [[3, 3]])
    with Store.open(tmp_path / "json.db", read_only=True) as store:
        assert store.stats().messages == 205 - 66


def test_what_cannot_be_salvaged_says_why(run: Any, database: Path, tmp_path: Path) -> None:
    assert "exists already" in run("salvage", database, database, code=4).stderr
    assert "There is no file" in run("salvage", tmp_path / "none.db", tmp_path / "new.db", code=3).stderr
    run("salvage", database, code=2)
