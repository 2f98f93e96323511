"""Imports of large sessions: in small parts, what each transaction writes, and the rows that no verb shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import pytest

from hermes_store import Store
from hermes_store.storage import batches, part_writer
from hermes_store.storage.dialects.sqlite_unit import SQLiteUnitOfWork
from hermes_store.storage.turns import Turns
from tests.support.internals import database_of, reading
from tests.support.statements import without_word_index

ROWS = 10
SIZE = 3_000


def shrink_parts(monkeypatch: pytest.MonkeyPatch, rows: int = ROWS, size: int = SIZE) -> None:
    """Let one transaction of an import write at most so many messages, and bytes."""
    for module in (part_writer, batches):
        monkeypatch.setattr(module, "PART_ROWS", rows)
        monkeypatch.setattr(module, "PART_BYTES", size)


@contextlib.contextmanager
def before_parts(callback: Callable[[], object]) -> Iterator[None]:
    """Call a function before each write transaction of an import, when nobody holds the lock."""
    wait = Turns.wait
    is_calling = False

    def call_and_wait(turns: Turns) -> None:
        nonlocal is_calling
        if not is_calling:  # the callback may import, too
            is_calling = True
            try:
                callback()
            finally:
                is_calling = False
        wait(turns)

    with mock.patch.object(Turns, "wait", call_and_wait):
        yield


class Cost(NamedTuple):
    """What a transaction writes: rows of all tables, and bytes of payloads."""

    rows: int
    size: int


@contextlib.contextmanager
def write_costs(store: Store) -> Iterator[list[Cost]]:
    """Give the costs of the write transactions that the block ends, without the index of words."""
    costs: list[Cost] = []
    before: dict[Any, int] = {}
    sizes: dict[Any, int] = {}
    database = database_of(store)
    begin, commit = SQLiteUnitOfWork._begin, SQLiteUnitOfWork._commit
    execute, execute_many = SQLiteUnitOfWork.execute, SQLiteUnitOfWork.execute_many

    def count(unit: Any, many: Any) -> None:
        if unit in sizes:
            sizes[unit] += sum(len(value) for one in many for value in one if isinstance(value, bytes))

    def begin_counted(unit: Any) -> None:
        begin(unit)
        if unit.writes and unit._database is database:
            before[unit], sizes[unit] = unit.raw.total_changes, 0

    def commit_counted(unit: Any) -> None:
        if unit in before:
            costs.append(Cost(unit.raw.total_changes - before.pop(unit), sizes.pop(unit)))
        commit(unit)

    def execute_counted(unit: Any, statement: Any, parameters: Any = {}) -> Any:  # noqa: B006 - it is not changed
        count(unit, [parameters.values()])
        return execute(unit, statement, parameters)

    def execute_many_counted(unit: Any, statement: Any, parameters: Any) -> Any:
        count(unit, parameters)
        return execute_many(unit, statement, parameters)

    with (
        without_word_index(),
        mock.patch.object(SQLiteUnitOfWork, "_begin", begin_counted),
        mock.patch.object(SQLiteUnitOfWork, "_commit", commit_counted),
        mock.patch.object(SQLiteUnitOfWork, "execute", execute_counted),
        mock.patch.object(SQLiteUnitOfWork, "execute_many", execute_many_counted),
    ):
        yield costs


def staged_ids(store: Store) -> list[str]:
    """Return the public ids of the rows of sessions that are being written, or removed, in parts."""
    with reading(store) as connection:
        return list(
            connection.exec_driver_sql(
                "SELECT session_id FROM sessions WHERE substr(session_id, 1, 1) = ' ' ORDER BY id"
            ).scalars()
        )


def orphans(store: Store) -> int:
    """Return how many messages belong to no session that a verb shows."""
    with reading(store) as connection:
        return connection.exec_driver_sql(
            "SELECT count(*) FROM messages m JOIN sessions s ON s.id = m.session_id "
            "WHERE substr(s.session_id, 1, 1) = ' '"
        ).scalar_one()
