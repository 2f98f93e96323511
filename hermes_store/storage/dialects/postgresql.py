"""PostgreSQL: a database on a server, through psycopg."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles

from ... import errors
from ...targets import shown
from ..row_locks import Reserved
from ..row_types import Row
from ..statement import NO_PARAMETERS, Parameters, RowStatement, Statement, one_of, period_rows
from ..unit_of_work import UnitOfWork
from .base import RETRY, Dialect, Result, Settings
from .condition import Condition
from .postgresql_health import conditions
from .postgresql_words import PostgreSQLWordIndex

if TYPE_CHECKING:
    from ..engine import Database


@compiles(one_of, "postgresql")
def _one_of(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(values, **options)})"


@compiles(period_rows, "postgresql")
def _period_rows(element: period_rows, compiler: Any, **options: Any) -> str:
    [times] = element.clauses
    array = compiler.process(times, **options)
    numbered = f"unnest({array}) WITH ORDINALITY AS times (start_at, number)"
    return f"(SELECT start_at, lead(start_at) OVER (ORDER BY number) AS end_at FROM {numbered})"  # noqa: S608


class PostgreSQLUnitOfWork(UnitOfWork):
    """One transaction on a SQLAlchemy connection."""

    __slots__ = ("_connection", "_engine")

    def __init__(self, database: Database, engine: Engine, *, writes: bool) -> None:
        super().__init__(database, writes=writes)
        self._engine = engine
        self._connection: Any = None

    def _begin(self) -> None:
        self._connection = _connected(self._engine)
        self._connection.begin()
        if self.writes:
            self._database.check_schema(int(self._connection.exec_driver_sql(_REVISION).scalar() or 0))

    def _commit(self) -> None:
        is_sent = not self.is_lost
        try:
            self._connection.commit()
        except DBAPIError as error:
            found = self._database.translate(error)
            if is_sent and self.writes and isinstance(found, errors.DatabaseUnavailableError):
                raise errors.CommitUnknownError(f"{self.dialect.display}: {_UNKNOWN}") from error.orig
            raise

    def _end(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.close()  # rolls back what is open, and does nothing the second time
            self._connection = None

    def reserve(self, *what: Reserved) -> None:
        for one in sorted(what):
            self.rows(_reserve, {"kind": one.value})

    def look_again(self, check: Callable[[], None]) -> None:
        check()

    @property
    def sees_one_state(self) -> bool:
        return not self.writes  # READ COMMITTED, so that writers wait for each other instead of failing

    @property
    def is_lost(self) -> bool:
        connection = self._connection
        return bool(connection is None or connection.invalidated or connection.connection.driver_connection.closed)

    def rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        found: list[Row] = self._connection.execute(statement.clause, parameters).all()
        return found

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        changed: int = self._connection.execute(statement.clause, parameters).rowcount
        return changed

    def execute_many(self, statement: RowStatement, rows: Sequence[Row]) -> None:
        if rows:  # else SQLAlchemy runs the statement once, without any
            names = statement.names
            self._connection.execute(statement.clause, [dict(zip(names, row, strict=True)) for row in rows])

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        savepoint = self._connection.begin_nested()
        try:
            yield
        except BaseException:
            # After some errors the server has ended everything, and there is no savepoint to go back to.
            if not self.is_lost:
                savepoint.rollback()
            raise
        savepoint.commit()


class PostgreSQL(Dialect):
    """A database on a server.

    Args:
        settings: how to open it.
        url: where it is.
    """

    name = "postgresql"
    word_index = PostgreSQLWordIndex()
    backup_programs = (
        "`pg_dump --format=custom --no-owner --file=hermes.dump --dbname=URL` backs a PostgreSQL database up, while "
        "others write to it, and `pg_restore --clean --if-exists --no-owner --single-transaction --dbname=URL "
        "hermes.dump` restores it."
    )
    compact_programs = (
        "PostgreSQL frees space by itself (autovacuum); `vacuumdb --full --dbname=URL` writes the tables anew, while "
        "nobody else can use them."
    )

    def __init__(self, settings: Settings, url: URL) -> None:
        super().__init__(settings)
        self._url = url
        self._engine = self._create_engine()
        # A read is several statements, which must see one state of the data.
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer = self._engine.execution_options(postgresql_readonly=True) if settings.read_only else self._engine

    @property
    def display(self) -> str:
        return shown(self._url)

    @property
    def identity(self) -> object:
        return self._url  # also the parameters: they may choose the schema

    def _create_engine(self) -> Engine:
        options = {
            # Off: a commit returns before it is on disk, and a crash of the server may lose the last ones.
            # https://www.postgresql.org/docs/current/wal-async-commit.html
            "synchronous_commit": "on" if self.settings.durability == "full" else "off",
            "lock_timeout": f"{round(self.settings.busy_timeout * 1000)}",
        }
        # The caller's own options stay; where both set the same one, the last one counts.
        own = self._url.query.get("options") or os.environ.get("PGOPTIONS", "")
        given = [own] if isinstance(own, str) else [*own]
        arguments = {
            "options": " ".join([*given, *(f"-c {name}={value}" for name, value in options.items())]),
            # Else the driver takes the server's, and cannot even read the answers of one without an encoding.
            "client_encoding": "utf8",
        }
        url = self._url.difference_update_query(["options", "client_encoding"])
        try:
            return create_engine(
                url,
                connect_args=arguments,
                pool_pre_ping=True,
                pool_size=8,
                max_overflow=24,
                pool_timeout=self.settings.busy_timeout,
            )
        except (ImportError, NoSuchModuleError) as error:
            raise errors.UnsupportedDatabaseError(
                f"PostgreSQL needs psycopg ({error}): pip install 'hermes-store[postgres]'"
            ) from error
        except (ArgumentError, ValueError, TypeError):  # the hosts and ports do not fit each other, for example
            pass  # its text may quote a password, and so may not even be the cause of ours
        raise errors.UnsupportedDatabaseError(
            f"The URL of {self.display} has a host, a port or a parameter that the driver does not take. Several hosts "
            "have their ports each, as in h1:5432,h2:5432. Nothing was opened."
        )

    def unit_of_work(self, database: Database, *, writes: bool) -> UnitOfWork:
        return PostgreSQLUnitOfWork(database, self._writer if writes else self._reader, writes=writes)

    def close(self) -> None:
        self._engine.dispose()

    def look(self, callback: Callable[[Connection], Result]) -> Result:
        with _connected(self._engine) as connection:
            # What locks the tables against being read is the end of an upgrade.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            return callback(connection)

    @contextlib.contextmanager
    def upgrade(self) -> Iterator[Connection]:
        with _connected(self._engine) as connection, connection.begin():
            timeout = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
            # The lock is released with the transaction, whatever ends it.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeout}'")
            yield connection

    def check_owner(self, connection: Connection) -> None:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise errors.UnsupportedDatabaseError(
                f"{self.display} has the encoding {encoding}, which cannot hold every text, and is left as it is. Make "
                "one with UTF8: createdb --encoding=UTF8 --template=template0 NAME"
            )

    def translate(self, error: BaseException) -> errors.DatabaseError:
        state = _state_of(error)
        found = _MEANINGS.get(state) or _MEANINGS.get(state[:3]) or _MEANINGS.get(state[:2]) or _OTHER
        if state == "0A000" and re.search("recovery|standby", str(error)):
            found = _STANDBY
        kind, advice = found
        return kind(f"{self.display}: {self._harmless(str(error).strip())} [{state or type(error).__name__}]. {advice}")

    def _harmless(self, text: str) -> str:
        """Return the driver's text without the passwords of the URL, should it quote one."""
        values = [self._url.password, *(self._url.query.get(name) for name in ("password", "sslpassword"))]
        for secret in (value for value in values if isinstance(value, str) and value):
            text = text.replace(secret, "***")
        return text

    def violates_unique(self, error: BaseException, table: str, *columns: str) -> bool:
        diagnosis = getattr(error, "diag", None)
        return getattr(diagnosis, "constraint_name", None) == f"uq_{table}_{'_'.join(columns)}"

    def reserve_message_ids(self, unit: UnitOfWork, count: int) -> list[int]:
        return unit.values(_next_message_ids, {"count": count})

    def conditions(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[Condition]:
        return conditions(unit)

    def tables(self, unit: UnitOfWork) -> list[str]:
        return unit.values(_tables)

    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        return {
            "dialect": self.name,
            "server_version": unit.value(Statement(text("SHOW server_version"))),
            "size_bytes": unit.value(Statement(text("SELECT pg_database_size(current_database())"))),
        }


def _connected(engine: Engine) -> Connection:
    """Return a connection whose transactions are read-only as the server, its role or the URL has it.

    SQLAlchemy leaves a connection that was read-only as one that may write whatever the server says.
    """
    connection = engine.connect()
    if not connection.get_execution_options().get("postgresql_readonly"):
        driver: Any = connection.connection.driver_connection
        driver.read_only = None
    return connection


def _state_of(error: BaseException) -> str:
    """Return the server's code of an error, or one like it for an error of the driver's own."""
    state: str = getattr(error, "sqlstate", None) or ""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, PoolTimeoutError):
        return _POOL
    if not state and names & {"OperationalError", "InterfaceError"}:
        state = "08000"  # from the driver, not from the server: there is none
    if not state and "ProgrammingError" in names and "connection option" in str(error):
        state = _PARAMETER
    if state == "08000" and re.search(r'database ".*" does not exist', str(error)):
        state = "3D000"  # while it connects, the driver does not pass on the server's code
    return state


