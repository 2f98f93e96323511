"""PostgreSQL as it is found: the caller's options, encodings, hosts, read-only servers and its limits on time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import (
    DatabaseError,
    DatabaseReadOnlyError,
    DatabaseTimeoutError,
    DatabaseUnavailableError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.storage.dialects import Settings, dialect_for
from tests.support.internals import reading, writing


def with_query(url: str, **query: str) -> str:
    return sa.make_url(url).update_query_dict(query).render_as_string(hide_password=False)


def plain(url: str, database: str | None = None) -> str:
    return sa.make_url(url).set(drivername="postgresql", database=database).render_as_string(hide_password=False)


@pytest.fixture
def empty_database(make_postgres_database: Callable[..., str]) -> str:
    return make_postgres_database(empty=True)


def test_the_search_path_of_a_url_is_kept(empty_database: str) -> None:
    with psycopg.connect(plain(empty_database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA chat")
    with Store.open(with_query(empty_database, options="-csearch_path=chat"), busy_timeout=7) as store:
        store.sessions.create(title="there")
        with reading(store) as connection:
            assert connection.exec_driver_sql("SHOW search_path").scalar() == "chat"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "7s"
    with psycopg.connect(plain(empty_database)) as connection:
        query = "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname IN ('chat', 'public')"
        assert connection.execute(query).fetchall() == [("chat",)]


def test_pgoptions_are_kept(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c application_name=mine -c synchronous_commit=off")
    with Store.open(postgres_url) as store, reading(store) as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "mine"
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"  # durability="full" stays true


def test_databases_with_different_options_are_not_the_same(postgres_url: str) -> None:
    with Store.open(postgres_url) as one, Store.open(with_query(postgres_url, options="-cwork_mem=8MB")) as other:
        assert not one.database.is_same(other.database)
        assert one.info().target == other.info().target


def test_two_schemas_of_one_database_are_different(empty_database: str) -> None:
    with psycopg.connect(plain(empty_database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA one")
        connection.execute("CREATE SCHEMA two")
    first, second = (with_query(empty_database, options=f"-csearch_path={name}") for name in ("one", "two"))
    with Store.open(first) as one, Store.open(second) as two, Store.open(first) as again:
        assert not one.database.is_same(two.database)
        assert one.database.is_same(again.database)
        one.sessions.create(session_id="here")
        assert again.sessions.exists("here")
        assert not two.sessions.exists("here")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_than_utf8_is_refused(empty_database: str, encoding: str) -> None:
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(plain(empty_database), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(UnsupportedDatabaseError, match=encoding):
                Store.open(plain(empty_database, database=name))
            with psycopg.connect(plain(empty_database, database=name)) as other:
                (tables,) = other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() or ()
                assert tables == 0
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_several_hosts_are_tried_in_turn(postgres_url: str) -> None:
    url = sa.make_url(postgres_url)
    hosts = url.query.get("host") or url.host or "127.0.0.1"
    if isinstance(hosts, str) and hosts.startswith("/"):
        target = with_query(postgres_url, host=f"/nowhere,{hosts}")
    else:
        target = plain(postgres_url).replace(f"{url.host}:{url.port}", f"127.0.0.1:1,{url.host}:{url.port}")
    with Store.open(target) as store:
        assert store.sessions.create()


def test_several_hosts_keep_their_ports() -> None:
    with pytest.raises(DatabaseUnavailableError, match="port 1 failed") as refused:
        Store.open("postgresql://user:pw@127.0.0.1:1,127.0.0.1:2/db?connect_timeout=2")
    assert "port 2 failed" in str(refused.value)


@pytest.mark.parametrize("place", ["127.0.0.1:x", "127.0.0.1:1,127.0.0.1:y", "127.0.0.1:999999", "h:-1"])
def test_a_bad_port_is_refused(place: str) -> None:
    with pytest.raises(DatabaseError):
        Store.open(f"postgresql://user:pw@{place}/db")


def test_an_unknown_parameter_is_refused(postgres_url: str) -> None:
    with pytest.raises(UnsupportedDatabaseError, match="unheard_of"):
        Store.open(with_query(postgres_url, unheard_of="1"))


def test_a_read_only_default_refuses_writes(postgres_url: str) -> None:
    with Store.open(with_query(postgres_url, options="-c default_transaction_read_only=on")) as store:
        for _ in range(2):  # also after a read, on the same connection
            assert store.sessions.list().items == []
            with pytest.raises(DatabaseReadOnlyError, match="default_transaction_read_only"):
                store.sessions.create()


@pytest.fixture
def limited(postgres_url: str) -> Iterator[Callable[[str], Store]]:
    stores = []

    def open_with(setting: str) -> Store:
        stores.append(Store.open(with_query(postgres_url, options=f"-c {setting}")))
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


def test_a_statement_that_takes_too_long_is_typed(limited: Callable[[str], Store]) -> None:
    store = limited("statement_timeout=200ms")
    with pytest.raises(DatabaseTimeoutError, match="statement_timeout"), writing(store) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    assert store.sessions.create()


def test_a_transaction_that_idles_too_long_is_typed(limited: Callable[[str], Store]) -> None:
    store = limited("idle_in_transaction_session_timeout=200ms")

    def idle() -> None:
        with store.transaction() as tx:
            tx.sessions.create()
            time.sleep(0.5)
            tx.sessions.create()

    with pytest.raises((DatabaseTimeoutError, DatabaseUnavailableError)):
        idle()
    assert store.sessions.create()


class _RefusalError(Exception):
    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = state


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("57014", "canceling statement due to statement timeout", DatabaseTimeoutError),
        ("25P03", "terminating connection due to idle-in-transaction timeout", DatabaseTimeoutError),
        ("25P04", "terminating connection due to transaction timeout", DatabaseTimeoutError),
        ("0A000", "cannot set transaction read-write mode during recovery", DatabaseReadOnlyError),
        ("0A000", "no such feature", UnsupportedDatabaseError),
        ("25006", "cannot execute INSERT in a read-only transaction", DatabaseReadOnlyError),
        ("57P03", "the database system is starting up", DatabaseUnavailableError),
    ],
)
def test_each_code_of_the_server_has_its_error(state: str, text: str, kind: type[DatabaseError]) -> None:
    dialect = dialect_for("postgresql://user:s3cret@host/db", Settings())
    error = dialect.translate(_RefusalError(state, f"{text} s3cret"))
    assert type(error) is kind
    assert "s3cret" not in str(error)


def test_a_driver_that_waited_too_long_is_typed() -> None:
    dialect = dialect_for("postgresql://host/db", Settings())
    error = dialect.translate(psycopg.errors.ConnectionTimeout("connection timeout expired"))
    assert type(error) is DatabaseUnavailableError
