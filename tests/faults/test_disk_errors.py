"""What a disk fails to read is said to be the disk's, not damage of the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hermes_store import AgentCorruptError, AgentError, DatabaseCorruptError, DatabaseUnavailableError, Store
from hermes_store.agent.agent_file import translate
from tests.proofs import disk

READ_ERRORS = ("SQLITE_IOERR", "SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS")


def error_of(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize("name", READ_ERRORS)
def test_a_read_error_is_the_disks(sqlite_store: Store, name: str) -> None:
    found = sqlite_store.database.dialect.translate(error_of(name))
    assert (type(found), "The disk or the file system failed" in str(found)) == (DatabaseUnavailableError, True)
    of_agent = translate(error_of(name), Path("state.db"))
    assert (type(of_agent), "The disk or the file system failed" in str(of_agent)) == (AgentError, True)


def test_damage_may_be_the_disks_as_well(sqlite_store: Store) -> None:
    """SQLite itself turns EIO of a read into its code for damage, so that nobody can tell."""
    found = sqlite_store.database.dialect.translate(error_of("SQLITE_CORRUPT"))
    assert (type(found), "or the disk cannot read" in str(found)) == (DatabaseCorruptError, True)
    of_agent = translate(error_of("SQLITE_CORRUPT"), Path("state.db"))
    assert (type(of_agent), "or the disk cannot read" in str(of_agent)) == (AgentCorruptError, True)


@pytest.mark.slow
def test_calls_that_fail_lose_nothing_and_say_so() -> None:
    result = disk.prove(points=1, share=0.08)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.problems == []
    assert result.figures["typed errors"] > 20
