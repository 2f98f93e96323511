"""Importing the agent's conversations: copies that grow with theirs, and never cost the user anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import InvalidIdError, SessionDeletedError, SessionNotFoundError, Store, TransactionError
from hermes_store.agent import AgentBridge
from hermes_store.outcomes import ItemKind, Outcome
from hermes_store.reports import ImportItem
from hermes_store.storage.schema import metadata
from tests.support.agent.agentdb import AgentDb, require_equal
from tests.support.internals import reading

ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A fresh store on each backend."""
    target = request.getfixturevalue({"sqlite": "sqlite_path", "postgresql": "postgres_url"}[request.param])
    with Store.open(target, durability="normal") as opened:
        yield opened


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file, with one more conversation in it, the last of all."""
    db = AgentDb(state_db())
    db.begin("talk", "hello", "hi", "how are you", "fine", title="Talk", model="m/1", cwd="/code")
    return db


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that the store holds."""
    with reading(store) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that the store holds except the import log."""
    return {name: found for name, found in rows(store).items() if name != "import_items"}


def row_ids(store: Store, session_id: str) -> list[int]:
    """Return the ids of the session's message rows, in order."""
    query = sa.text(
        "SELECT m.id FROM messages m JOIN sessions s ON s.id = m.session_id WHERE s.session_id = :id ORDER BY position"
    )
    with reading(store) as connection:
        return list(connection.execute(query, {"id": session_id}).scalars())


def imported(store: Store, agent: AgentDb, session_id: str = "talk") -> ImportItem:
    return AgentBridge(agent.path, store=store).import_session(session_id)


def texts(store: Store, session_id: str = "talk") -> list[Any]:
    return [message["content"] for message in store.messages.read(session_id)]


@pytest.mark.slow
def test_every_conversation_is_imported_with_messages_and_fields(store: Store, agent: AgentDb) -> None:
    report = AgentBridge(agent.path, store=store).import_sessions(include=ALL)
    theirs = AgentBridge(agent.path).sessions(limit=1000, include=ALL).items
    assert report.counts == {Outcome.IMPORTED: len(theirs)}
    assert {item.kind for item in report.items} == {ItemKind.AGENT_SESSION}
    assert {item.id for item in report.items} == {session.session_id for session in theirs}
    for session in theirs:
        require_equal(store, agent, session.session_id)
        copy = store.sessions.get(session.session_id)
        assert (copy.workspace, copy.model, copy.source) == (session.cwd, session.model, session.source)
        assert (copy.created_at, copy.archived, copy.profile) == (session.started_at, session.archived, "default")
        marks = store.documents.read(session.session_id)
        assert marks == {
            "is_cli_session": True,
            "source_tag": session.source_tag,
            "_cli_origin": session.session_id,
        }
    login = store.sessions.get("login")
    assert (login.title, login.model, login.input_tokens) == (
        "Fix the login page",
        "anthropic/claude-sonnet-4.6",
        1200,
    )


