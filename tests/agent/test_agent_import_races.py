"""Imports beside other writers of the store: nobody's messages are lost, and nothing is there twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.outcomes import Outcome
from tests.support.agent.agentdb import AgentDb
from tests.support.statements import before_statement

pytestmark = pytest.mark.slow


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file, with one more conversation in it."""
    db = AgentDb(state_db())
    db.begin("talk", "hello", "hi")
    return db


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    """Two programs' stores of one database."""
    target = request.getfixturevalue({"sqlite": "sqlite_path", "postgresql": "postgres_url"}[request.param])
    with Store.open(target, durability="normal") as one, Store.open(target, durability="normal") as other:
        yield one, other


def test_a_message_added_during_an_import_stays(stores: tuple[Store, Store], agent: AgentDb) -> None:
    store, user = stores
    AgentBridge(agent.path, store=store).import_session("talk")
    agent.say("talk", "theirs")
    adding = threading.Thread(target=lambda: user.messages.append("talk", {"role": "user", "content": "mine"}))

    def add() -> None:
        adding.start()
        adding.join(0.5)  # it is done by now, or waits for the import

    with before_statement(store, "INSERT INTO messages", add):
        assert AgentBridge(agent.path, store=store).import_session("talk").outcome is Outcome.UPDATED
    adding.join()
    found = store.messages.read("talk")
    assert [message["content"] for message in found] == ["hello", "hi", "theirs", "mine"]
    assert store.sessions.get("talk").message_count == 4


def test_a_message_added_before_the_import_stays(stores: tuple[Store, Store], agent: AgentDb) -> None:
    store, user = stores
    AgentBridge(agent.path, store=store).import_session("talk")
    agent.say("talk", "theirs")
    adding = threading.Thread(target=lambda: user.messages.append("talk", {"role": "user", "content": "mine"}))

    def add() -> None:
        adding.start()
        adding.join(0.5)

    with before_statement(store, "SELECT messages.id, messages.position, messages.digest", add):
        outcome = AgentBridge(agent.path, store=store).import_session("talk").outcome
    adding.join()
    theirs = ["theirs"] if outcome is Outcome.UPDATED else []
    assert [message["content"] for message in store.messages.read("talk")] == ["hello", "hi", *theirs, "mine"]


def test_concurrent_imports_of_one_conversation_make_one_copy(postgres_url: str, agent: AgentDb) -> None:
    with Store.open(postgres_url) as one, Store.open(postgres_url) as other:
        outcomes = []

        def import_into(store: Store) -> None:
            outcomes.append(AgentBridge(agent.path, store=store).import_session("talk").outcome)

        importing = threading.Thread(target=import_into, args=(other,))

        def begin() -> None:
            importing.start()
            importing.join(0.5)  # it is done by now, or waits for the other import

        with before_statement(one, "INSERT INTO sessions", begin):
            import_into(one)
        importing.join()
        assert sorted(outcomes) == [Outcome.IMPORTED, Outcome.UNCHANGED]
        assert one.sessions.count() == 1
        assert one.sessions.get("talk").message_count == 2


def test_concurrent_imports_of_everything_duplicate_no_conversation(
    stores: tuple[Store, Store], agent: AgentDb
) -> None:
    reports: list[Any] = []

    def import_into(store: Store) -> None:
        reports.append(AgentBridge(agent.path, store=store).import_sessions())

    threads = [threading.Thread(target=import_into, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 2
    ids = {item.id for item in reports[0].items}
    assert {item.id for item in reports[1].items} == ids
    ends = sorted((item.id, item.outcome) for report in reports for item in report.items)
    assert ends == sorted((one, end) for one in ids for end in (Outcome.IMPORTED, Outcome.UNCHANGED))
    assert stores[0].sessions.count() == len(ids)
