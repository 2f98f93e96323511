"""A store in a schema of its own, in a PostgreSQL database that other applications use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import Store, UnsupportedDatabaseError
from hermes_store.maintenance import copy, verify
from tests.support.processes import alembic, output

#: The other application's: Alembic's table, and tables that are called as this library's.
THEIRS = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('7e5b5dc7342b');
CREATE TABLE sessions (id SERIAL PRIMARY KEY, cookie TEXT);
INSERT INTO sessions (cookie) VALUES ('theirs');
CREATE TABLE messages (id SERIAL PRIMARY KEY, body TEXT);
CREATE SCHEMA hermes;
"""


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def in_schema(url: str, path: str) -> str:
    made = sa.make_url(url).update_query_dict({"options": f"-csearch_path={path}"})
    return made.render_as_string(hide_password=False)


@pytest.fixture
def database(make_postgres_database: Callable[..., str]) -> str:
    url = make_postgres_database(empty=True)
    execute(url, THEIRS)
    return url


@pytest.mark.slow
@pytest.mark.parametrize("path", ["hermes", "hermes,public"])
def test_a_schema_next_to_another_application_works(database: str, path: str, tmp_path: Path) -> None:
    url = in_schema(database, path)
    with Store.open(url) as store:
        store.sessions.create(session_id="s", title="Trip")
        store.messages.append("s", {"role": "user", "content": "words to find"})
        assert store.search("find").items
        assert verify(store).findings == []
    assert "No new upgrade operations detected" in output(alembic("-x", f"url={url}", "check"))
    copy(url, tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db") as copied:
        assert copied.stats().messages == 1
    assert execute(database, "SELECT version_num FROM public.alembic_version") == [("7e5b5dc7342b",)]
    assert execute(database, "SELECT * FROM public.sessions") == [(1, "theirs")]
    names = execute(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert names == [("alembic_version",), ("messages",), ("sessions",)]


def test_two_stores_in_two_schemas_are_apart(make_postgres_database: Callable[..., str]) -> None:
    database = make_postgres_database()
    execute(database, "CREATE SCHEMA hermes")
    url = in_schema(database, "hermes,public")
    with Store.open(database) as first, Store.open(url) as second:
        first.sessions.create(session_id="first")
        assert second.stats().sessions == 0
        second.sessions.create(session_id="second")
    with Store.open(database) as first:
        assert [one.session_id for one in first.sessions.iterate(include_empty=True)] == ["first"]


def test_a_schema_that_is_missing_is_named(database: str) -> None:
    with pytest.raises(UnsupportedDatabaseError, match="CREATE SCHEMA"):
        Store.open(in_schema(database, "nowhere"))
