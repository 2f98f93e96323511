"""What a store's verbs do to the database: the statements they execute, and what these cost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event

from hermes_store import Store

Statement = tuple[str, Any]


def executed(store: Store, verb: Callable[[], object]) -> list[Statement]:
    """Return the statements that `verb` executes, each with the (first) parameters it is given."""
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, many: bool) -> None:
        if text.split(maxsplit=1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            statements.append((text, parameters[0] if many else parameters))

    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        verb()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert statements, "nothing was executed, so nothing was measured"
    return statements


def sqlite_plan(store: Store, statement: Statement) -> list[str]:
    """Return the lines of SQLite's plan."""
    text, parameters = statement
    with store._database.read() as connection:
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]


def postgres_plan(store: Store, statement: Statement) -> list[dict[str, Any]]:
    """Return the nodes of PostgreSQL's plan."""
    text, parameters = statement
    with store._database.read() as connection:
        [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).scalar_one()
    return list(_nodes(plan["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


class RollbackError(Exception):
    """Ends a transaction whose only use was to be measured."""


def vm_steps(store: Store, verb: Callable[[], object]) -> int:
    """Return how many instructions SQLite's virtual machine runs for `verb`.

    `verb` is called once before, so that schema and statements are loaded and only the work itself counts.
    """
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def watch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(step, 1)

    def leave(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(None, 1)

    verb()
    engine = store._database.engine
    event.listen(engine, "checkout", watch)
    event.listen(engine, "checkin", leave)
    try:
        verb()
    finally:
        event.remove(engine, "checkout", watch)
        event.remove(engine, "checkin", leave)
    assert steps, "nothing ran, so nothing was measured"
    return steps


def undone(store: Store, verb: Callable[[Any], object]) -> Callable[[], None]:
    """Return `verb` in a transaction that is rolled back, so that it can be measured again and again."""

    def run() -> None:
        with contextlib.suppress(RollbackError), store.transaction() as tx:
            verb(tx)
            raise RollbackError

    return run
