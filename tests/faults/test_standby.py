"""A real standby: reads on it, also while it lags or is away, and a fail-over that loses nothing acknowledged."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from hermes_store import (
    DatabaseError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    HermesStoreError,
    SchemaOutdatedError,
    Store,
    StoreClosedError,
)
from hermes_store.maintenance import verify
from tests.support.clusters import Cluster, primary_and_standby

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clusters() -> Iterator[tuple[Cluster, Cluster]]:
    with primary_and_standby() as (primary, standby):
        Store.open(primary.url).close()
        wait_for_tables(standby)
        yield primary, standby


def wait_for_tables(standby: Cluster) -> None:
    for _ in range(600):
        with contextlib.suppress(SchemaOutdatedError):
            return Store.open(standby.url, read_only=True).close()
        time.sleep(0.05)
    raise AssertionError("the standby does not have the tables")


def wait_until_seen(store: Store, session_id: str, messages: int) -> None:
    for _ in range(600):
        if store.stats().messages >= messages and len(store.messages.read(session_id)) == messages:
            return
        time.sleep(0.05)
    raise AssertionError(f"the standby does not have {messages} messages")


def acknowledge(primary: str) -> None:
    """Let a commit return only when the standby has it."""
    with psycopg.connect(primary, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        while not connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
            time.sleep(0.05)


def wait_for_no_lag(store: Store) -> None:
    for _ in range(600):
        if not store.replica_lag().lacking_bytes:
            return
        time.sleep(0.05)
    raise AssertionError(f"the standby does not catch up: {store.replica_lag()}")


def test_reads_that_may_lag_go_to_the_replica(clusters: tuple[Cluster, Cluster]) -> None:
    primary, standby = clusters
    with Store.open(primary.url, replica=standby.url) as store, psycopg.connect(standby.url, autocommit=True) as admin:
        store.sessions.create(session_id="lag", title="Before")
        assert store.replica_lag().is_standby
        wait_for_no_lag(store)
        admin.execute("SELECT pg_wal_replay_pause()")
        while not admin.execute("SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'").fetchone():
            time.sleep(0.01)
        store.sessions.update("lag", title="After")
        copy = store.replica()
        with copy.snapshot() as view:
            assert [one.title for one in view.sessions.list().items] == ["Before"]
        assert copy.profile("default").sessions.get("lag").title == "Before"
        assert store.sessions.get("lag").title == "After"
        lag = store.replica_lag()
        assert lag.is_standby
        assert lag.lacking_bytes > 0
        assert lag.seconds > 0
        with pytest.raises(DatabaseReadOnlyError):
            copy.sessions.update("lag", title="Mine")
        admin.execute("SELECT pg_wal_replay_resume()")
        wait_for_no_lag(store)
        assert store.replica_lag().seconds == 0
        assert copy.sessions.get("lag").title == "After"
        store.sessions.purge("lag")
    with pytest.raises(StoreClosedError):
        copy.sessions.list()


def test_the_primary_answers_for_a_stopped_standby(clusters: tuple[Cluster, Cluster]) -> None:
    primary, standby = clusters
    both = f"postgresql://postgres@{standby.address},{primary.address}/postgres?target_session_attrs=prefer-standby"
    options = {"pool_recycle": 1}
    with (
        Store.open(primary.url, replica=standby.url) as store,
        Store.open(primary.url, replica=both, engine_options=options) as other,
    ):
        assert other.replica_lag().is_standby
        assert store.replica().sessions.list().items == []
        standby.stop()
        with pytest.raises(DatabaseUnavailableError):
            store.replica().sessions.list()
        store.projects.create(name="Trip")
        assert len(other.replica().projects.list().items) == 1
        assert not other.replica_lag().is_standby
        with Store.open(primary.url, replica=standby.url) as late, pytest.raises(DatabaseUnavailableError):
            late.replica()
        standby.start()
        for _ in range(600):
            if other.replica_lag().is_standby:
                break
            time.sleep(0.05)
        wait_for_no_lag(other)
        assert len(store.replica().projects.list().items) == 1


def test_a_standby_is_read_and_takes_over(clusters: tuple[Cluster, Cluster]) -> None:
    primary, standby = clusters
    with Store.open(primary.url) as store:
        store.sessions.create(session_id="s", title="Trip")
        store.messages.append("s", {"role": "user", "content": "words to find"})
    with Store.open(standby.url, read_only=True) as copy:
        wait_until_seen(copy, "s", 1)
        assert [hit.position for hit in copy.search("find").items] == [0]
        assert [one.title for one in copy.sessions.list().items] == ["Trip"]
        assert verify(copy).findings == []
        with pytest.raises(DatabaseReadOnlyError):
            copy.sessions.update("s", title="Mine")
    with Store.open(standby.url) as copy, pytest.raises(DatabaseReadOnlyError, match="standby"):
        copy.sessions.update("s", title="Mine")

    acknowledge(primary.url)
    both = f"postgresql://postgres@{primary.address},{standby.address}/postgres?target_session_attrs=read-write"
    acknowledged, refused = [], []
    stop = threading.Event()

    def write(store: Store, worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                store.messages.append("s", {"worker": worker, "number": number})
                acknowledged.append((worker, number))
            except HermesStoreError as error:
                refused.append(error)
                time.sleep(0.05)

    def wait_for_more(count: int) -> None:
        wanted = len(acknowledged) + count
        for _ in range(1200):
            if len(acknowledged) >= wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"{len(acknowledged)} of {wanted} appends: {refused[-1:]}")

    with Store.open(both) as store:
        workers = [threading.Thread(target=write, args=(store, worker)) for worker in range(3)]
        for worker in workers:
            worker.start()
        try:
            wait_for_more(60)
            primary.stop()
            standby.promote()
            wait_for_more(60)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        messages = store.messages.read("s")[1:]
        found = [(message["worker"], message["number"]) for message in messages]
        assert set(acknowledged) <= set(found)
        assert len(set(found)) == len(found)
        for name in range(3):  # in the order in which they were written
            numbers = [number for worker_name, number in found if worker_name == name]
            assert numbers == sorted(numbers)
        assert refused
        assert all(isinstance(error, DatabaseError) for error in refused), refused
        assert verify(store).findings == []