_POOL: Final = "pool"
_PARAMETER: Final = "parameter"
_REVISION: Final = "SELECT version_num FROM hermes_store_version"
_UPGRADE_LOCK: Final = 0x6865726D6573  # "hermes": any number that nobody else locks
_tables: Final = Statement(text("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"))
# By two numbers, and the lock of upgrades has one: no pair is equal to it. The first stands for the schema, as several
# stores may be in one database.
_reserve: Final = Statement(
    text("SELECT pg_advisory_xact_lock(hashtext('hermes_store ' || current_schema()), :kind) IS NULL")
)
_next_message_ids: Final = Statement(
    text("SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id FROM generate_series(1, :count) ORDER BY id")
)

_UNKNOWN: Final = (
    "The connection broke during the commit. All of the transaction was written, or nothing. Read the data before you "
    "repeat it."
)
_OTHER: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_GONE: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseUnavailableError,
    "The server cannot be reached, or the connection broke; a transaction that was under way is rolled back.",
)
_STANDBY: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseReadOnlyError,
    "This server is a standby, which only reads. Nothing was written; connect to the primary.",
)
_MEANINGS: Final[Mapping[str, tuple[type[errors.DatabaseError], str]]] = {
    "40": (errors.DatabaseLockedError, RETRY),  # serialization failure, deadlock
    "55P03": (
        errors.DatabaseLockedError,
        "Another writer holds the row longer than the busy timeout. " + RETRY,
    ),
    "53": (
        errors.DatabaseFullError,
        "The server is out of disk, memory or connections. Nothing was written.",
    ),
    "25006": (
        errors.DatabaseReadOnlyError,
        (
            "Nothing was written. The store was opened with read_only=True, default_transaction_read_only is on for "
            "the server, the database, the role or the URL, or the server is a standby."
        ),
    ),
    "57014": (
        errors.DatabaseTimeoutError,
        (
            "The server cancelled the statement: statement_timeout is too short for it, or an administrator ended it. "
            "The transaction is rolled back."
        ),
    ),
    "25P03": (
        errors.DatabaseTimeoutError,
        (
            "The transaction was idle longer than idle_in_transaction_session_timeout, and is rolled back. Keep "
            "transactions short."
        ),
    ),
    "25P04": (
        errors.DatabaseTimeoutError,
        "The transaction took longer than transaction_timeout, and is rolled back. Keep transactions short.",
    ),
    "0A000": (
        errors.UnsupportedDatabaseError,
        "The server does not have what this library needs. The transaction is rolled back.",
    ),
    _POOL: (
        errors.DatabaseLockedError,
        "All connections of this process are in use by other threads longer than the busy timeout. " + RETRY,
    ),
    _PARAMETER: (
        errors.UnsupportedDatabaseError,
        "The driver does not take a parameter of the URL, or the server a statement.",
    ),
    "42501": (errors.DatabaseReadOnlyError, "Nothing was written; the role needs rights on the tables."),
    "XX001": (errors.DatabaseCorruptError, "The server found damaged data. Restore a backup."),
    "XX002": (errors.DatabaseCorruptError, "The server found a damaged index. REINDEX it."),
    "08": _GONE,
    "57P": _GONE,
    "28": (errors.DatabaseUnavailableError, "The server refused the user or the password."),
    "3D": (errors.DatabaseMissingError, "Make it with `createdb`, or correct the URL."),
}
