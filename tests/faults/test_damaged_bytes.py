"""Bytes of the file are flipped or zeroed: nothing wrong is read, nothing fails but by typed errors,
and `verify` finds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseCorruptError, Store
from hermes_store.storage import session_keys
from hermes_store.storage.dialects.sqlite_unit import SQLiteUnitOfWork
from tests.proofs import damage


@pytest.mark.slow
def test_damaged_bytes_give_right_values_or_errors() -> None:
    result = damage.prove(trials=100)
    assert result.problems == []
    assert result.figures["trials that touched data"] > 25


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        (b"workspace", lambda store: store.sessions.get("a")),
        (b"workspace", lambda store: store.sessions.create(workspace="/w")),
        (b"session_extras", lambda store: store.documents.read("a")),
        (b"session_extras", lambda store: store.documents.put("a", {"k": 1})),
    ],
)
def test_a_damaged_name_in_the_schema_is_damage(
    sqlite_path: Path, name: bytes, verb: Callable[[Store], object]
) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a")
    content = sqlite_path.read_bytes()
    assert name in content
    sqlite_path.write_bytes(content.replace(name, b"x" + name[1:]))
    with Store.open(sqlite_path) as store, pytest.raises(DatabaseCorruptError, match="its schema is damaged"):
        verb(store)


class _NoCommit:
    """A connection on which SQLite repeats, at the end of a transaction, an error of a read."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "COMMIT":
            raise sqlite3.DatabaseError("database disk image is malformed")
        return self._raw.execute(sql, *parameters)


def test_a_read_succeeds_though_its_commit_fails(sqlite_store: Store) -> None:
    sqlite_store.sessions.create(session_id="a")
    with sqlite_store.database.read() as unit:
        assert isinstance(unit, SQLiteUnitOfWork)
        assert session_keys.find(unit, "a", None).session_id == "a"
        unit.raw = _NoCommit(unit.raw)
    sqlite_store.messages.append("a", "one")
    assert sqlite_store.messages.read("a") == ["one"]


def test_sessions_are_exported_though_their_list_is_damaged() -> None:
    assert damage.prove(trials=1, seed=879).problems == []
