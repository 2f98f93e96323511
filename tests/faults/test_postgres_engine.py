"""The pool and the connections of a store on PostgreSQL: options, the caller's engine, limits on waiting, opening."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import (
    DatabaseLockedError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    InvalidInputError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.storage import session_keys
from hermes_store.storage.dialects import Settings, dialect_for
from hermes_store.storage.migrations import HEAD
from hermes_store.storage.row_locks import RowLock
from tests.support.cutting_proxy import silent_server
from tests.support.internals import engine_of, reading_in, writing
from tests.support.statements import executed_while_opened


def setting(store: Store, name: str) -> object:
    with writing(store) as connection:
        return connection.exec_driver_sql(f"SHOW {name}").scalar()


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def with_query(url: str, **query: str) -> str:
    return sa.make_url(url).update_query_dict(query).render_as_string(hide_password=False)


def test_a_connection_has_the_name_of_the_library(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(postgres_url) as store:
        assert setting(store, "application_name") == "hermes_store"
    with Store.open(with_query(postgres_url, application_name="mine")) as store:
        assert setting(store, "application_name") == "mine"
    monkeypatch.setenv("PGAPPNAME", "ours")
    with Store.open(postgres_url) as store:
        assert setting(store, "application_name") == "ours"


def test_engine_options_reach_pool_and_connections(postgres_url: str) -> None:
    options = {
        "pool_size": 2,
        "max_overflow": 0,
        "connect_args": {"application_name": "mine", "options": "-c work_mem=7MB"},
    }
    with Store.open(postgres_url, busy_timeout=3, engine_options=options) as store:
        assert setting(store, "application_name") == "mine"
        assert setting(store, "work_mem") == "7MB"
        assert setting(store, "lock_timeout") == "3s"
        pool: Any = engine_of(store).pool
        assert (pool.size(), pool._max_overflow) == (2, 0)


def test_credentials_are_asked_for_each_connection(postgres_url: str) -> None:
    url = sa.make_url(postgres_url)
    asked: list[int] = []

    def credentials() -> Mapping[str, Any]:
        asked.append(1)
        return {"user": url.username, "password": url.password}

    with Store.open(url.set(username="nobody", password=None), engine_options={"credentials": credentials}) as store:
        store.sessions.create()
        before = len(asked)
        store.database.dialect.close()
        store.sessions.create()
        assert len(asked) == before + 1


@pytest.mark.parametrize(
    "options",
    [
        {"pool_sise": 3},
        {"pool_size": "3"},
        {"pool_size": True},
        {"connect_args": 3},
        {"credentials": "me"},
        {"engine": "mine"},
        {"engine": sa.create_engine("sqlite://")},
        {1: 2},
        3,
    ],
)
def test_bad_engine_options_are_refused(postgres_url: str, options: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"engine_options|dict"):
        Store.open(postgres_url, engine_options=options)


def test_engine_options_are_not_for_sqlite() -> None:
    with pytest.raises(InvalidInputError, match="PostgreSQL"):
        Store.open(":memory:", engine_options={"pool_size": 3})


def test_a_callers_engine_is_used_and_stays_open(postgres_url: str) -> None:
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"), pool_size=1)
    with Store.open(postgres_url, busy_timeout=2, durability="normal", engine_options={"engine": engine}) as store:
        store.sessions.create(title="Mine")
        assert setting(store, "lock_timeout") == "2s"
        assert setting(store, "synchronous_commit") == "off"
        assert [one.title for one in store.sessions.list(include_empty=True).items] == ["Mine"]
        with engine.begin() as connection:  # as before: only the store's transactions are set
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
            connection.exec_driver_sql("CREATE TEMP TABLE theirs (id int)")
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    engine.dispose()


def test_a_server_that_never_answers_is_given_up() -> None:
    with silent_server() as port, pytest.raises(DatabaseUnavailableError, match="timeout"):
        Store.open(f"postgresql://user@127.0.0.1:{port}/db?connect_timeout=2")


def test_connections_notice_that_a_server_is_away(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters: list[dict[str, Any]] = []
    original = psycopg.Connection.connect

    def connect(*given: Any, **named: Any) -> Any:
        parameters.append(named)
        return original(*given, **named)

    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    monkeypatch.setattr(psycopg, "connect", connect)
    Store.open(with_query(postgres_url, keepalives_idle="77")).close()
    used = parameters[0]
    assert (used["connect_timeout"], used["tcp_user_timeout"], used["keepalives"]) == (10, 30_000, 1)
    assert int(used["keepalives_idle"]) == 77


def test_a_full_pool_fails_after_the_busy_timeout(postgres_url: str) -> None:
    options = {"pool_size": 1, "max_overflow": 0}
    with Store.open(postgres_url, busy_timeout=0.1, engine_options=options) as store, store.snapshot():
        outcomes: list[object] = []

        def verb() -> None:
            with pytest.raises(DatabaseLockedError, match="All connections of this process") as caught:
                store.sessions.create()
            outcomes.append(caught.value)

        thread = threading.Thread(target=verb)
        thread.start()
        thread.join(60)
        assert len(outcomes) == 1


def test_all_waits_of_a_verb_share_the_timeout(postgres_url: str) -> None:
    with Store.open(postgres_url, busy_timeout=10) as store:
        store.sessions.create(session_id="rome")

        def lock_timeout_after(unit: Any, waited: float) -> object:
            unit._waited = waited
            session_keys.find(unit, "rome", None, lock=RowLock.CHANGE)
            return unit.raw.execute("SHOW lock_timeout").fetchone()[0]

        with store.database.write() as unit:
            assert lock_timeout_after(unit, 0.0) == "10s"
            assert lock_timeout_after(unit, 4.0) == "6s"
            assert lock_timeout_after(unit, 11.0) == "1ms"
            with unit.savepoint():  # the next verb of a transaction has all of it again
                assert lock_timeout_after(unit, 0.0) == "10s"


def test_opening_takes_one_query_for_the_schema(postgres_url: str) -> None:
    Store.open(postgres_url).close()
    statements = executed_while_opened(postgres_url)
    assert len([one for one in statements if "hermes_store_version" in one]) == 1
    assert not [one for one in statements if "pg_attribute" in one]


def test_tables_later_in_the_search_path_are_ignored(make_postgres_database: Callable[..., str]) -> None:
    url = make_postgres_database()
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine")
    for path, found in (("public", True), ("mine,public", False), ("mine", False)):
        dialect = dialect_for(with_query(url, options=f"-csearch_path={path}"), Settings())
        assert dialect.look(lambda connection, dialect=dialect: dialect.has_revision(connection, HEAD)) is found
        dialect.close()


def test_an_ordinary_role_is_told_what_to_grant(make_postgres_database: Callable[..., str]) -> None:
    url = make_postgres_database(empty=True)
    role = f"plain_{sa.make_url(url).database}"[:60]
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
        try:
            with pytest.raises(DatabaseReadOnlyError, match="GRANT CREATE, USAGE ON SCHEMA"):
                Store.open(sa.make_url(url).set(username=role))
            connection.execute(f'GRANT CREATE, USAGE ON SCHEMA public TO "{role}"'.encode())
            with Store.open(sa.make_url(url).set(username=role)) as store:
                store.sessions.create()
        finally:
            connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


@pytest.mark.parametrize("parameter", ["connect_timeout=x", "sslmode=x", "target_session_attrs=x", "options=-cx"])
def test_bad_values_of_parameters_are_said_so(postgres_url: str, parameter: str) -> None:
    name, _, value = parameter.partition("=")
    with pytest.raises(UnsupportedDatabaseError, match="parameter of the URL"):
        Store.open(with_query(postgres_url, **{name: value}))


def test_connections_in_use_are_closed_after_the_store(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        with store.snapshot() as view:
            view.sessions.list()
            with reading_in(view) as connection:
                raw: Any = connection.connection.driver_connection
            store.close()
        assert raw.closed
