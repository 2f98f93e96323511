"""A connection to PostgreSQL that breaks during a commit: the error says so, and a repetition writes nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
import sqlalchemy as sa

from hermes_store import CommitUnknownError, DatabaseUnavailableError, StaleSessionError, Store
from hermes_store.webui import SessionStorage
from tests.support.cutting_proxy import Cut, CuttingProxy

_END_OTHERS: LiteralString = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def proxy(postgres_server: sa.URL) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(postgres_server)
    yield proxy
    proxy.close()


@pytest.fixture
def store(proxy: CuttingProxy, postgres_url: str) -> Iterator[Store]:
    with Store.open(proxy.url(str(sa.make_url(postgres_url).database))) as store:
        store.sessions.create(session_id="rome")
        yield store


@pytest.mark.parametrize(("cut", "messages"), [("before", []), ("after", ["one"])])
def test_a_broken_commit_says_it_is_unknown(proxy: CuttingProxy, store: Store, cut: Cut, messages: list[str]) -> None:
    proxy.cut = cut
    with pytest.raises(CommitUnknownError, match="All of the transaction was written, or nothing") as caught:
        store.messages.append("rome", "one")
    assert caught.value.outcome_unknown
    assert caught.value.__cause__ is not None
    assert store.messages.read("rome") == messages


def test_a_broken_transaction_is_of_known_outcome(store: Store, postgres_url: str) -> None:
    def work() -> None:
        with store.transaction() as tx:
            tx.messages.append("rome", "one")
            with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(_END_OTHERS)
            tx.messages.append("rome", "two")

    with pytest.raises(DatabaseUnavailableError, match="rolled back") as caught:
        work()
    assert not caught.value.outcome_unknown
    assert store.messages.read("rome") == []


@pytest.mark.parametrize("cut", ["before", "after"])
def test_an_append_with_a_revision_is_repeated_safely(proxy: CuttingProxy, store: Store, cut: Cut) -> None:
    revision = store.messages.append("rome", "zero").revision
    proxy.cut = cut
    with pytest.raises(CommitUnknownError):
        store.messages.append("rome", "one", expected_revision=revision)
    if cut == "before":
        store.messages.append("rome", "one", expected_revision=revision)
    else:
        with pytest.raises(StaleSessionError, match="a message"):
            store.messages.append("rome", "one", expected_revision=revision)
    assert store.messages.read("rome") == ["zero", "one"]


@pytest.mark.parametrize("others", ["nobody", "before", "afterwards"])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_save_is_repeated_safely(proxy: CuttingProxy, store: Store, cut: Cut, others: str) -> None:
    storage = SessionStorage(store)
    storage.save("oslo", {"title": "Oslo"}, ["one"], base=None)
    data, token = storage.load("oslo")
    data = {**data, "title": "Bergen", "messages": [*data["messages"], "two"]}
    if others == "before":
        store.messages.append("oslo", "three")
    proxy.cut = cut
    with pytest.raises(CommitUnknownError):
        storage.save("oslo", data, base=token)
    if others == "afterwards":
        store.messages.append("oslo", "three")
    new, adopted = storage.save("oslo", data, base=token)
    stored = store.messages.read("oslo")
    assert sorted(stored) == sorted(["one", "two", *([] if others == "nobody" else ["three"])])
    assert store.sessions.get("oslo").title == "Bergen"
    assert new.message_count == len(stored)
    assert adopted.messages in (None, stored)


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_an_append_with_a_token_is_repeated_safely(proxy: CuttingProxy, store: Store, cut: Cut, others: bool) -> None:
    storage = SessionStorage(store)
    _, token = storage.load("rome")
    proxy.cut = cut
    with pytest.raises(CommitUnknownError):
        storage.append("rome", ["one"], base=token)
    if others:
        store.messages.append("rome", "two")
    token, _ = storage.append("rome", ["one"], base=token)
    assert sorted(store.messages.read("rome")) == ["one", *(["two"] if others else [])]
    storage.append("rome", ["one"], base=token)
    assert store.messages.read("rome").count("one") == 2


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_first_save_is_repeated_safely(proxy: CuttingProxy, store: Store, cut: Cut) -> None:
    storage = SessionStorage(store)
    values = {**storage.load("rome")[0], "session_id": "oslo", "messages": ["one"]}
    proxy.cut = cut
    with pytest.raises(CommitUnknownError):
        storage.save("oslo", values, base=None)
    storage.save("oslo", values, base=None)
    assert store.messages.read("oslo") == ["one"]
