"""Conversations that are too large for one transaction: written in parts, and seen as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.outcomes import Outcome
from hermes_store.reports import ImportItem
from tests.support.agent.agentdb import AgentDb, require_equal
from tests.support.parts import ROWS, SIZE, before_parts, orphans, shrink_parts, staged_ids, write_costs

#: The rows of a part: each message and its payload, and the staged row. A session's own rows are a few more.
MOST_ROWS = 2 * ROWS + 10


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_parts(monkeypatch)


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file, with a conversation of 45 messages."""
    db = AgentDb(state_db())
    db.begin("talk", *(f"{number} {'x' * 50}" for number in range(45)), source="cli")
    return db


def _compress(agent: AgentDb) -> None:
    agent.compress("talk", "next", *(f"summary {number}" for number in range(30)))


def _take_back(agent: AgentDb) -> None:
    agent.mark(agent.ids("talk")[3:], active=0)


def _rewrite(agent: AgentDb) -> None:
    agent.sql("UPDATE messages SET content = content || '!' WHERE session_id = 'talk'")


#: What the agent does to a conversation between two imports.
CHANGES: dict[str, Callable[[AgentDb], object]] = {
    "goes on": lambda agent: agent.say("talk", "one", "two"),
    "goes on for long": lambda agent: agent.say("talk", *map(str, range(40))),
    "takes most of it back": _take_back,
    "changes every message": _rewrite,
    "takes back the first message": lambda agent: agent.mark(agent.ids("talk")[:1], active=0),
}


def test_no_transaction_writes_more_than_a_part(sqlite_store: Store, agent: AgentDb) -> None:
    bridge = AgentBridge(agent.path, store=sqlite_store)
    with write_costs(sqlite_store) as costs:
        assert bridge.import_session("talk").outcome is Outcome.IMPORTED
        for change in CHANGES.values():
            change(agent)
            assert bridge.import_session("talk").outcome is Outcome.UPDATED
        _compress(agent)
        assert bridge.import_session("next").outcome is Outcome.UPDATED
    assert max(cost.rows for cost in costs) <= MOST_ROWS
    notes = 500  # the import log has the ids of the agent's messages
    assert max(cost.size for cost in costs) <= SIZE + notes


@pytest.mark.parametrize("change", CHANGES)
def test_a_conversation_written_in_parts_equals_the_original(sqlite_store: Store, agent: AgentDb, change: str) -> None:
    bridge = AgentBridge(agent.path, store=sqlite_store)
    bridge.import_session("talk")
    require_equal(sqlite_store, agent)
    sqlite_store.documents.put("talk", {"draft": "mine", "large": "x" * 5_000})
    documents = sqlite_store.documents.read("talk")
    CHANGES[change](agent)
    assert bridge.import_session("talk").outcome is Outcome.UPDATED
    require_equal(sqlite_store, agent)
    assert sqlite_store.documents.read("talk") == documents
    assert bridge.import_session("talk").outcome is Outcome.UNCHANGED
    assert (staged_ids(sqlite_store), orphans(sqlite_store)) == ([], 0)


def test_a_compressed_conversation_stays_one_session(sqlite_store: Store, agent: AgentDb) -> None:
    bridge = AgentBridge(agent.path, store=sqlite_store)
    bridge.import_session("talk")
    agent.begin("aside", "hi", parent_session_id="talk")
    bridge.import_session("aside")
    _rewrite(agent)
    _compress(agent)
    assert bridge.import_session("next").id == "talk"
    require_equal(sqlite_store, agent, "next", copy="talk")
    assert bridge.import_session("next").outcome is Outcome.UNCHANGED
    assert sqlite_store.sessions.get("aside").parent_id == "talk"
    sqlite_store.sessions.delete("talk")
    assert bridge.import_session("next").outcome is Outcome.SKIPPED


@pytest.fixture(params=["new", "changed"])
def moments(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path, agent: AgentDb
) -> Callable[[Callable[[Store], object]], Iterator[tuple[Store, ImportItem]]]:
    """Import with another program's write before each transaction in turn; yield the store and the report."""

    def run(write: Callable[[Store], object]) -> Iterator[tuple[Store, ImportItem]]:
        for number in range(1, 60):
            path = tmp_path / f"{number}.db"
            path.write_bytes(sqlite_template.read_bytes())
            with Store.open(path, durability="normal") as store, Store.open(path, durability="normal") as other:
                bridge = AgentBridge(agent.path, store=store)
                if request.param == "changed":
                    bridge.import_session("talk")
                    _rewrite(agent)
                transactions = 0

                def intervene(other: Store = other, number: int = number) -> None:
                    nonlocal transactions
                    transactions += 1
                    if transactions == number:
                        write(other)

                with before_parts(intervene):
                    item = bridge.import_session("talk")
                assert (staged_ids(store), orphans(store)) == ([], 0)
                if transactions < number:
                    assert number > 5
                    return
                yield store, item
        raise AssertionError("it has too many transactions")

    return run


Moments = Callable[[Callable[[Store], object]], Iterator[tuple[Store, ImportItem]]]


@pytest.mark.slow
def test_a_message_added_during_an_import_is_kept(moments: Moments, agent: AgentDb) -> None:
    seen: list[Any] = []  # what the session had when the message was added

    def add(other: Store) -> None:
        if other.sessions.exists("talk"):
            seen[:] = other.messages.read("talk")
            other.messages.append("talk", "mine")

    outcomes = set()
    for store, item in moments(add):
        outcomes.add(item.outcome)
        found = store.messages.read("talk")
        expected = AgentBridge(agent.path).messages("talk", limit=1000).items
        if item.outcome is Outcome.IMPORTED:  # there was no session to add it to until the end
            assert found == expected
        else:
            assert found == [*seen, "mine"]
            assert (seen == expected) is (item.outcome is Outcome.UPDATED)
    assert outcomes in ({Outcome.IMPORTED}, {Outcome.CONFLICT, Outcome.UPDATED})


@pytest.mark.slow
def test_another_programs_import_meanwhile_makes_no_second_copy(moments: Moments, agent: AgentDb) -> None:
    for store, item in moments(lambda other: AgentBridge(agent.path, store=other).import_session("talk")):
        assert item.outcome in {Outcome.IMPORTED, Outcome.UPDATED, Outcome.UNCHANGED}
        require_equal(store, agent)
        assert store.sessions.count() == 1


@pytest.mark.slow
def test_a_conversation_purged_during_an_import_stays_purged(moments: Moments) -> None:
    def purge(other: Store) -> None:
        if not other.sessions.exists("talk"):
            other.sessions.create(session_id="talk")
        other.sessions.delete("talk")
        other.sessions.purge("talk")

    for store, item in moments(purge):
        assert item.outcome in {Outcome.IMPORTED, Outcome.UPDATED, Outcome.SKIPPED}
        assert store.sessions.count(include_empty=True) == 0
