"""What the program imports to say what it is: help and version do not wait for the database's libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"sqlalchemy", "alembic", "psycopg", "sqlite3", "hermes_store.records", "hermes_store.transcripts.json_codec"}
PROGRAM = """
import sys
sys.argv[0] = "hermes-store"
from hermes_store.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*{heavy} & set(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["db", "--help"], ["agent", "list", "--help"]])
def test_help_and_version_import_no_database_library(arguments: list[str]) -> None:
    program = PROGRAM.replace("{heavy}", repr(HEAVY))
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr == "\n"


def test_a_list_imports_no_library_it_does_not_use(sqlite_template: Path) -> None:
    program = (
        "import sys; from hermes_store import Store; Store.open(sys.argv[1], read_only=True).sessions.list();"
        "print(*{'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.orm', 'typer'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(sqlite_template)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
