"""Conversations of several sessions: where they come from, and that they are known again when their chain changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import SessionNotFoundError, Store
from hermes_store.agent import AgentBridge
from hermes_store.agent.combined_listing import list_combined
from hermes_store.outcomes import Outcome
from hermes_store.reports import ImportItem
from tests.support.agent.agentdb import AgentDb, require_equal

BRANCHED = '{"_branched_from": "x"}'


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file, with a conversation that compression made of three sessions in it."""
    db = AgentDb(state_db())
    db.begin("talk", "hello", "hi", title="Talk")
    db.compress("talk", "talk-2", "[summary]", "on")
    db.compress("talk-2", "talk-3", "[summary]", "and on")
    return db


def imported(store: Store, agent: AgentDb, session_id: str) -> ImportItem:
    return AgentBridge(agent.path, store=store).import_session(session_id)


def cut(agent: AgentDb, session_id: str) -> None:
    """Remove the first session of a chain, as pruning does."""
    assert AgentBridge(agent.path).delete_session(session_id, force=True).sessions == (session_id,)


@pytest.mark.parametrize("parent", ["talk", "talk-2", "talk-3"])
def test_a_branch_belongs_to_the_whole_conversation(sqlite_store: Store, agent: AgentDb, parent: str) -> None:
    agent.begin("offshoot", "hello", parent_session_id=parent, model_config=BRANCHED)
    AgentBridge(agent.path, store=sqlite_store).import_sessions()
    assert sqlite_store.sessions.get("offshoot").parent_id == "talk-3"


@pytest.mark.parametrize("parent", ["talk", "talk-2", "talk-3"])
def test_a_parent_imported_later_or_renamed_is_found(sqlite_store: Store, agent: AgentDb, parent: str) -> None:
    agent.begin("offshoot", "hello", parent_session_id=parent, model_config=BRANCHED)
    imported(sqlite_store, agent, "offshoot")
    assert sqlite_store.sessions.get("offshoot").parent_id is None
    imported(sqlite_store, agent, "talk")
    sqlite_store.sessions.change_id("talk-3", "renamed")
    item = imported(sqlite_store, agent, "offshoot")
    assert (item.outcome, item.reason) == (Outcome.UPDATED, "its parent is here now")
    assert sqlite_store.sessions.get("offshoot").parent_id == "renamed"
    assert imported(sqlite_store, agent, "offshoot").outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("how", ["cut loose", "another", "purged", "deleted", "moved"])
def test_a_link_that_the_user_changed_stays_so(sqlite_store: Store, agent: AgentDb, how: str) -> None:
    agent.begin("offshoot", "hello", parent_session_id="talk-2", model_config=BRANCHED)
    AgentBridge(agent.path, store=sqlite_store).import_sessions()
    other = sqlite_store.sessions.create().session_id
    if how == "purged":
        sqlite_store.sessions.purge("talk-3")
    elif how == "deleted":
        sqlite_store.sessions.delete("talk-3")
    elif how == "moved":
        sqlite_store.sessions.update("offshoot", profile="private")
    else:
        sqlite_store.sessions.update("offshoot", parent_id=other if how == "another" else None)
    before = sqlite_store.sessions.get("offshoot")
    assert imported(sqlite_store, agent, "offshoot").outcome is Outcome.UNCHANGED
    assert sqlite_store.sessions.get("offshoot") == before


