"""A verb of many transactions lets other processes write between them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files.purging import purge_deleted_with_files
from hermes_store.storage import turns
from tests.support.command_line import invoke

VERBS: dict[str, Callable[[Store], Any]] = {
    "purge_deleted": lambda store: store.sessions.purge_deleted(older_than=-60),
    "delete_inactive": lambda store: store.sessions.delete_inactive(older_than=-60),
    "prune_history": lambda store: store.messages.prune_history(older_than=-60),
    "purge_deleted_with_files": lambda store: purge_deleted_with_files(store, older_than=-60),
    "purge of the command line": lambda store: invoke(
        ["purge", "--deleted-before", "@9999999999", "--yes", "--db", str(store.info().path)]
    ),
}


@pytest.mark.parametrize("name", VERBS)
def test_others_write_between_transactions(sqlite_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def write(_: float) -> None:
        nonlocal written
        with closing(sqlite3.connect(sqlite_path, timeout=0)) as connection, connection:
            written += connection.execute("UPDATE sessions SET title = 'New'").rowcount

    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(session_id="kept")
        for session_id in ("first", "second"):
            store.sessions.create(session_id=session_id, title="Trip")
            cut = store.messages.extend(session_id, ["hi"])
            store.messages.clear(session_id, expected_revision=cut.revision)
            if "purge" in name:
                store.sessions.delete(session_id)
        monkeypatch.setattr(turns, "_LONGEST_RUN", -1.0)
        monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=time.monotonic, sleep=write))
        VERBS[name](store)
    assert written
