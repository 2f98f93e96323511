"""What the commands ask of the database does not grow with the number of its sessions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from tests.support.internals import writing
from tests.support.statements import executed_on_sqlite

_INSERT = (
    "INSERT INTO sessions (session_id, profile, project_id, title, created_at, updated_at) "
    "SELECT ?, 'default', id, 'Title', 1.0, ? FROM projects WHERE name = ?"
)


@pytest.fixture(scope="module")
def databases(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A database with 50 sessions, and one with 5,000; a tenth of them are deleted."""
    folder = tmp_path_factory.mktemp("databases")
    made = []
    for count in (50, 5_000):
        path = Path(shutil.copy(sqlite_template, folder / f"{count}.db"))
        made.append(path)
        with Store.open(path, durability="normal") as store:
            for name in ("Home", "Work"):
                store.projects.create(name=name)
            with writing(store) as connection:
                rows = [(f"s{number:04}", float(number), ("Home", "Work")[number % 2]) for number in range(count)]
                connection.exec_driver_sql(_INSERT, rows)
                connection.exec_driver_sql("UPDATE sessions SET deleted_at = 9.0 WHERE id % 10 = 0")
            store.sessions.change_id("s0000", "long-name")
            store.messages.extend("long-name", [{"role": "user", "content": str(number)} for number in range(20)])
    return made


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("show long-name", 0),
        ("show long-name --json", 0),
        ("show long-name --tail 3", 0),
        ("show long", 0),
        ("show s00", 3),
        ("show s0000", 3),
        ("show nothing", 3),
        ("info", 0),
        ("info --json", 0),
        ("projects", 0),
        ("projects --profile default", 0),
        ("list", 0),
        ("list --project Work", 0),
        ("list --deleted", 0),
    ],
)
def test_commands_run_the_same_statements_at_any_size(run: Any, databases: list[Path], command: str, code: int) -> None:
    few, many = (
        [sql for sql, _ in executed_on_sqlite(lambda path=path: run(*command.split(), "--db", path, code=code))]
        for path in databases
    )
    assert many == few
