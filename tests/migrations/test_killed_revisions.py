"""An upgrade that is killed at the start or the end of any revision begins again, and loses nothing.

HERMES_STORE_ALL_VALUES=1 kills it before each of its statements.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest

from hermes_store import Store
from hermes_store.maintenance import verify
from hermes_store.storage import migrations
from hermes_store.storage.dialects import Settings, SQLiteFile
from hermes_store.storage.engine import Database
from tests.proofs.kill_check import everything
from tests.support.first_release import restore_sqlite
from tests.support.hostile_values import EVERYWHERE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

#: How Alembic ends a revision.
END: Final = re.compile(r"UPDATE \w+_version SET version_num=")


def upgrade(path: Path, on_statement: Callable[[str], object]) -> None:
    """Upgrade a file, and call something before each statement of the upgrade."""
    begin = SQLiteFile._begin_upgrade

    def traced(dialect: SQLiteFile, raw: Any) -> None:
        begin(dialect, raw)
        # What is changed goes to the disk at once, and not only at the end.
        raw.execute("PRAGMA cache_spill = 1")
        raw.execute("PRAGMA cache_size = 1")
        raw.set_trace_callback(on_statement)

    with mock.patch.object(SQLiteFile, "_begin_upgrade", traced):
        Store.open(path).close()


def statements_of(path: Path) -> list[str]:
    """Return the statements of the upgrade of a file, to its commit."""
    found: list[str] = []
    upgrade(path, found.append)
    return found[: found.index("COMMIT") + 1]


def kill_at(path: Path, number: int) -> None:
    """Upgrade a file in a process that is killed before one of the statements."""
    child = os.fork()
    if not child:
        left = number

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        with contextlib.suppress(BaseException):
            upgrade(path, count)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, number


def content_of(path: Path) -> list[str]:
    """Return the tables and rows of a file; one that a killed process left is rolled back first."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def old_database(path: Path, revision: str, journal_mode: str) -> Path:
    """Make a database of the first release with everything in it, at some revision."""
    restore_sqlite(path)
    database = Database(path, Settings())
    if revision != "0001":
        migrations.upgrade(database.dialect, revision=revision, copies=False)
    database.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    return path


@pytest.mark.parametrize(("revision", "journal_mode", "place"), [("0001", "wal", "start"), ("0004", "delete", "end")])
def test_an_upgrade_killed_in_each_revision_begins_again(
    tmp_path: Path, revision: str, journal_mode: str, place: str
) -> None:
    path = old_database(tmp_path / "old.db", revision, journal_mode)
    before = content_of(path)
    whole = Path(shutil.copy(path, tmp_path / "whole.db"))
    statements = statements_of(whole)
    ends = [number for number, text in enumerate(statements) if END.match(text)]
    assert len(ends) == int(migrations.HEAD) - int(revision)
    points = [0, *(end + 1 for end in ends[:-1])] if place == "start" else [*ends, len(statements) - 1]
    log = path.with_name("old.db-journal" if journal_mode == "delete" else "old.db-wal")
    unfinished = 0
    for number in range(len(statements)) if EVERYWHERE else points:
        kill_at(path, number)
        unfinished += log.exists() and log.stat().st_size > 0
        assert content_of(path) == before, statements[number]
    assert unfinished
    copies = list(tmp_path.glob("old.db.*.bak"))
    assert copies
    assert all(content_of(copy) == before for copy in copies)
    with Store.open(path) as store, Store.open(whole) as other:
        assert store.info().schema_revision == migrations.HEAD
        assert everything(store) == everything(other)
        assert verify(store).findings == verify(other).findings