def test_branches_and_helpers_know_where_they_come_from(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("branch-of-branch", "hello", parent_session_id="branch", model_config='{"_branched_from": "branch"}')
    AgentBridge(agent.path, store=sqlite_store).import_sessions(include=ALL)
    parents = {"branch": "login", "branch-of-branch": "branch", "helper-marked": "login", "branch-of-old": "branched"}
    for session_id, parent in parents.items():
        assert sqlite_store.sessions.get(session_id).parent_id == parent
    assert sqlite_store.sessions.get("orphan").parent_id is None


def test_a_second_import_changes_nothing(store: Store, agent: AgentDb) -> None:
    bridge = AgentBridge(agent.path, store=store)
    bridge.import_sessions(include=ALL)
    before = rows(store)
    report = bridge.import_sessions(include=ALL)
    assert set(report.counts) == {Outcome.UNCHANGED}
    assert rows(store) == before


def test_what_the_agent_adds_is_appended(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    before = row_ids(store, "talk")
    agent.say("talk", "more", "and more")
    agent.sql("UPDATE sessions SET input_tokens = 77, output_tokens = 8, estimated_cost_usd = 0.5 WHERE id = 'talk'")
    item = imported(store, agent)
    assert (item.outcome, item.reason) == (Outcome.UPDATED, "2 new messages")
    assert row_ids(store, "talk")[:4] == before
    require_equal(store, agent)


def test_an_import_advances_the_revisions_of_what_changed(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    copy = store.sessions.get("talk")
    assert (copy.revision, copy.transcript_revision, copy.fields_revision) == (1, 1, 1)
    agent.say("talk", "more")
    imported(store, agent)
    copy = store.sessions.get("talk")
    assert (copy.revision, copy.transcript_revision, copy.fields_revision) == (2, 2, 1)
    agent.sql("UPDATE sessions SET title = 'Other' WHERE id = 'talk'")
    imported(store, agent)
    copy = store.sessions.get("talk")
    assert (copy.revision, copy.transcript_revision, copy.fields_revision) == (3, 2, 3)
    agent.say("talk", "and more")
    agent.sql("UPDATE sessions SET input_tokens = 5 WHERE id = 'talk'")
    imported(store, agent)
    copy = store.sessions.get("talk")
    assert (copy.revision, copy.transcript_revision, copy.fields_revision) == (4, 4, 4)


def test_messages_rewound_in_the_agent_are_removed_here(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    before = row_ids(store, "talk")
    agent.mark(agent.ids("talk")[2:], active=0)
    agent.say("talk", "something else")
    item = imported(store, agent)
    assert (item.outcome, item.reason) == (Outcome.UPDATED, "1 new messages, 2 taken back")
    assert texts(store) == ["hello", "hi", "something else"]
    assert row_ids(store, "talk")[:2] == before[:2]
    agent.mark(agent.ids("talk"), active=1)
    assert imported(store, agent).outcome is Outcome.UPDATED
    assert texts(store) == ["hello", "hi", "how are you", "fine", "something else"]


def test_messages_that_were_summarised_stay_and_are_marked(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    before = row_ids(store, "talk")
    agent.mark(agent.ids("talk")[:2], active=0, compacted=1)
    assert imported(store, agent).outcome is Outcome.UPDATED
    require_equal(store, agent)
    assert [message.get("_compacted", False) for message in store.messages.read("talk")] == [True, True, False, False]
    assert row_ids(store, "talk") == before


def test_a_conversation_compressed_into_new_sessions_stays_one(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    before = row_ids(store, "talk")
    for number in (2, 3):
        agent.compress(
            "talk" if number == 2 else "talk-2", f"talk-{number}", "[summary]", "on", title=f"Talk #{number}"
        )
        item = imported(store, agent, f"talk-{number}")
        assert (item.outcome, item.id) == (Outcome.UPDATED, "talk")
        assert "compressed since" in item.reason
        require_equal(store, agent, f"talk-{number}", "talk")
        assert not store.sessions.exists(f"talk-{number}")
    assert row_ids(store, "talk")[:4] == before
    assert store.sessions.get("talk").title == "Talk #3"
    assert imported(store, agent, "talk").outcome is Outcome.UNCHANGED


def test_a_title_that_the_user_gave_is_kept(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    store.sessions.update("talk", title="Mine")
    for number in range(2):
        agent.say("talk", f"more {number}")
        agent.sql("UPDATE sessions SET title = ? WHERE id = 'talk'", f"Theirs {number}")
        assert imported(store, agent).outcome is Outcome.UPDATED
        assert store.sessions.get("talk").title == "Mine"
    assert texts(store)[-2:] == ["more 0", "more 1"]


def test_a_title_the_agent_sets_later_is_imported(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("untitled", "what is the time", "noon")
    imported(sqlite_store, agent, "untitled")
    assert sqlite_store.sessions.get("untitled").title == "what is the time"
    agent.sql("UPDATE sessions SET title = 'Time' WHERE id = 'untitled'")
    imported(sqlite_store, agent, "untitled")
    assert sqlite_store.sessions.get("untitled").title == "Time"


def test_importing_a_later_title_hides_no_message_conflict(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    _append(sqlite_store)
    agent.sql("UPDATE sessions SET title = 'Later' WHERE id = 'talk'")
    assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
    assert imported(sqlite_store, agent).outcome is Outcome.UNCHANGED
    agent.say("talk", "theirs")
    assert imported(sqlite_store, agent).outcome is Outcome.CONFLICT
    assert texts(sqlite_store)[-1] == "mine"
    assert sqlite_store.sessions.get("talk").title == "Later"


def test_other_fields_of_the_user_s_are_kept(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    sqlite_store.sessions.update("talk", pinned=True, archived=True, workspace="/mine", model="mine")
    agent.say("talk", "more")
    assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
    copy = sqlite_store.sessions.get("talk")
    assert (copy.pinned, copy.archived, copy.workspace, copy.model) == (True, True, "/mine", "mine")


def test_a_title_that_both_set_stays_the_users(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    sqlite_store.sessions.update("talk", title="Same")
    for title in ("Same", "Other"):
        agent.sql("UPDATE sessions SET title = ? WHERE id = 'talk'", title)
        agent.say("talk", "more")
        assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
        assert sqlite_store.sessions.get("talk").title == "Same"


def test_tokens_counted_after_the_last_message_are_imported(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    agent.sql("UPDATE sessions SET input_tokens = 77, estimated_cost_usd = 0.1 WHERE id = 'talk'")
    item = imported(store, agent)
    assert (item.outcome, item.reason) == (Outcome.UPDATED, "more tokens, another cost")
    require_equal(store, agent)
    store.sessions.update("talk", input_tokens=5)
    agent.sql("UPDATE sessions SET input_tokens = 99, output_tokens = 9 WHERE id = 'talk'")
    assert imported(store, agent).reason == "more tokens"
    copy = store.sessions.get("talk")
    assert (copy.input_tokens, copy.output_tokens, copy.estimated_cost) == (5, 9, 0.1)
    before = rows(store)
    assert imported(store, agent).outcome is Outcome.UNCHANGED
    assert rows(store) == before


def _append(store: Store) -> None:
    store.messages.append("talk", {"role": "user", "content": "mine"})


def _edit(store: Store) -> None:
    read = store.messages.read("talk")
    store.messages.update("talk", 1, {**read[1], "content": "mine"}, expected_revision=read.revision)


def _truncate(store: Store) -> None:
    store.messages.truncate("talk", keep=2, expected_revision=store.sessions.get("talk").revision)


@pytest.mark.parametrize("change", [_append, _edit, _truncate])
def test_messages_that_both_changed_stay_a_conflict(
    store: Store, agent: AgentDb, change: Callable[[Store], None]
) -> None:
    imported(store, agent)
    change(store)
    before = rows(store)
    assert imported(store, agent).outcome is Outcome.UNCHANGED  # the agent has nothing new
    agent.say("talk", "theirs")
    for _ in range(3):
        item = imported(store, agent)
        assert item.outcome is Outcome.CONFLICT
        assert "changed here and by the agent" in item.reason
    assert rows(store) == before


def test_messages_added_and_truncated_again_are_no_conflict(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    _append(sqlite_store)
    revision = sqlite_store.sessions.get("talk").revision
    sqlite_store.messages.truncate("talk", keep=4, expected_revision=revision)
    agent.say("talk", "more")
    assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
    require_equal(sqlite_store, agent)


def test_messages_that_both_took_back_are_no_conflict(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    _truncate(sqlite_store)
    agent.mark(agent.ids("talk")[2:], active=0)
    before = contents(sqlite_store)
    assert imported(sqlite_store, agent).outcome is Outcome.UNCHANGED
    assert contents(sqlite_store) == before
    agent.say("talk", "more")
    assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
    require_equal(sqlite_store, agent)


def test_messages_deleted_from_the_agents_file_stay_here(store: Store, agent: AgentDb) -> None:
    imported(store, agent)
    before = rows(store)
    agent.sql("DELETE FROM messages WHERE id = ?", agent.ids("talk")[0])
    agent.say("talk", "after pruning")
    for _ in range(2):
        item = imported(store, agent)
        assert item.outcome is Outcome.CONFLICT
        assert "gone from the agent's file" in item.reason
    agent.sql("DELETE FROM messages WHERE session_id = 'talk'")
    assert imported(store, agent).outcome is Outcome.CONFLICT
    agent.sql("DELETE FROM sessions WHERE id = 'talk'")
    with pytest.raises(SessionNotFoundError):
        imported(store, agent)
    assert "talk" not in {item.path for item in AgentBridge(agent.path, store=store).import_sessions().items}
    assert store.sessions.get("talk").message_count == 4
    assert [row for row in rows(store)["messages"] if row in before["messages"]] == before["messages"]


def test_a_replaced_file_conflicts_and_removes_nothing(
    sqlite_store: Store, agent: AgentDb, state_db: Callable[..., Path]
) -> None:
    imported(sqlite_store, agent)
    other = AgentDb(state_db(name="other/state.db"))
    other.begin("elsewhere", "x" * 10, "y", "z")  # whose rows have the ids of the first file's
    other.begin("talk", "another", "talk")
    agent.replace_by(other.path)
    assert imported(sqlite_store, agent).outcome is Outcome.CONFLICT
    assert texts(sqlite_store) == ["hello", "hi", "how are you", "fine"]


def test_a_restored_backup_of_the_agent_removes_nothing(sqlite_store: Store, agent: AgentDb, tmp_path: Path) -> None:
    backup = AgentDb(Path(shutil.copy(agent.path, tmp_path / "backup.db")))
    agent.say("talk", "after the backup", "lost to the agent")
    imported(sqlite_store, agent)
    backup.say("talk", "other words", "with the same row ids", "and one more")
    agent.replace_by(backup.path)
    agent.sql("UPDATE messages SET timestamp = timestamp + 1000 WHERE id = ?", agent.ids("talk")[4])
    assert imported(sqlite_store, agent).outcome is Outcome.CONFLICT
    assert texts(sqlite_store)[-2:] == ["after the backup", "lost to the agent"]


def test_another_file_with_the_same_ids_removes_nothing(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    ids = agent.ids("talk")[2:]
    agent.mark(ids, active=0)
    agent.sql("UPDATE messages SET timestamp = timestamp + 1000, content = 'other' WHERE id >= ?", ids[0])
    assert imported(sqlite_store, agent).outcome is Outcome.CONFLICT
    assert texts(sqlite_store) == ["hello", "hi", "how are you", "fine"]


@pytest.mark.parametrize("verb", ["delete", "purge"])
def test_what_was_deleted_here_stays_deleted(store: Store, agent: AgentDb, verb: str) -> None:
    imported(store, agent)
    getattr(store.sessions, verb)("talk")
    before = contents(store)
    for follow_up in (lambda: None, lambda: agent.say("talk", "more"), lambda: agent.compress("talk", "talk-2", "on")):
        follow_up()
        assert imported(store, agent).outcome is Outcome.SKIPPED
        assert contents(store) == before
    report = AgentBridge(agent.path, store=store).import_sessions()
    assert {item.outcome for item in report.items if item.path == "talk-2"} == {Outcome.SKIPPED}
    with pytest.raises((SessionDeletedError, SessionNotFoundError)):
        store.sessions.get("talk")


def test_a_restored_session_follows_the_agent_again(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    sqlite_store.sessions.delete("talk")
    agent.say("talk", "meanwhile")
    assert imported(sqlite_store, agent).outcome is Outcome.SKIPPED
    sqlite_store.sessions.restore("talk")
    assert imported(sqlite_store, agent).outcome is Outcome.UPDATED
    require_equal(sqlite_store, agent)


def test_imports_update_a_session_given_another_id(sqlite_store: Store, agent: AgentDb) -> None:
    imported(sqlite_store, agent)
    sqlite_store.sessions.change_id("talk", "renamed")
    agent.say("talk", "more")
    item = imported(sqlite_store, agent)
    assert (item.outcome, item.id) == (Outcome.UPDATED, "renamed")
    require_equal(sqlite_store, agent, "talk", "renamed")


def test_importing_over_an_unrelated_session_is_a_conflict(store: Store, agent: AgentDb) -> None:
    store.sessions.create(session_id="talk", title="Mine")
    _append(store)
    before = rows(store)
    for _ in range(2):
        item = imported(store, agent)
        assert item.outcome is Outcome.CONFLICT
        assert "from elsewhere" in item.reason
    assert rows(store) == before


def test_importing_from_a_copied_file_is_a_conflict(sqlite_store: Store, agent: AgentDb, tmp_path: Path) -> None:
    imported(sqlite_store, agent)
    other = AgentDb(Path(shutil.copy(agent.path, tmp_path / "other.db")))
    assert imported(sqlite_store, other).outcome is Outcome.CONFLICT
    (tmp_path / "link.db").symlink_to(agent.path)
    assert imported(sqlite_store, AgentDb(tmp_path / "link.db")).outcome is Outcome.UNCHANGED


def test_an_id_that_cannot_be_ours_fails_alone(sqlite_store: Store, agent: AgentDb) -> None:
    agent.begin("../odd/id", "hello")
    agent.begin("i" * 129, "hello")
    report = AgentBridge(agent.path, store=sqlite_store).import_sessions()
    assert {item.path for item in report.failed} == {"../odd/id", "i" * 129}
    assert set(report.counts) == {Outcome.IMPORTED, Outcome.FAILED}


@pytest.mark.slow
@pytest.mark.parametrize(
    "column", ["estimated_cost_usd", "input_tokens", "model", "cwd", "title", "archived", "source", "end_reason"]
)
@pytest.mark.parametrize("value", ["garbage \udce9".encode("utf-8", "surrogateescape"), "n/a", 1e300, 2**62])
def test_sessions_with_a_damaged_field_are_imported(
    sqlite_store: Store, agent: AgentDb, column: str, value: Any
) -> None:
    agent.sql(f"UPDATE sessions SET {column} = ? WHERE id = 'talk'", value)
    bridge = AgentBridge(agent.path, store=sqlite_store)
    report = bridge.import_sessions(include=ALL)
    assert report.counts == {Outcome.IMPORTED: len(bridge.sessions(limit=1000, include=ALL).items)}
    assert texts(sqlite_store) == ["hello", "hi", "how are you", "fine"]
    sqlite_store.sessions.list(limit=1000)


def test_imports_go_into_the_requested_profile(
    sqlite_store: Store, agent: AgentDb, state_db: Callable[..., Path]
) -> None:
    AgentBridge(agent.path, store=sqlite_store, store_profile="private").import_session("talk")
    assert sqlite_store.sessions.get("talk").profile == "private"
    path = state_db(name="home/profiles/work/state.db")
    bridge = AgentBridge(home=path.parents[2], profile="work", store=sqlite_store)
    assert bridge.import_session("login").outcome is Outcome.IMPORTED
    assert [row.session_id for row in sqlite_store.profile("work").sessions.list().items] == ["login"]


@pytest.mark.parametrize("name", ["x" * 256, 7, ""])
def test_an_invalid_profile_name_is_refused(sqlite_store: Store, agent: AgentDb, name: Any) -> None:
    with pytest.raises(InvalidIdError, match="cannot be a profile"):
        AgentBridge(agent.path, store=sqlite_store, store_profile=name)
    longest = "x" * 255
    assert (
        AgentBridge(agent.path, store=sqlite_store, store_profile=longest).import_session("talk").outcome
        is Outcome.IMPORTED
    )
    assert sqlite_store.sessions.get("talk").profile == longest


def test_subagents_and_schedules_are_imported_only_when_included(sqlite_store: Store, agent: AgentDb) -> None:
    bridge = AgentBridge(agent.path, store=sqlite_store)
    bridge.import_sessions()
    special = {"cron": "from-cron", "subagent": "helper-source", "archived": "archived", "webui": "from-webui"}
    for session_id in special.values():
        assert not sqlite_store.sessions.exists(session_id)
    for group, session_id in special.items():
        bridge.import_sessions(include=ALL if group == "subagent" else [group])
        assert sqlite_store.sessions.exists(session_id)


def test_only_the_requested_source_is_imported(sqlite_store: Store, agent: AgentDb) -> None:
    report = AgentBridge(agent.path, store=sqlite_store).import_sessions(source="telegram")
    assert {item.path for item in report.items} == {"picture", "from-telegram"}
    assert {row.source for row in sqlite_store.sessions.list().items} == {"telegram"}


def test_a_bridge_without_a_store_imports_nothing(agent: AgentDb) -> None:
    for work in (AgentBridge(agent.path).import_sessions, lambda: AgentBridge(agent.path).import_session("talk")):
        with pytest.raises(TransactionError):
            work()


OPERATION = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["rewind", "compact", "restore"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["compress", "import"]), st.just(0)),
)


@pytest.mark.slow
@settings(max_examples=20)
@given(operations=st.lists(OPERATION, max_size=12))
def test_after_any_history_an_import_equals_the_original(
    sqlite_store: Store, agent: AgentDb, operations: list[tuple[str, int]]
) -> None:
    (number,) = agent.sql("SELECT count(*) FROM sessions")[0]
    root = tip = f"h{number}"
    agent.begin(root, "begin")
    imported(sqlite_store, agent, root)
    for step, (verb, count) in enumerate([*operations, ("import", 0)]):
        ids = agent.ids(tip)
        if verb == "say":
            agent.say(tip, *(f"{step} {n}" for n in range(count)))
        elif verb == "rewind":
            agent.mark(ids[len(ids) - count :], active=0)
        elif verb == "compact":
            agent.mark(ids[:count], active=0, compacted=1)
        elif verb == "restore":
            agent.mark(ids, active=1)
        elif verb == "compress":
            agent.compress(tip, f"{root}-{step}", f"[summary {step}]")
            tip = f"{root}-{step}"
        else:
            assert imported(sqlite_store, agent, tip).outcome in (Outcome.UPDATED, Outcome.UNCHANGED)
            assert sqlite_store.messages.read(root) == AgentBridge(agent.path).messages(tip).items
            before = rows(sqlite_store)["messages"]
            assert imported(sqlite_store, agent, tip).outcome is Outcome.UNCHANGED
            assert rows(sqlite_store)["messages"] == before
