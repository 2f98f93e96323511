"""``hermes-store doctor``: what it prints, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hermes_store import Store


def test_a_healthy_database_is_exit_code_0(run: Any, run_json: Any, database: Path) -> None:
    database.chmod(0o600)
    said = run("doctor", "--db", database).stdout
    assert said.splitlines()[-1].startswith(f"Nothing is wrong ({database}, ")
    assert "\nintegrity    ok       SQLite's quick check finds nothing wrong.\n" in said
    done = run_json("doctor", "--db", database)
    assert done["ok"]
    assert {item["severity"] for item in done["items"]} <= {"ok", "note"}


def test_a_finding_exits_with_1_and_gives_advice(run: Any, database: Path) -> None:
    database.chmod(0o644)
    with Store.open(database):
        said = run("doctor", "--db", database, code=1).stdout
    assert "WARNING  Others than the owner may read or write example.db" in said
    assert "chmod 600 example.db" in said
    assert said.splitlines()[-1].startswith("1 finding (")
    assert database.stat().st_mode & 0o777 == 0o644


def test_a_missing_database_is_a_finding(run: Any, run_json: Any, tmp_path: Path) -> None:
    said = run("doctor", "--db", tmp_path / "none.db", code=1).stdout
    assert said.startswith("database  PROBLEM  There is no database")
    assert not run_json("doctor", "--db", tmp_path / "none.db", code=1)["ok"]
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_compared_with_what_was_imported(run: Any, database: Path, home: Path) -> None:
    database.chmod(0o600)
    said = run("doctor", "--home", home, "--db", database).stdout
    assert "are not imported" in said
    assert f"`hermes-store import {home / 'webui'}`" in said
