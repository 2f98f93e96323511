"""PostgreSQL: a database on a server, through psycopg."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import NoSuchModuleError

from .. import errors
from .backend import RETRY, Settings


class PostgreSQL:
    """A database on a server, through psycopg."""

    survives_fork = True
    closes_before_fork = False

    def __init__(self, settings: Settings, url: URL) -> None:
        self.settings = settings
        self.url = url
        # A read is several statements, which must see one state of the data.
        self.read_options: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        # Said for each transaction: the driver overrides the session's default_transaction_read_only.
        self.write_options: Mapping[str, Any] = {"postgresql_readonly": settings.read_only}
        # The server queues writers by row; there is nothing to hold here.
        self.write_lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.read_lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()

    @property
    def display(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def create_engine(self) -> Engine:
        options = {
            # Off: a commit returns before it is on disk, and a crash of the server may lose the last ones.
            # https://www.postgresql.org/docs/current/wal-async-commit.html
            "synchronous_commit": "on" if self.settings.durability == "full" else "off",
            "lock_timeout": f"{round(self.settings.busy_timeout * 1000)}",
        }
        arguments = {"options": " ".join(f"-c {name}={value}" for name, value in options.items())}
        try:
            return create_engine(self.url, connect_args=arguments, pool_pre_ping=True, pool_size=8, max_overflow=24)
        except (ImportError, NoSuchModuleError) as error:
            raise errors.UnsupportedDatabaseError(
                f"PostgreSQL needs psycopg ({error}): pip install 'hermes-store[postgres]'"
            ) from error

    def prepare(self, *, create: bool) -> None:
        """Nothing: a server's databases are made by its administrator."""

    def settle(self, engine: Engine) -> None:
        """Nothing."""

    def lost_transaction(self, connection: Connection) -> bool:
        return connection.invalidated or bool(connection.connection.driver_connection.closed)  # type: ignore[union-attr]

    def translate(self, error: Exception, what: str) -> errors.DatabaseError:
        state = getattr(error, "sqlstate", None) or ""
        if not state and type(error).__name__ in ("OperationalError", "InterfaceError"):
            state = "08000"  # said by the driver, not by the server: there is none
        if state == "08000" and re.search(r'database ".*" does not exist', str(error)):
            state = "3D000"  # while it connects, the driver does not tell the server's code
        kind, advice = (
            _POSTGRESQL_ERRORS.get(state)
            or _POSTGRESQL_ERRORS.get(state[:3])
            or _POSTGRESQL_ERRORS.get(state[:2])
            or _POSTGRESQL_UNKNOWN
        )
        return kind(f"{what}: {str(error).strip()} [{state or type(error).__name__}]. {advice}")

    @contextlib.contextmanager
    def schema_upgrade(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_UPGRADE_LOCK})")
            connection.commit()
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_UPGRADE_LOCK})")
                connection.commit()

    def back_up(self, engine: Engine, label: str) -> Path | None:
        """A server's backups are its administrator's; the upgrade is one transaction."""
        return None

    def describe(self, connection: Connection) -> dict[str, Any]:
        def ask(sql: str) -> Any:
            return connection.exec_driver_sql(sql).scalar()

        return {
            "dialect": "postgresql",
            "server_version": ask("SHOW server_version"),
            "size_bytes": ask("SELECT pg_database_size(current_database())"),
        }


_UPGRADE_LOCK: Final = 0x6865726D6573  # "hermes": any number that nobody else locks
_POSTGRESQL_UNKNOWN: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_POSTGRESQL_GONE: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseUnavailableError,
    "The server cannot be reached, or the connection broke; a transaction that was under way is rolled back.",
)
_POSTGRESQL_ERRORS: Final[Mapping[str, tuple[type[errors.DatabaseError], str]]] = {
    "40": (errors.DatabaseLockedError, RETRY),  # serialization failure, deadlock
    "55P03": (
        errors.DatabaseLockedError,
        "Another writer holds the row longer than the busy timeout. " + RETRY,
    ),
    "53": (
        errors.DatabaseFullError,
        "The server is out of disk, memory or connections. Nothing was written.",
    ),
    "25006": (errors.DatabaseReadOnlyError, "Nothing was written; open the store without read_only=True."),
    "42501": (errors.DatabaseReadOnlyError, "Nothing was written; the role needs rights on the tables."),
    "XX001": (errors.DatabaseCorruptError, "The server found damaged data. Restore a backup."),
    "XX002": (errors.DatabaseCorruptError, "The server found a damaged index. REINDEX it."),
    "08": _POSTGRESQL_GONE,
    "57P": _POSTGRESQL_GONE,
    "28": (errors.DatabaseUnavailableError, "The server refused the user or the password."),
    "3D": (errors.DatabaseMissingError, "Make it with `createdb`, or correct the URL."),
}
