"""What a store's verbs do to the database: the statements they execute, and what these cost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Literal
from unittest import mock

from sqlalchemy import Engine, event

from hermes_store import Store
from hermes_store.storage import search_state
from hermes_store.storage.dialects.postgresql_unit import COMPILER as SERVER_COMPILER
from hermes_store.storage.dialects.postgresql_unit import TEXT_COMPILER, PostgreSQLUnitOfWork
from hermes_store.storage.dialects.sqlite_unit import COMPILER, ROW_COMPILER, SQLiteUnitOfWork
from hermes_store.storage.engine import Database
from hermes_store.storage.statement import NO_PARAMETERS
from tests.support.internals import database_of, pool_of, reading

Statement = tuple[str, Any]


def executed(store: Store, verb: Callable[[], object]) -> list[Statement]:
    """Return the statements that `verb` executes, each with the (first) parameters it is given.

    What begins and ends transactions, and the check of the schema's revision in each that writes, is left out.
    """
    statements: list[Statement] = []
    with _recorded(database_of(store), statements):
        verb()
    assert statements, "nothing was executed, so nothing was measured"
    return statements


def executed_on_sqlite(program: Callable[[], object]) -> list[Statement]:
    """Return what `executed` does, for a program that opens a store on SQLite itself."""
    statements: list[Statement] = []
    with _recorded(None, statements):
        program()
    assert statements, "nothing was executed, so nothing was measured"
    return statements


@contextlib.contextmanager
def _recorded(database: Database | None, statements: list[Statement]) -> Iterator[None]:
    """Add the statements that units of work run: those of one database, or (None) of any on SQLite."""
    is_sqlite = database is None or database.dialect.name == "sqlite"
    kind: Any = SQLiteUnitOfWork if is_sqlite else PostgreSQLUnitOfWork
    compiler = COMPILER if is_sqlite else TEXT_COMPILER

    def recording(name: str) -> Callable[..., Any]:
        original = getattr(kind, name)

        def run(unit: Any, statement: Any, parameters: Any = NO_PARAMETERS) -> Any:
            if database in (None, unit._database):
                if name != "execute_many":
                    compiled = statement.compiled(compiler)
                    statements.append((compiled.sql, compiled.bind(parameters)))
                elif parameters:
                    compiled = statement.compiled(ROW_COMPILER if is_sqlite else SERVER_COMPILER)
                    statements.append((compiled.sql, next(iter(compiled.bind(parameters)))))
            return original(unit, statement, parameters)

        return run

    with contextlib.ExitStack() as stack:
        for name in ("rows", "execute", "execute_many"):
            stack.enter_context(mock.patch.object(kind, name, recording(name)))
        yield


@contextlib.contextmanager
def before_each(store: Store, moment: Literal["begin", "commit"], callback: Callable[[], object]) -> Iterator[None]:
    """Call a function before each write transaction of a store begins, or before it is committed."""
    kind = type(database_of(store).write())
    original = getattr(kind, f"_{moment}")

    def run(unit: Any) -> None:
        if unit.writes and unit._database is database_of(store):
            callback()
        original(unit)

    with mock.patch.object(kind, f"_{moment}", run):
        yield


@contextlib.contextmanager
def before_statement(store: Store, words: str, callback: Callable[[], object]) -> Iterator[None]:
    """Call a function before the first statement of a store that has these words in its SQL; one has to."""
    kind = type(database_of(store).write())
    called = False

    def intervening(name: str) -> Callable[..., Any]:
        original = getattr(kind, name)

        def run(unit: Any, statement: Any, parameters: Any = NO_PARAMETERS) -> Any:
            nonlocal called
            # SQLite's SQL is as good as any, as these words are in both.
            compiler = ROW_COMPILER if name == "execute_many" else COMPILER
            if not called and unit._database is database_of(store) and words in statement.compiled(compiler).sql:
                called = True
                callback()
            return original(unit, statement, parameters)

        return run

    with contextlib.ExitStack() as stack:
        for name in ("rows", "execute", "execute_many"):
            stack.enter_context(mock.patch.object(kind, name, intervening(name)))
        yield
    assert called, "no statement has these words"


def commits(store: Store, verb: Callable[[], object]) -> int:
    """Return how many write transactions `verb` commits."""
    count = 0

    def add() -> None:
        nonlocal count
        count += 1

    with before_each(store, "commit", add):
        verb()
    return count


def sqlite_plan(store: Store, statement: Statement) -> list[str]:
    """Return the lines of SQLite's plan."""
    text, parameters = statement
    with reading(store) as connection:
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]


