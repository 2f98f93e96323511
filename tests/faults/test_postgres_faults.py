"""A server that is away, refuses, or hangs up: typed errors, nothing half-written, and recovery."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from hermes_store import (
    DatabaseError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    Store,
    UnsupportedDatabaseError,
)
from tests.support.internals import engine_of, writing


@pytest.fixture
def admin(postgres_server: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with Store.open(postgres_url, durability="normal") as store:
        yield store


@pytest.fixture
def hang_up(admin: sa.Connection, postgres_url: str) -> Callable[[], int]:
    """Let the server end every connection to the test's database, and return how many there were."""

    def end_all() -> int:
        query = sa.text("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = :name")
        return int(admin.execute(query, {"name": sa.make_url(postgres_url).database}).scalar_one())

    return end_all


def test_a_server_that_is_not_there_is_unavailable(require_cause: Callable[[DatabaseError], None]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(DatabaseUnavailableError) as caught:
            Store.open(f"postgresql://someone:topsecret@127.0.0.1:{port}/hermes")
    require_cause(caught.value)
    assert str(port) in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_an_unknown_database_is_reported_missing(
    postgres_server: sa.URL, require_cause: Callable[[DatabaseError], None]
) -> None:
    with pytest.raises(DatabaseMissingError, match="no_such_database") as caught:
        Store.open(postgres_server.set(database="no_such_database"))
    require_cause(caught.value)


def test_an_unknown_role_makes_the_database_unavailable(postgres_server: sa.URL) -> None:
    with pytest.raises(DatabaseUnavailableError, match="no_such_role"):
        Store.open(postgres_server.set(username="no_such_role"))


def test_connections_ended_by_the_server_are_replaced(store: Store, hang_up: Callable[[], int]) -> None:
    session_id = store.sessions.create().session_id
    for number in range(3):
        assert hang_up() >= 1
        assert store.messages.append(session_id, number).first_position == number
        assert hang_up() >= 1
        assert store.messages.read(session_id) == list(range(number + 1))


def test_a_connection_lost_in_a_transaction_writes_nothing(
    store: Store, hang_up: Callable[[], int], require_cause: Callable[[DatabaseError], None]
) -> None:
    session_id = store.sessions.create(title="Before").session_id

    def work() -> None:
        with store.transaction() as tx:
            tx.messages.append(session_id, "one")
            tx.sessions.update(session_id, title="After")
            hang_up()
            tx.messages.append(session_id, "two")

    with pytest.raises(DatabaseUnavailableError, match="rolled back") as caught:
        work()
    require_cause(caught.value)
    assert store.messages.read(session_id) == []
    assert store.sessions.get(session_id).title == "Before"
    assert store.messages.append(session_id, "three").first_position == 0


def test_a_connection_lost_before_commit_writes_nothing(store: Store, hang_up: Callable[[], int]) -> None:
    session_id = store.sessions.create().session_id

    def work() -> None:
        with store.transaction() as tx:
            tx.messages.append(session_id, "one")
            hang_up()

    with pytest.raises(DatabaseUnavailableError):
        work()
    assert store.messages.read(session_id) == []


def test_a_row_locked_by_another_writer_times_out(
    store: Store, postgres_url: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    session_id = store.sessions.create().session_id
    with Store.open(postgres_url, busy_timeout=0.05) as hasty:
        with store.transaction() as tx:
            tx.messages.append(session_id, "one")
            with pytest.raises(DatabaseLockedError, match="try again") as caught:
                hasty.messages.append(session_id, "two")
            require_cause(caught.value)
            assert hasty.messages.read(session_id) == []
        hasty.messages.append(session_id, "two")
    assert store.messages.read(session_id) == ["one", "two"]


def test_a_role_without_write_rights_is_read_only(
    admin: sa.Connection, postgres_url: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    with Store.open(postgres_url) as store:
        session_id = store.sessions.create().session_id
        with writing(store) as connection:
            connection.exec_driver_sql(
                "CREATE ROLE hermes_reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO hermes_reader"
            )
            role = "SET SESSION AUTHORIZATION"
        try:
            sa.event.listen(
                engine_of(store), "checkout", lambda connection, *_: connection.execute(f"{role} hermes_reader")
            )
            assert store.messages.read(session_id) == []
            with pytest.raises(DatabaseReadOnlyError, match="rights") as caught:
                store.messages.append(session_id, "one")
            require_cause(caught.value)
        finally:
            store.close()
            with Store.open(postgres_url) as owner, writing(owner) as connection:
                connection.exec_driver_sql("DROP OWNED BY hermes_reader; DROP ROLE hermes_reader")


def test_a_database_with_other_tables_is_refused(
    make_postgres_database: Callable[..., str],
) -> None:
    url = make_postgres_database(empty=True)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (id int)")
    with pytest.raises(UnsupportedDatabaseError, match="theirs"):
        Store.open(url)
    assert sa.inspect(engine).get_table_names() == ["theirs"]
    engine.dispose()
