"""Which revision the schema of a database has, and whose database it is."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, inspect, text

from ..errors import CopyUnfinishedError, DatabaseCorruptError, SchemaVersionMissingError, UnsupportedDatabaseError
from .dialects import Dialect
from .schema import SEARCH_NAMES, metadata
from .unit_of_work import UnitOfWork

#: Alembic's table for the revision, under a name that no other program uses.
VERSION_TABLE: Final = "hermes_store_version"
#: The one that the first revision uses: Alembic's default, which may also be another program's.
FIRST_VERSION_TABLE: Final = "alembic_version"
FIRST_REVISION: Final = "0001"
#: While another database is copied into this one: its revision, which no version of this library opens; and the table
#: that says how far the copy is.
COPYING: Final = "9999"
COPY_TABLE: Final = "hermes_store_copy"
#: The tables of every revision, and columns of `sessions`, by which a database is recognised as this library's.
_TABLES: Final = frozenset({"sessions", "messages", "message_blobs", "session_documents", "projects", "retired_ids"})
_COLUMNS: Final = frozenset({"session_id", "profile", "title", "message_count", "revision", "deleted_at"})
#: A table, or a column of `sessions` or `search_state`, that came with each later revision, the newest first.
_LATER: Final = {
    "0012": "user_message_count",
    "0011": "table change_state",
    "0010": "search_state.pending_from",
    "0009": "table usage",
    "0008": "table shares",
    "0007": "table message_cuts",
    "0006": "parent_kind",
    "0005": "table search_state",
    "0004": "last_activity_at",
    "0003": "has_draft",
    "0002": "transcript_revision",
}
_OURS: Final = _TABLES | {
    *("import_items", "session_extras", "search_state", "message_cuts", "kept_messages"),
    *("shares", "share_payloads", "usage", "gone_ids", "change_state"),
    *(VERSION_TABLE, FIRST_VERSION_TABLE, COPY_TABLE),
}


_ADVICE: Final = (
    "some of this library's are missing. Nothing was changed. Put the schema back with `hermes-store repair`, or read "
    "what is left into a new database with `hermes-store salvage`."
)


class _Facts(NamedTuple):
    tables: frozenset[str]
    #: Whether they are this library's.
    is_ours: bool
    #: The table that has the revision, or is to have it.
    version_table: str
    revision: str | None
    #: The revision that the tables look like.
    looks_like: str


def table_names(connection: Connection) -> list[str]:
    """Return the tables of the schema that new tables are made in: not those of others in PostgreSQL's search path."""
    inspector = inspect(connection)
    return inspector.get_table_names(inspector.default_schema_name)


def _facts(connection: Connection) -> _Facts:
    inspector = inspect(connection)
    tables = frozenset(table_names(connection))
    columns: set[str] = set()
    if tables >= _TABLES:
        columns = {column["name"] for column in inspector.get_columns("sessions", inspector.default_schema_name)}
    is_ours = columns >= _COLUMNS
    parts = columns | {f"table {name}" for name in tables}
    if "search_state" in tables:
        parts |= {f"search_state.{column['name']}" for column in inspector.get_columns("search_state")}
    looks_like = next((revision for revision, part in _LATER.items() if part in parts), FIRST_REVISION)
    if VERSION_TABLE in tables:
        return _Facts(tables, is_ours, VERSION_TABLE, _read(connection, VERSION_TABLE), looks_like)
    if is_ours and looks_like == FIRST_REVISION and FIRST_VERSION_TABLE in tables:
        found = _read(connection, FIRST_VERSION_TABLE)
        if found == FIRST_REVISION:
            return _Facts(tables, is_ours, FIRST_VERSION_TABLE, found, looks_like)
    return _Facts(tables, is_ours, VERSION_TABLE, None, looks_like)


def _read(connection: Connection, table: str) -> str | None:
    found: str | None = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608
    return found