def test_a_parent_of_another_profile_is_not_linked(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("offshoot", "hello", parent_session_id="talk", model_config=BRANCHED)
    AgentBridge(agent.path, store=sqlite_store, store_profile="private").import_session("talk")
    imported(sqlite_store, agent, "offshoot")
    assert sqlite_store.sessions.get("offshoot").parent_id is None


def test_branches_of_each_other_are_linked_one_way(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("one", "hello", model_config=BRANCHED)
    agent.begin("two", "hello", parent_session_id="one", model_config=BRANCHED)
    agent.sql("UPDATE sessions SET parent_session_id = 'two' WHERE id = 'one'")
    for _ in range(2):
        AgentBridge(agent.path, store=sqlite_store).import_sessions()
        parents = [sqlite_store.sessions.get(one).parent_id for one in ("one", "two")]
        assert sorted(parents, key=str) in (["one", None], [None, "two"], ["two", None], [None, "one"])


def test_a_conversation_whose_beginning_was_cut_is_recognised(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent, "talk")
    before = list(sqlite_store.messages.read("talk-3"))
    for step in ("talk", "talk-2"):
        cut(agent, step)
        agent.say("talk-3", f"after {step}")
        item = imported(sqlite_store, agent, "talk-3")
        assert (item.outcome, item.id) == (Outcome.CONFLICT, "talk-3")
        assert "gone from the agent's file" in item.reason
    assert list(sqlite_store.messages.read("talk-3")) == before
    assert "talk-3" in {item.id for item in AgentBridge(agent.path, store=sqlite_store).import_sessions().items}


@pytest.mark.parametrize("verb", ["delete", "purge"])
def test_what_was_deleted_stays_so_after_pruning(sqlite_store: Store, agent: AgentDb, verb: str) -> None:
    imported(sqlite_store, agent, "talk")
    getattr(sqlite_store.sessions, verb)("talk-3")
    agent.compress("talk-3", "talk-4", "[summary]")
    assert imported(sqlite_store, agent, "talk").outcome is Outcome.SKIPPED
    for number in (1, 2, 3):
        cut(agent, "talk" if number == 1 else f"talk-{number}")
        assert imported(sqlite_store, agent, "talk-4").outcome is Outcome.SKIPPED
    assert not sqlite_store.sessions.exists("talk-4")


def test_a_late_continuation_takes_over_the_earlier_messages(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("first", "hello")
    agent.begin("second", "on", parent_session_id="first")
    imported(sqlite_store, agent, "second")  # before the agent came to say why the first one ended
    agent.sql("UPDATE sessions SET end_reason = 'compression', ended_at = 1 WHERE id = 'first'")
    for outcome in (Outcome.UPDATED, Outcome.UNCHANGED):
        assert imported(sqlite_store, agent, "first").outcome is outcome
        require_equal(sqlite_store, agent, "second")
    with pytest.raises(SessionNotFoundError):
        sqlite_store.sessions.get("first")


def test_a_combined_list_has_each_conversation_once(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("first", "hello")
    agent.begin("second", "on", parent_session_id="first")
    imported(sqlite_store, agent, "second")
    sqlite_store.sessions.change_id("second", "renamed")
    agent.sql("UPDATE sessions SET end_reason = 'compression', ended_at = 1 WHERE id = 'first'")

    def listed() -> list[str]:
        page = list_combined(sqlite_store, AgentBridge(agent.path), limit=1000)
        return [row.session_id for row in page.items if row.session_id in ("first", "second", "second-2", "renamed")]

    assert listed() == ["renamed"]
    imported(sqlite_store, agent, "first")
    agent.compress("second", "second-2", "[summary]")
    imported(sqlite_store, agent, "second-2")
    cut(agent, "first")
    assert listed() == ["renamed"]
    cut(agent, "second")
    assert listed() == ["renamed"]


@pytest.mark.parametrize("member", ["talk", "talk-2", "talk-3"])
@pytest.mark.parametrize(("verb", "outcome"), [(None, Outcome.CONFLICT), ("delete", Outcome.SKIPPED)])
def test_conversation_with_a_foreign_id_is_not_imported(
    sqlite_store: Store, agent: AgentDb, member: str, verb: str | None, outcome: Outcome
) -> None:
    sqlite_store.sessions.create(session_id=member, title="Mine")
    if verb:
        getattr(sqlite_store.sessions, verb)(member)
    assert imported(sqlite_store, agent, "talk").outcome is outcome
    assert [row.session_id for row in sqlite_store.sessions.list().items] == ([] if verb else [member])