def postgres_plan(store: Store, statement: Statement) -> list[dict[str, Any]]:
    """Return the nodes of PostgreSQL's plan."""
    text, parameters = statement
    with reading(store) as connection:
        [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).scalar_one()
    return list(_nodes(plan["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


# ── What SQLite does meanwhile ──


@contextlib.contextmanager
def watched(
    store: Store, begin: Callable[[sqlite3.Connection], object], end: Callable[[sqlite3.Connection], object]
) -> Iterator[None]:
    """Call a function with each connection that the block's statements take, and another when it is given back."""
    pool = pool_of(store)
    take, give_back = pool.take, pool.give_back

    def take_and_begin(owner: Any) -> sqlite3.Connection:
        connection = take(owner)
        begin(connection)
        return connection

    def end_and_give_back(owner: Any, **how: Any) -> None:
        connection = pool.of(owner)
        if connection is not None:
            end(connection)
        give_back(owner, **how)

    with mock.patch.object(pool, "take", take_and_begin), mock.patch.object(pool, "give_back", end_and_give_back):
        yield


def vm_steps(store: Store, verb: Callable[[], object]) -> int:
    """Return how many instructions SQLite's virtual machine runs for `verb`.

    `verb` is called once before, so that schema and statements are loaded and only the work itself counts.
    """
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    verb()
    with watched(
        store,
        lambda connection: connection.set_progress_handler(step, 1),
        lambda connection: connection.set_progress_handler(None, 1),
    ):
        verb()
    assert steps, "nothing ran, so nothing was measured"
    return steps


def without_word_index() -> contextlib.AbstractContextManager[object]:
    """Let writers leave the index of words as it is, whose own rows are not to be counted."""
    return mock.patch.object(search_state, "is_written", return_value=False)


def rows_written(store: Store, verb: Callable[[], object]) -> int:
    """Return how many rows `verb` inserts, updates and deletes; those of the index of words do not count."""
    counts: list[int] = []
    with (
        without_word_index(),
        watched(
            store,
            lambda connection: counts.append(-connection.total_changes),
            lambda connection: counts.append(connection.total_changes),
        ),
    ):
        verb()
    assert counts, "nothing was executed, so nothing was measured"
    return sum(counts)


def columns_read(store: Store, verb: Callable[[], object]) -> set[tuple[str, str]]:
    """Return the columns that the statements of `verb` name, each with its table."""
    read: set[tuple[str, str]] = set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            read.add((str(table), str(column)))
        return sqlite3.SQLITE_OK

    with watched(
        store,
        lambda connection: connection.set_authorizer(note),
        lambda connection: connection.set_authorizer(None),
    ):
        verb()
    assert read, "nothing was read, so nothing was measured"
    return read


class RollbackError(Exception):
    """Ends a transaction whose only use was to be measured."""


def undone(store: Store, verb: Callable[[Any], object]) -> Callable[[], None]:
    """Return `verb` in a transaction that is rolled back, so that it can be measured again and again."""

    def run() -> None:
        with contextlib.suppress(RollbackError), store.transaction() as tx:
            verb(tx)
            raise RollbackError

    return run


def executed_while_opened(url: str) -> list[str]:
    """Return the statements with which a store on PostgreSQL is opened."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, text: str, *_: object) -> None:
        statements.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        Store.open(url).close()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return statements
