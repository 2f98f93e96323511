"""What the program says of itself: help, version, exit codes; and what it needs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer.main

import hermes_store
from hermes_store.cli.app import app
from hermes_store.cli.exits import ExitCode

COMMANDS = [
    *("import", "export", "list", "search", "show", "rename", "pin", "unpin", "archive", "unarchive", "move"),
    *("fork", "lineage", "history", "undo"),
    *("delete", "trash", "restore", "prune", "purge"),
    *(
        "stats",
        "projects",
        "shares",
        "revoke",
        "backup",
        "restore-backup",
        "copy",
        "verify",
        "doctor",
        "repair",
        "salvage",
        "compact",
    ),
    *("reindex", "upgrade", "info", "agent", "db"),
]
AGENT_COMMANDS = ["list", "show", "import", "delete", "info"]
DB_COMMANDS = ["upgrade", "current", "history", "check", "sql", "stamp"]
EVERY = [*COMMANDS, *(f"agent {command}" for command in AGENT_COMMANDS), *(f"db {command}" for command in DB_COMMANDS)]


def test_the_commands_are_these(run: Any) -> None:
    assert set(typer.main.get_command(app).commands) == set(COMMANDS)  # type: ignore[attr-defined]
    assert set(program_of("agent").commands) == set(AGENT_COMMANDS)
    assert set(program_of("db").commands) == set(DB_COMMANDS)
    for words, commands in (([], COMMANDS), (["agent"], AGENT_COMMANDS), (["db"], DB_COMMANDS)):
        said = run(*words, "--help").stdout
        places = [said.index(f"│ {command} ") for command in commands]
        assert places == sorted(places)


def program_of(*words: str) -> Any:
    """The program's own description of a command."""
    found: Any = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("command", EVERY)
def test_every_option_and_argument_has_a_help_text(run: Any, command: str) -> None:
    words = command.split()
    assert run(*words, "--help").stdout == run(*words, "-h").stdout
    for owner in (program_of(), program_of(*words)):
        assert owner.help
        for parameter in owner.params:
            assert parameter.help, f"{command}: {parameter.name}"


def test_help_documents_every_exit_code(run: Any) -> None:
    said = " ".join(run("--help").stdout.split())
    assert {code.value for code in ExitCode} == {0, 1, 2, 3, 4, 130}
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in said


def test_the_version_is_the_librarys(run: Any) -> None:
    assert run("--version").stdout == f"hermes-store {hermes_store.__version__}\n"


@pytest.mark.parametrize("arguments", [["lst"], ["list", "--nothing"], ["show"], ["export"]])
def test_wrong_usage_is_exit_code_2(run: Any, arguments: list[str]) -> None:
    assert run(*arguments, code=2).stdout == ""


BLOCKER = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
{start}
"""
STARTS = ["runpy.run_module('hermes_store', run_name='__main__')", "from hermes_store.__main__ import main; main()"]


@pytest.mark.slow
@pytest.mark.parametrize(("missing", "start"), [("typer", STARTS[0]), ("typer", STARTS[1]), ("rich", STARTS[1])])
def test_a_missing_extra_prints_what_to_install(missing: str, start: str) -> None:
    script = BLOCKER.format(missing=missing, start=start)
    done = subprocess.run([sys.executable, "-c", script, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.endswith(": pip install 'hermes-store[cli]'\n")
    assert done.stderr.count("\n") == 1


def test_another_missing_module_is_reported_as_itself() -> None:
    script = BLOCKER.format(missing="sqlalchemy.engine", start=STARTS[1])
    done = subprocess.run([sys.executable, "-c", script, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'sqlalchemy.engine'" in done.stderr


def test_the_library_itself_imports_neither_typer_nor_rich() -> None:
    script = "import sys, hermes_store, hermes_store.files; print({'typer', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