def current_revision(connection: Connection, dialect: Dialect) -> str | None:
    """Return the revision of the tables, or None where there are none yet.

    Raises:
        CopyUnfinishedError: another database is copied into it.
        SchemaVersionMissingError: the tables are this library's, without a revision.
        DatabaseCorruptError: the database says that it is this library's, and the tables are not.
        UnsupportedDatabaseError: there are tables, but not of this library.
    """
    dialect.check_owner(connection)
    facts = _facts(connection)
    if facts.revision == COPYING:
        raise CopyUnfinishedError(dialect.display)
    if facts.revision is not None:
        return facts.revision
    if facts.is_ours:
        raise SchemaVersionMissingError(dialect.display, facts.looks_like)
    if facts.tables <= {VERSION_TABLE}:
        return None
    if dialect.is_claimed(connection):
        raise DatabaseCorruptError(f"{dialect.display} has damaged tables: {_ADVICE}")
    raise UnsupportedDatabaseError(
        f"{dialect.display} already holds tables of something else ({', '.join(sorted(facts.tables)[:5])}, …), and is "
        "left as it is. Give the store a database of its own."
    )


def other_tables(unit: UnitOfWork) -> list[str]:
    """Return the tables in the same database that are not this library's, by name."""
    return sorted(set(unit.dialect.tables(unit)) - _OURS - SEARCH_NAMES - metadata.tables.keys())


def present_tables(unit: UnitOfWork) -> list[str]:
    """Return the tables of the database that are this library's, with those of the index of words."""
    return sorted((metadata.tables.keys() | SEARCH_NAMES).intersection(unit.dialect.tables(unit)))


def version_table(connection: Connection) -> str:
    """Return the name of the table in which Alembic finds the revision, or is to make it."""
    return _facts(connection).version_table


def settle(connection: Connection, dialect: Dialect, table: str) -> None:
    """After Alembic changed the revision: keep it in the right table, and note it in the database itself.

    Args:
        connection: in the transaction of the change.
        dialect: of the database.
        table: the version table that Alembic used.
    """
    tables = set(table_names(connection))
    if table not in tables:
        return
    revision = _read(connection, table)
    if revision is None:
        if tables.isdisjoint(_TABLES):
            _run(connection, [f"DROP TABLE {table}", *dialect.marks(0)])
        return
    target = _table_for(connection, revision, table, tables)
    if target != table:
        exists = target in tables
        _run(connection, [*moved(table, target, revision, exists=exists), *dialect.marks(int(revision))])
    elif table == VERSION_TABLE and not dialect.is_marked(connection, int(revision)):
        _run(connection, dialect.marks(int(revision)))


def _table_for(connection: Connection, revision: str, table: str, tables: set[str]) -> str:
    """Return the table that is to have a revision: the first one in Alembic's own, unless that is another's."""
    if revision != FIRST_REVISION:
        return VERSION_TABLE
    if table == FIRST_VERSION_TABLE or FIRST_VERSION_TABLE not in tables:
        return FIRST_VERSION_TABLE
    is_free = tables <= _OURS and _read(connection, FIRST_VERSION_TABLE) is None
    return FIRST_VERSION_TABLE if is_free else VERSION_TABLE


def moved(source: str, target: str, revision: str, *, exists: bool = False) -> list[str]:
    """Return the statements that move the revision from one version table to another.

    The table is not renamed, because its key's name, which PostgreSQL keeps, would be in the way of another program.

    Args:
        exists: whether the target is there already, empty.
    """
    create = (
        f"CREATE TABLE {target} (version_num VARCHAR(32) NOT NULL, CONSTRAINT {target}_pkc PRIMARY KEY (version_num))"
    )
    insert = f"INSERT INTO {target} (version_num) VALUES ('{revision}')"  # noqa: S608 - revisions are this library's
    return [*([] if exists else [create]), insert, f"DROP TABLE {source}"]


def _run(connection: Connection, statements: list[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
