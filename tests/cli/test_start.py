"""What the program does before and after its command: what it imports, and when it looks for garbage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAVY = {"sqlalchemy", "alembic", "psycopg", "sqlite3", "hermes_store.records", "hermes_store.transcripts.json_codec"}
PROGRAM = """
import gc, sys
sys.argv[0] = "hermes-store"
from hermes_store.__main__ import main
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print({at_the_end}, file=sys.stderr)
"""


def run(at_the_end: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run the program, and return what an expression is at its end."""
    program = PROGRAM.replace("{at_the_end}", at_the_end)
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout
    return done.stderr.strip()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["db", "--help"], ["agent", "list", "--help"]])
def test_help_and_version_import_no_database_library(arguments: list[str]) -> None:
    assert run(f"*{HEAVY} & set(sys.modules)", *arguments) == ""


#: The modules of commands, but `projects`, of which lists use a part.
SUBJECTS = [
    "agent",
    "copying",
    "database",
    "doctor",
    "editing",
    "files",
    "forking",
    "maintenance",
    "pruning",
    "repairing",
    "search",
    "sessions",
    "shares",
    "show",
    "stats",
    "trash",
]
IMPORTED = f"*sorted({{'hermes_store.cli.' + name for name in {SUBJECTS}}} & set(sys.modules))"


def test_a_command_imports_no_module_of_others(sqlite_template: Path) -> None:
    place = ["--db", str(sqlite_template)]
    assert run(IMPORTED, "list", *place) == "hermes_store.cli.sessions"
    assert run(IMPORTED, *place, "stats") == "hermes_store.cli.stats"
    assert run(IMPORTED, "db", "current", *place) == "hermes_store.cli.database"
    assert run(IMPORTED, "--version") == ""


def test_completion_imports_only_what_is_completed() -> None:
    words = {"COMP_WORDS": "hermes-store li", "COMP_CWORD": "1", "_HERMES_STORE_COMPLETE": "complete_bash"}
    imported = run(IMPORTED, env={**os.environ, **words})
    assert imported == "hermes_store.cli.forking hermes_store.cli.sessions"


def test_a_short_command_looks_for_no_garbage(sqlite_template: Path) -> None:
    assert run("collections", "list", "--db", str(sqlite_template)) == "[]"


def test_a_long_command_looks_for_garbage() -> None:
    make_garbage = "[(one := []).append(one) for _ in range(500_000)]"
    assert run(f"{make_garbage} and len(collections) > 0", "--version") == "True"


def test_the_interpreter_collects_no_garbage_at_exit(sqlite_template: Path) -> None:
    assert run("len(gc.get_objects()) < 1000 < gc.get_freeze_count()", "list", "--db", str(sqlite_template)) == "True"


def test_listing_sessions_imports_no_unused_library(sqlite_template: Path) -> None:
    program = (
        "import sys; from hermes_store import Store; Store.open(sys.argv[1], read_only=True).sessions.list();"
        "print(*{'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.orm', 'typer'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(sqlite_template)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
