"""PostgreSQL: a database on a server, through psycopg."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from ... import errors
from ...targets import shown
from ..statement import Bound, Parameters, Statement
from ..unit_of_work import UnitOfWork
from . import postgresql_pooler
from .base import Dialect, Result, Settings
from .condition import Condition
from .postgresql_engine import make_engine, own_engine, pooled_settings, session_settings, setting_statement
from .postgresql_errors import meaning_of, state_of
from .postgresql_health import conditions
from .postgresql_unit import CHANNEL, PostgreSQLUnitOfWork
from .postgresql_watch import ServerWatcher
from .postgresql_words import PostgreSQLWordIndex, insert_at_once
from .watcher import Watcher

if TYPE_CHECKING:
    from ..engine import Database


class PostgreSQL(Dialect):
    """A database on a server.

    Args:
        settings: how to open it.
        url: where it is.
    """

    name = "postgresql"
    has_places: ClassVar[bool] = True
    is_only_copy: ClassVar[bool] = False
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
        self._is_closed = False
        self._own = own_engine(settings.engine_options)
        self._driver_url, self._is_pooled = postgresql_pooler.without_parameter(url)
        if self._own is not None:  # its connections are not set up, so transactions are
            self._use(self._own, [setting_statement(session_settings(settings))])
        elif self._is_pooled:
            self._use_pooler()
        else:
            self._use(make_engine(self._driver_url, settings, is_pooled=False))

    def _use(self, engine: Engine, setting: Sequence[str] = ()) -> None:
        self._engine = engine
        if engine is not self._own:
            event.listen(engine, "checkin", self._close_if_late)
        #: What transactions begin with.
        self._write = ["BEGIN READ ONLY" if self.settings.read_only else "BEGIN", *setting, _REVISION]
        # A read is several statements, which must see one state of the data.
        self._read = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", *setting]

    @property
    def display(self) -> str:
        return shown(self._url)

    @property
    def identity(self) -> object:
        return self._url  # also the parameters: they may choose the schema

    def unit_of_work(self, database: Database, *, writes: bool) -> UnitOfWork:
        return PostgreSQLUnitOfWork(database, self._engine, self._write if writes else self._read, writes=writes)

    def unit_of_statements(self, database: Database) -> UnitOfWork:
        # Behind a pooler a statement by itself is not set up.
        return PostgreSQLUnitOfWork(database, self._engine, self._read if self._is_pooled else (), writes=False)

    def close(self) -> None:
        for watcher in list(self._watchers):
            self.unwatch(watcher)
        self._is_closed = True
        if self._own is None:
            self._engine.dispose()

    def _close_if_late(self, connection: Any, _record: Any) -> None:
        """Close a connection that was in use when the pool was closed, and that comes back to it."""
        if self._is_closed and connection is not None:
            connection.close()

    def continue_from(self, before: Dialect) -> None:
        if self._own is not None:  # it has the parent's connections
            self._own.dispose(close=False)
        elif isinstance(before, PostgreSQL) and before._is_pooled and not self._is_pooled:
            self._engine.dispose()
            self._use_pooler()

    def _use_pooler(self) -> None:
        self._is_pooled = True
        engine = make_engine(self._driver_url, self.settings, is_pooled=True)
        self._use(engine, [setting_statement(pooled_settings(self._driver_url, self.settings))])

    def _is_found_pooled(self) -> bool:
        """Whether there is a pooler: the settings of a connection are refused, or lost."""
        if self._own is not None:  # it sets nothing when it connects
            return False
        try:
            with _connected(self._engine) as connection:
                found = connection.exec_driver_sql("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'")
                return bool(found.scalar() != session_settings(self.settings)["lock_timeout"])
        except OperationalError as error:
            if postgresql_pooler.refuses_settings(error):
                return True
            raise

    def new_watcher(self) -> Watcher:
        return ServerWatcher(self._listening)

    def _listening(self) -> Any:
        """Return a connection of the driver's own that listens; None on a standby or through a pooler, which cannot."""
        if self._is_pooled:
            return None
        with _connected(self._engine) as connection:
            if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
                return None
        held = self._engine.raw_connection()
        raw: Any = held.driver_connection
        held.detach()  # it is not given back to the pool
        try:
            raw.rollback()  # the pool looked whether it is alive
            raw.autocommit = True
            raw.execute(f"LISTEN {CHANNEL}")
        except BaseException:  # whatever it is, nobody has the connection
            raw.close()
            raise
        return raw

    def look(self, callback: Callable[[Connection], Result]) -> Result:
        if not self._is_pooled and self._is_found_pooled():
            self._engine.dispose()
            self._use_pooler()
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

    def has_revision(self, connection: Connection, revision: str) -> bool:
        try:
            found = connection.exec_driver_sql(_STATE).all()
        except DBAPIError as error:
            if state_of(error.orig or error) not in ("42P01", "42703", "42501"):
                raise
            connection.rollback()  # there is no such table, or another program's
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            return False
        return found == [(revision, "UTF8", True)]

    def check_owner(self, connection: Connection) -> None:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise errors.UnsupportedDatabaseError(
                f"{self.display} has the encoding {encoding}, which cannot hold every text, and is left as it is. Make "
                "one with UTF8: createdb --encoding=UTF8 --template=template0 NAME"
            )

    def schema(self, connection: Connection) -> str | None:
        found: str | None = connection.exec_driver_sql("SELECT current_schema()").scalar()
        return found

    def translate(self, error: BaseException) -> errors.DatabaseError:
        kind, advice = meaning_of(error)
        name = state_of(error) or type(error).__name__
        return kind(f"{self.display}: {self._harmless(str(error).strip())} [{name}]. {advice}")

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

    def insert_message(
        self, unit: UnitOfWork, values: Parameters, payload: bytes, then: Bound | None = None
    ) -> tuple[int, int]:
        return insert_at_once(unit, values, payload, then)

    def change_place(self, unit: UnitOfWork) -> str:
        place: str = unit.value(_change_place)
        return place

    def last_change(self, unit: UnitOfWork) -> int:
        last: int = unit.value(_last_change)
        return last

    def largest_change(self, unit: UnitOfWork) -> int:
        largest: int = unit.value(_largest_change)
        return largest

    def log_position(self, unit: UnitOfWork) -> str:
        position: str = unit.value(_log_position)
        return position

    def lag(self, unit: UnitOfWork, position: str) -> tuple[bool, int, float]:
        is_standby, lacking, seconds = unit.rows(_lag, {"position": position})[0]
        return is_standby, lacking, seconds if lacking else 0.0

    def conditions(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[Condition]:
        return conditions(unit)

    def tables(self, unit: UnitOfWork) -> list[str]:
        return unit.values(_tables)

    def row_counters(self, unit: UnitOfWork) -> dict[str, int]:
        return {
            table: unit.value(Statement(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")))  # noqa: S608
            for table, sequence in unit.rows(_sequences)
        }

    def set_row_counters(self, unit: UnitOfWork, counters: Mapping[str, int]) -> None:
        for table, sequence in unit.rows(_sequences):
            if last := counters.get(table):
                unit.row(_set_sequence, {"sequence": sequence, "last": last})

    def analyze(self, unit: UnitOfWork, tables: Iterable[str]) -> None:
        for table in tables:
            unit.execute(Statement(text(f'ANALYZE "{table}"')))

    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        return {
            "dialect": self.name,
            "server_version": unit.value(Statement(text("SHOW server_version"))),
            "size_bytes": unit.value(Statement(text("SELECT pg_database_size(current_database())"))),
        }


def _connected(engine: Engine) -> Connection:
    """Return a connection of the pool that works, whose transactions are read-only as the server, its role or the URL
    has it."""
    connection = engine.connect()
    driver: Any = connection.connection.driver_connection
    driver_errors = cast(Any, engine.dialect.dbapi).Error
    try:
        engine.dialect.do_ping(driver)
    except driver_errors:
        connection.invalidate()
        driver = connection.connection.driver_connection
    driver.autocommit, driver.read_only = False, None
    return connection


_REVISION: Final = "SELECT version_num FROM hermes_store_version"
#: Whether the table is in the schema in which tables are made, or in another one of the search path.
_STATE: Final = """
SELECT version_num, current_setting('server_encoding'),
    (SELECT relnamespace = current_schema()::regnamespace FROM pg_class WHERE pg_class.oid = version.tableoid)
FROM hermes_store_version version
"""
_UPGRADE_LOCK: Final = 0x6865726D6573  # "hermes": any number that nobody else locks
_change_place: Final = Statement(
    text(
        "SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database "
        "WHERE datname = current_database()) || '/' || current_schema()"
    )
)
_last_change: Final = Statement(
    text(
        "SELECT coalesce(max(base), 0) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 AS last "
        "FROM change_state"
    )
)
_largest_change: Final = Statement(
    text(
        "SELECT coalesce(max(base), 0) + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS largest "
        "FROM change_state"
    )
)
_POSITION: Final = (
    "CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_lsn() END"
)
_log_position: Final = Statement(text(f"SELECT CAST({_POSITION} AS text)"))
_lag: Final = Statement(
    text(
        f"SELECT pg_is_in_recovery(), CAST(greatest(CAST(:position AS pg_lsn) - ({_POSITION}), 0) AS bigint), "  # noqa: S608
        # No transaction was replayed yet: the time of the last one is not known.
        "CAST(coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) AS float)"
    )
)
_tables: Final = Statement(text("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"))
_sequences: Final = Statement(
    text(
        "SELECT CAST(t.relname AS text), CAST(CAST(s.oid AS regclass) AS text) FROM pg_depend "
        "JOIN pg_class s ON s.oid = objid AND classid = CAST('pg_class' AS regclass) AND s.relkind = 'S' "
        "JOIN pg_class t ON t.oid = refobjid AND refclassid = CAST('pg_class' AS regclass) "
        "JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() WHERE deptype IN ('a', 'i')"
    )
)
_set_sequence: Final = Statement(text("SELECT setval(CAST(:sequence AS regclass), :last)"))
_next_message_ids: Final = Statement(
    text("SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id FROM generate_series(1, :count) ORDER BY id")
)
