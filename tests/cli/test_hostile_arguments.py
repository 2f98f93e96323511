"""Every command and each of its parameters × hostile values: a clean message and a documented exit code."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from hermes_store.cli.app import app
from hermes_store.cli.exits import ExitCode
from tests.support.command_line import invoke
from tests.support.hostile_values import some_of
from tests.support.paths import EXAMPLE_HOME, EXAMPLE_STATE_DB

pytestmark = pytest.mark.slow

#: Arguments that fit, by command; hostile values take the place of one of them, or are given as one more option.
FITTING: dict[str, list[str]] = {
    "import": ["home"],
    "export": ["out"],
    "show": ["5b8e"],
    "rename": ["5b8e", "New title"],
    "pin": ["5b8e"],
    "unpin": ["5b8e"],
    "archive": ["5b8e"],
    "unarchive": ["5b8e"],
    "move": ["5b8e", "--project", "Lantern"],
    "fork": ["5b8e"],
    "lineage": ["5b8e"],
    "history": ["5b8e"],
    "undo": ["5b8e"],
    "delete": ["5b8e"],
    "restore": ["5b8e"],
    "prune": ["--older-than", "90d", "--dry-run"],
    "purge": ["5b8e", "--dry-run"],
    "backup": ["out"],
    "copy": ["good.db", "copy.db"],
    "restore-backup": ["a file", "--yes"],
    "agent show": ["20260618"],
    "agent import": ["20260618"],
    "agent delete": ["20260618", "--dry-run"],
    "db stamp": ["0002", "--yes"],
}
TELLING = ["", "nul\0", "half \ud83d", "9" * 5001, "a pipe"]
HOSTILE = [
    " ",
    os.fsdecode(b"\xff"),
    "x" * 5000,
    "/".join(["y" * 200] * 30),
    "-1",
    "nan",
    "1e400",
    "\x1b[31m",
    "~nobody-is-called-this/x",
    "sqlite:///",
    "postgresql://u:secret@localhost:1/x",
    "://",
    "a folder",
    "a file",
    "a file/below",
    "empty.db",
    "--",
]


def parameters() -> Iterator[tuple[str, list[str], str | None]]:
    """Yield each command's words with each of its parameters: an option's name, or None for an argument."""

    def walk(command: Any, words: list[str]) -> Iterator[tuple[str, list[str], str | None]]:
        if children := getattr(command, "commands", None):
            for name, child in children.items():
                yield from walk(child, [*words, name])
            return
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                yield " ".join(words), words, None
            elif not parameter.is_flag and parameter.name not in ("help", "install_completion", "show_completion"):
                yield " ".join(words), words, parameter.opts[0]

    yield from walk(typer.main.get_command(app), [])


PARAMETERS = list(parameters())


def test_every_command_with_a_value_is_tried() -> None:
    tried = {name for name, _, _ in PARAMETERS}
    assert len(tried) == 45  # `db history` has no value
    assert set(FITTING) <= tried


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a database, a home, and what is neither."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(EXAMPLE_HOME, folder / "home")
    (folder / "a folder").mkdir()
    (folder / "a file").write_text("no database " * 500)
    os.mkfifo(folder / "a pipe")
    assert invoke(["import", EXAMPLE_HOME, "--db", folder / "good.db"]).exit_code == 0
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def command_line(words: list[str], option: str | None, value: str) -> list[str]:
    name = " ".join(words)
    fitting = list(FITTING.get(name, []))
    if option is None:
        fitting = [value, *fitting[1:]]
    else:
        fitting += [option, value]
    if option != "--db" and name != "agent import":
        fitting = ["--db", "good.db", *fitting] if words[0] not in ("agent", "copy") else fitting
    if words[0] == "agent" and option not in ("--home", "--path", "--agent-profile"):
        fitting = ["--home", "home", *fitting]
    return [*words, *fitting]


EACH = pytest.mark.parametrize(
    ("words", "option"),
    [(words, option) for _, words, option in PARAMETERS],
    ids=[f"{n} {o}" for n, _, o in PARAMETERS],
)


def problems(place: Path, words: list[str], option: str | None, values: list[str]) -> dict[str, Any]:
    """Return how a command ends with each value, where that is not as it should be."""
    env = {"HERMES_WEBUI_STATE_DIR": str(place / "state"), "HOME": str(place / "nowhere")}
    wrong = {}
    for value in values:
        (place / "empty.db").write_bytes(b"")
        shutil.rmtree(place / "out", ignore_errors=True)
        shutil.rmtree(place / "backups", ignore_errors=True)
        done = invoke(command_line(words, option, value), env)
        documented = done.exit_code in set(ExitCode)
        raised = done.exception is not None and not isinstance(done.exception, SystemExit)
        silent = done.exit_code > 1 and not done.stderr.strip()
        leaks = any(word in done.output for word in ("Traceback", "\x1b", *(["secret"] if option == "--db" else [])))
        if raised or not documented or silent or leaks:
            wrong[value[:40]] = (done.exit_code, repr(done.exception)[:200], done.output[:200])
    return wrong


@EACH
def test_malformed_values_give_a_documented_exit_code(place: Path, words: list[str], option: str | None) -> None:
    assert problems(place, words, option, TELLING) == {}


@EACH
def test_sampled_hostile_values_give_a_documented_exit_code(place: Path, words: list[str], option: str | None) -> None:
    assert problems(place, words, option, some_of(HOSTILE, f"{words}{option}")) == {}


def test_the_database_is_whole_after_all_that(place: Path) -> None:
    with contextlib.closing(sqlite3.connect(place / "good.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM sessions").fetchone()[0] >= 16
    assert (place / "home" / "state.db").read_bytes() == EXAMPLE_STATE_DB.read_bytes()
