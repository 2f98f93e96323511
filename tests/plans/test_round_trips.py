"""How often a verb waits for the server: everything counts, also what begins and ends transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import Store
from tests.support.counting_proxy import CountingProxy

MESSAGE = {"role": "user", "content": "Where to go in Rome?"}

TRIPS: dict[str, tuple[int, Callable[[Store], object]]] = {
    "sessions.get": (1, lambda store: store.sessions.get("rome")),
    "sessions.get_many": (1, lambda store: store.sessions.get_many(["rome", "oslo"])),
    "sessions.exists": (1, lambda store: store.sessions.exists("rome")),
    "sessions.find": (1, lambda store: store.sessions.find("ro")),
    "sessions.list": (1, lambda store: store.sessions.list()),
    "sessions.list of a profile": (1, lambda store: store.sessions.list(profile="default")),
    "messages.count": (1, lambda store: store.messages.count("rome")),
    # The session, and the messages.
    "messages.read": (2, lambda store: store.messages.read("rome")),
    "messages.tail": (2, lambda store: store.messages.tail("rome")),
    # The session, the message with its payload, its words and the session's row, and the commit.
    "messages.append": (3, lambda store: store.messages.append("rome", MESSAGE)),
    # The session, originals of values, the row, the words of the title, the record, and the commit.
    "sessions.update": (6, lambda store: store.sessions.update("rome", title="Rome")),
    # Each of several reads of one state, and its end.
    "documents.read": (4, lambda store: store.documents.read("rome")),
}


@pytest.fixture
def proxy(postgres_server: sa.URL) -> Iterator[CountingProxy]:
    proxy = CountingProxy(postgres_server)
    yield proxy
    proxy.close()


def test_a_verb_makes_few_round_trips(proxy: CountingProxy, postgres_url: str) -> None:
    with Store.open(proxy.url(str(sa.make_url(postgres_url).database))) as store:
        store.sessions.create(session_id="rome", title="Rome")
        store.messages.append("rome", MESSAGE)
        found = {}
        for name, (_, verb) in TRIPS.items():
            for _ in range(10):  # the driver prepares what is repeated
                before = proxy.trips
                verb(store)
                found[name] = proxy.trips - before
        assert found == {name: count for name, (count, _) in TRIPS.items()}


def test_a_connection_that_broke_is_replaced(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        store.sessions.create(session_id="rome")
        for verb in (store.sessions.get, lambda session: store.messages.append(session, MESSAGE)):
            with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            verb("rome")
        assert store.messages.count("rome") == 1
