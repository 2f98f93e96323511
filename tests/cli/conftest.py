"""The program as a person runs it: on a copy of the example home, and on a store full of nasty text."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from hermes_store import Store
from hermes_store.cli import output
from tests.support.command_line import invoke
from tests.support.nasty_text import NASTY, nasty_messages
from tests.support.paths import EXAMPLE_HOME

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, and check its exit code.

    With `columns` it is as on a terminal of that width, without colours; otherwise as in a pipe.
    """

    def run(*arguments: str | Path, code: int = 0, columns: int | None = None, **env: str) -> Result:
        monkeypatch.setattr(output, "is_terminal", lambda: columns is not None)
        terminal = {"COLUMNS": str(columns or 80), "LINES": "30", "TERM": "xterm", "NO_COLOR": "1"}
        done = invoke(arguments, env={**terminal, **env})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """Run a command with --json, and return its one document."""

    def run_json(*arguments: str | Path, **options: Any) -> Any:
        done = run(*arguments, "--json", **options)
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run_json


@pytest.fixture
def program_line() -> Callable[..., list[str]]:
    """Make the command line that runs the program as a process of its own."""
    return lambda *arguments: [sys.executable, "-W", "error", "-m", "hermes_store", *map(os.fspath, arguments)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the example home."""
    return Path(shutil.copytree(EXAMPLE_HOME, tmp_path / "home"))


@pytest.fixture(scope="session")
def imported_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "hermes.db"
    done = invoke(["import", EXAMPLE_HOME, "--db", path])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture
def database(imported_template: Path, tmp_path: Path) -> Path:
    """A database into which the example home was imported."""
    return Path(shutil.copy(imported_template, tmp_path / "example.db"))


@pytest.fixture
def nasty_database(sqlite_path: Path) -> Path:
    """A database with a session for each nasty text, which is also in its every field and message."""
    with Store.open(sqlite_path, durability="normal") as store:
        for text in NASTY:
            project = store.projects.create(name=text[:128], profile=text[:255])
            session = store.sessions.create(
                title=text,
                model=text,
                workspace=text,
                personality=text,
                source=text[:255],
                profile=text[:255],
                project_id=project.project_id,
            )
            store.messages.extend(session.session_id, nasty_messages(text))
            store.documents.put(session.session_id, {"pending_user_message": text, text[:500]: text})
    return sqlite_path


@pytest.fixture
def example_store(database: Path) -> Iterator[Store]:
    with Store.open(database, durability="normal") as store:
        yield store
