"""Stores behind a real PgBouncer, in session and transaction mode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import DatabaseLockedError, DatabaseReadOnlyError, Store, UnsupportedDatabaseError
from hermes_store.maintenance import copy, verify
from tests.support.internals import reading, writing
from tests.support.pgbouncer import pgbouncer
from tests.support.processes import alembic, output

pytestmark = pytest.mark.slow

#: How it is configured. With one connection to the server, all clients take turns on it.
MODES = {
    "session": {"pool_mode": "session"},
    "transaction": {"pool_mode": "transaction", "default_pool_size": "2"},
    "transaction, ignoring": {"pool_mode": "transaction", "ignore_startup_parameters": "options"},
}


@pytest.fixture(scope="module", params=MODES)
def pooler(request: pytest.FixtureRequest, postgres_server: sa.URL) -> Iterator[sa.URL]:
    with pgbouncer(postgres_server, **MODES[request.param]) as url:
        yield url


def through(pooler: sa.URL, database: str, **query: str) -> str:
    url = pooler.set(database=sa.make_url(database).database).update_query_dict(query)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def url(pooler: sa.URL, make_postgres_database: Callable[..., str]) -> str:
    return through(pooler, make_postgres_database(empty=True))


def test_many_threads_write_and_nothing_is_lost(url: str) -> None:
    with Store.open(url, busy_timeout=20) as store:  # which makes the tables
        ids = [store.sessions.create().session_id for _ in range(3)]

        def append(number: int) -> None:
            for one in ids:
                store.messages.append(one, {"role": "user", "content": f"word{number}"})
                store.sessions.list(limit=5)
                store.messages.tail(one, limit=3)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(append, range(24)))
        assert {len(store.messages.read(one)) for one in ids} == {24}
        assert len(store.search("word7").items) == 3
        assert verify(store).findings == []


def test_settings_hold_in_each_transaction(url: str, pooler: sa.URL) -> None:
    Store.open(url).close()
    with Store.open(f"{url}?hermes_pooler=transaction", durability="normal", busy_timeout=7) as store:
        for look in (reading, writing):
            with look(store) as connection:
                assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "7s"
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    with Store.open(url, durability="full") as store, writing(store) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_lock_wait_ends_at_the_busy_timeout(url: str) -> None:
    with Store.open(url, busy_timeout=0.2) as store:
        session_id = store.sessions.create().session_id
        with Store.open(url) as other, other.transaction() as tx:
            tx.sessions.update(session_id, title="held")
            with pytest.raises(DatabaseLockedError):
                store.sessions.update(session_id, title="mine")


def test_options_of_a_url_hold(url: str, pooler: sa.URL, make_postgres_database: Callable[..., str]) -> None:
    database = make_postgres_database(empty=True)
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA hermes")
    with Store.open(through(pooler, database, options="-csearch_path=hermes")) as store:
        store.sessions.create(session_id="s")
        with reading(store) as connection:
            assert connection.exec_driver_sql("SELECT to_regclass('public.sessions')").scalar() is None
    read_only = through(pooler, database, options="-csearch_path=hermes -c default_transaction_read_only=on")
    with Store.open(read_only) as store:
        assert store.sessions.get("s")
        with pytest.raises(DatabaseReadOnlyError):
            store.sessions.create()


def test_upgrades_copies_and_alembic_go_through(url: str, sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="s")
        store.messages.extend("s", ["one", "two"])
    copy(sqlite_path, url)
    assert "No new upgrade operations detected" in output(alembic("-x", f"url={url}", "check"))
    output(alembic("-x", f"url={url}", "downgrade", "-1"))
    with Store.open(url) as store:
        assert store.messages.read("s") == ["one", "two"]


def test_a_forked_child_goes_through(url: str) -> None:
    with Store.open(url) as store:
        child = os.fork()
        if not child:
            os._exit(store.sessions.create(session_id="child").session_id != "child")
        assert os.waitpid(child, 0)[1] == 0
        assert store.sessions.get("child")


def test_another_value_of_the_parameter_is_refused() -> None:
    with pytest.raises(UnsupportedDatabaseError, match="hermes_pooler"):
        Store.open("postgresql://localhost/hermes?hermes_pooler=statement")


def test_the_pooler_is_found_without_the_parameter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(url) as store:
        dialect: Any = store.database.dialect
        assert dialect._is_pooled
