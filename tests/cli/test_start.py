"""What the program imports to say what it is: help and version do not wait for the database's libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"sqlalchemy", "alembic", "psycopg", "sqlite3", "hermes_store.records"}
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
