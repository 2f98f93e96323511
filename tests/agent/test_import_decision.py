"""What an import does with a conversation that it knows, decided from values alone."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store.agent import AgentSession, decision
from hermes_store.agent.conversation import Conversation, digest_of
from hermes_store.agent.decision import Copy
from hermes_store.storage.import_log import Entry, FollowedColumns
from hermes_store.storage.session_keys import SessionKey
from hermes_store.transcripts.encoding import encode

STORED = FollowedColumns(title="Talk", input_tokens=1, output_tokens=2, estimated_cost=None, parent_id=None)


def conversation(
    *ids: int, chain: tuple[str, ...] = ("talk",), taken_back: tuple[int, ...] = (), title: str = "Talk"
) -> Conversation:
    """Return a conversation whose messages have these ids, as the agent has it."""
    session = AgentSession(
        session_id=chain[-1],
        source="cli",
        title=title,
        titled=True,
        model=None,
        cwd=None,
        started_at=1.0,
        ended_at=None,
        end_reason=None,
        last_active=2.0,
        message_count=len(ids),
        stored_message_count=len(ids),
        input_tokens=1,
        output_tokens=2,
        estimated_cost=None,
        archived=False,
        parent_id=None,
        chain=chain,
        extra={},
    )
    messages = encode([{"role": "user", "content": str(one), "timestamp": float(one)} for one in ids])
    return Conversation(session, messages, list(ids), {one: ("user", float(one)) for one in taken_back})


def copy_of(imported: Conversation, *, transcript_revision: int = 1) -> Copy:
    """Return the copy that an import of a conversation made at revision 1."""
    key = SessionKey(7, "talk", "default", 5, transcript_revision, 5, len(imported.messages), 0, None, None, 2.0, None)
    notes = decision.notes(imported, {"title": "Talk"})
    digest = digest_of([message.digest for message in imported.messages])
    return Copy.read(key, Entry("talk", 7, digest, None, None, 1, 0.0, notes, "talk", None))


def marks(*ids: int) -> list[tuple[str | None, float | None]]:
    return [("user", float(one)) for one in ids]


def find_conflict(now: Conversation, before: Conversation, **how: Any) -> str:
    how = {"is_changed_here": False, "stored": marks(*before.message_ids), **how}
    return decision.find_conflict(now, copy_of(before), **how)


@pytest.mark.parametrize("now", [conversation(1, 2, 3), conversation(1, taken_back=(2,)), conversation(2, 1)])
def test_what_the_agent_still_knows_may_be_replaced(now: Conversation) -> None:
    assert find_conflict(now, conversation(1, 2)) == ""


def test_imported_messages_missing_from_the_file_are_conflicts() -> None:
    assert find_conflict(conversation(2, 4), conversation(1, 2, 3)).startswith("2 of its messages are gone")
    # However many messages the user left of the copy.
    assert "are gone" in find_conflict(conversation(2), conversation(1, 2), is_changed_here=True, stored=[])


def test_messages_changed_on_both_sides_are_a_conflict() -> None:
    found = find_conflict(conversation(1, 2), conversation(1), is_changed_here=True, stored=[])
    assert found == "its messages were changed here and by the agent"


@pytest.mark.parametrize("mark", [("assistant", 1.0), ("user", 1.5), (None, None)])
def test_another_message_with_an_imported_id_conflicts(mark: tuple[str | None, float | None]) -> None:
    found = find_conflict(conversation(1, 2), conversation(1), stored=[mark])
    assert found == "other messages have their ids in the agent's file (it was replaced)"


@pytest.mark.parametrize(("changed_at", "imported"), [(1, True), (0, True), (2, False), (5, False)], ids="at {}".format)
def test_only_writes_of_messages_make_a_copy_differ(changed_at: int, imported: bool) -> None:
    copy = copy_of(conversation(1), transcript_revision=changed_at)
    assert copy.has_imported_messages is imported


def test_columns_follow_unless_the_user_changed_them() -> None:
    values = {"title": "New", "input_tokens": 9, "output_tokens": 2, "estimated_cost": 0.5}
    written = {"title": "Before the user", "input_tokens": 1, "output_tokens": 2}
    # The title was changed here, the output tokens are the same, and no import ever wrote the cost.
    assert decision.changed_columns(values, STORED, written) == {"input_tokens": 9}


def test_a_title_longer_than_the_limit_is_cut() -> None:
    for length in (499, 500, 501, 600):
        title = decision.following(conversation(1, title="x" * length))["title"]
        assert title == "x" * min(length, 500)


def test_a_report_says_what_came_and_went() -> None:
    copy = copy_of(conversation(1, 2))
    now = conversation(2, 3, 4, chain=("talk", "talk-2"), taken_back=(1,))
    assert decision.describe_messages(copy, now) == "2 new messages, 1 taken back, compressed since"
    assert decision.describe_columns({"input_tokens": 1, "output_tokens": 2, "title": ""}) == (
        "more tokens, another title"
    )
