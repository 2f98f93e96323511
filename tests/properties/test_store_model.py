"""A store against plain dictionaries: whatever the order of the verbs, both hold the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from hermes_store import (
    InvalidInputError,
    MessageNotFoundError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
    Store,
)
from tests.support.examples import examples
from tests.support.message_columns import users, wrong_columns

pytestmark = pytest.mark.slow

USERS = {"role": "user", "timestamp": 5.0}
messages = st.lists(st.sampled_from(["a", "b", USERS, {"role": "users"}, None, "\ud83d"]), max_size=4)
moments = st.sampled_from([1000.0, 2000.0, 3000.0])


@dataclass
class Modelled:
    """A session as the model has it. Its number is the order of creation."""

    number: int
    title: str
    updated_at: float
    pinned: bool = False
    deleted: bool = False
    revision: int = 1
    transcript_revision: int = 1
    fields_revision: int = 1
    messages: list[Any] = field(default_factory=list)
    #: By position: a revision at or after which the message was last written, or put there; and one at or before which.
    #: They differ where a replace may have moved an equal message to the position.
    written: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def wrote(self, *, transcript: bool = False) -> int:
        """Count a write, and return the revision."""
        self.revision += 1
        if transcript:
            self.transcript_revision = self.revision
        else:
            self.fields_revision = self.revision
        return self.revision


class StoreMachine(RuleBasedStateMachine):
    """Drives a fresh store in memory and the model with the same verbs."""

    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.store = Store.open(":memory:")
        self.sessions: dict[str, Modelled] = {}
        self.retired: dict[str, Modelled | None] = {}
        self.made = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def refusal(self, session_id: str) -> type[Exception] | None:
        """What every verb but restore and purge answers to this id, if not with success."""
        if session_id not in self.sessions:
            return SessionNotFoundError
        return SessionDeletedError if self.sessions[session_id].deleted else None

    def taken(self, session_id: str) -> type[Exception] | None:
        """What is answered to whoever wants this id for a session."""
        if session_id in self.sessions:
            return SessionDeletedError if self.sessions[session_id].deleted else SessionExistsError
        if session_id in self.retired:
            return SessionDeletedError if self.retired[session_id] is None else SessionExistsError
        return None

    def settle(self, session_id: str, updated_at: float) -> None:
        """Say when the session was written to last, so that the model knows its place in the list."""
        session = self.sessions[session_id]
        session.updated_at = updated_at
        assert self.store.sessions.update(session_id, updated_at=updated_at).revision == session.wrote()

    # ── verbs ─────────────────────────────────────────────────────────────────────────────────────

    @rule(target=ids, name=st.sampled_from("ABCDEFGH"), title=st.sampled_from(["Trip", "Rome"]), moment=moments)
    def create(self, name: str, title: str, moment: float) -> str:
        if error := self.taken(name):
            with pytest.raises(error):
                self.store.sessions.create(session_id=name, title=title)
            return name
        made = self.store.sessions.create(session_id=name, title=title, updated_at=moment)
        self.made += 1
        self.sessions[name] = Modelled(self.made, title, moment)
        assert made.revision == 1
        return name

    @rule(session_id=ids, new=messages, moment=moments)
    def append(self, session_id: str, new: list[Any], moment: float) -> None:
        if error := self.refusal(session_id):
            with pytest.raises(error):
                self.store.messages.extend(session_id, new)
            return
        session = self.sessions[session_id]
        if len(new) == 1:
            result = self.store.messages.append(session_id, new[0])
        else:
            result = self.store.messages.extend(session_id, iter(new))
        if new:
            session.wrote(transcript=True)
            assert (result.first_position, result.last_position) == (
                len(session.messages),
                len(session.messages) + len(new) - 1,
            )
        session.messages = session.messages + new
        session.written = session.written + [session.revision] * len(new)
        session.settled = session.settled + [session.revision] * len(new)
        assert (result.message_count, result.revision) == (len(session.messages), session.revision)
        self.settle(session_id, moment)

    def checked(self, session_id: str, age: int, changed_at: str) -> tuple[int, type[Exception] | None]:
        """Return a revision that a caller may have read, and what a write that expects it is answered.

        Args:
            age: how many revisions ago; negative for one that has not been yet.
            changed_at: the attribute of the model that has the last change which matters.
        """
        if error := self.refusal(session_id):
            return 1, error
        session = self.sessions[session_id]
        expected = session.revision - age
        is_current = getattr(session, changed_at) <= expected <= session.revision
        return expected, None if is_current else StaleSessionError

    @rule(session_id=ids, new=messages, cut=st.integers(0, 6), age=st.integers(-1, 3), moment=moments)
    def replace(self, session_id: str, new: list[Any], cut: int, age: int, moment: float) -> None:
        expected, error = self.checked(session_id, age, "transcript_revision")
        if error:
            with pytest.raises(error):
                self.store.messages.replace(session_id, new, expected_revision=expected)
            return
        session = self.sessions[session_id]
        new = new + session.messages[cut:]
        result = self.store.messages.replace(session_id, new, expected_revision=expected)
        assert result.kept + result.updated + result.removed == len(session.messages)
        assert result.kept + result.updated + result.inserted == len(new) == result.message_count
        if new != session.messages:
            session.wrote(transcript=True)
            changed = [
                position >= len(session.messages) or message != session.messages[position]
                for position, message in enumerate(new)
            ]
            # A message that is another than before at its position was written, or put there, now.
            session.written = [
                session.revision if is_new else session.written[position] for position, is_new in enumerate(changed)
            ]
            session.settled = [session.revision] * len(new)
        assert result.revision == session.revision
        session.messages = new
        self.settle(session_id, moment)

    @rule(session_id=ids, keep=st.integers(-1, 6), age=st.integers(-1, 3), moment=moments)
    def truncate(self, session_id: str, keep: int, age: int, moment: float) -> None:
        expected, error = self.checked(session_id, age, "transcript_revision")
        session = self.sessions.get(session_id)
        if error is None and session is not None and not 0 <= keep <= len(session.messages):
            error = InvalidInputError
        if error:
            with pytest.raises(error):
                self.store.messages.truncate(session_id, keep=keep, expected_revision=expected)
            return
        assert session is not None
        result = self.store.messages.truncate(session_id, keep=keep, expected_revision=expected)
        assert (result.removed, result.message_count) == (len(session.messages) - keep, keep)
        if result.removed:
            session.wrote(transcript=True)
        assert result.revision == session.revision
        session.messages = session.messages[:keep]
        session.written, session.settled = session.written[:keep], session.settled[:keep]
        self.settle(session_id, moment)

    @rule(
        session_id=ids,
        position=st.integers(0, 5),
        message=st.sampled_from([1, 2, USERS]),
        age=st.integers(-1, 4),
        moment=moments,
    )
    def update_message(self, session_id: str, position: int, message: Any, age: int, moment: float) -> None:
        error = self.refusal(session_id)
        session = self.sessions.get(session_id)
        expected = session.revision - age if session else 1
        if error is None and session is not None:
            if position >= len(session.messages):
                error = MessageNotFoundError
            elif not session.written[position] <= expected <= session.revision:
                error = StaleSessionError
            elif expected < session.settled[position]:
                return
        if error:
            with pytest.raises(error):
                self.store.messages.update(session_id, position, message, expected_revision=expected)
            return
        assert session is not None
        result = self.store.messages.update(session_id, position, message, expected_revision=expected)
        assert result.changed is (session.messages[position] != message)
        if result.changed:
            session.written[position] = session.settled[position] = session.wrote(transcript=True)
        assert result.revision == session.revision
        session.messages = [*session.messages[:position], message, *session.messages[position + 1 :]]
        self.settle(session_id, moment)

    @rule(session_id=ids, title=st.sampled_from(["Trip", "Rome"]), pinned=st.booleans(), moment=moments)
    def update(self, session_id: str, title: str, pinned: bool, moment: float) -> None:
        changes: dict[str, Any] = {"title": title, "pinned": pinned, "updated_at": moment}
        if error := self.refusal(session_id):
            with pytest.raises(error):
                self.store.sessions.update(session_id, **changes)
            return
        session = self.sessions[session_id]
        for stale in (session.revision + 1, session.fields_revision - 1):
            with pytest.raises(StaleSessionError):
                self.store.sessions.update(session_id, expected_revision=stale, **changes)
        changed = self.store.sessions.update(session_id, expected_revision=session.fields_revision, **changes)
        assert changed.revision == session.wrote()
        session.title, session.pinned, session.updated_at = title, pinned, moment

    @rule(session_id=ids)
    def delete(self, session_id: str) -> None:
        if error := self.refusal(session_id):
            with pytest.raises(error):
                self.store.sessions.delete(session_id)
            return
        assert self.store.sessions.delete(session_id).revision == self.sessions[session_id].wrote()
        self.sessions[session_id].deleted = True

    @rule(session_id=ids)
    def restore(self, session_id: str) -> None:
        if session_id not in self.sessions:
            with pytest.raises(SessionNotFoundError):
                self.store.sessions.restore(session_id)
            return
        session = self.sessions[session_id]
        if session.deleted:
            session.wrote()
        session.deleted = False
        assert self.store.sessions.restore(session_id).revision == session.revision

    @rule(session_id=ids)
    def purge(self, session_id: str) -> None:
        if session_id not in self.sessions:
            with pytest.raises(SessionNotFoundError):
                self.store.sessions.purge(session_id)
            return
        self.store.sessions.purge(session_id)
        gone = self.sessions.pop(session_id)
        self.retired = {old: None if session is gone else session for old, session in self.retired.items()}
        self.retired[session_id] = None

    @rule(target=ids, session_id=ids, new_id=st.sampled_from("ABCDEFGH"), moment=moments)
    def change_id(self, session_id: str, new_id: str, moment: float) -> str:
        error = self.refusal(session_id)
        former = self.retired.get(new_id)
        own = former is not None and former is self.sessions.get(session_id)
        if error := error or (None if own else self.taken(new_id)):
            with pytest.raises(error):
                self.store.sessions.change_id(session_id, new_id)
            return new_id
        self.store.sessions.change_id(session_id, new_id)
        session = self.sessions[new_id] = self.sessions.pop(session_id)
        session.wrote()
        self.retired.pop(new_id, None)
        self.retired[session_id] = session
        self.settle(new_id, moment)
        return new_id

    # ── what must hold ────────────────────────────────────────────────────────────────────────────

    @rule(session_id=ids)
    def read(self, session_id: str) -> None:
        error = self.refusal(session_id)
        assert self.store.sessions.exists(session_id) is (error is None)
        if error:
            for verb in (self.store.sessions.get, self.store.messages.read, self.store.messages.tail):
                with pytest.raises(error):
                    verb(session_id)
            return
        transcript = self.store.messages.read(session_id)
        assert list(transcript) == self.sessions[session_id].messages
        assert transcript.revision == self.sessions[session_id].revision
        assert self.store.messages.tail(session_id, limit=2).items == self.sessions[session_id].messages[-2:]

    @rule(limit=st.integers(1, 3))
    def list_by_pages(self, limit: int) -> None:
        page = self.store.sessions.list(limit=limit)
        seen = page.items
        while page.next is not None and len(seen) <= len(self.sessions):  # more would be a page that leads to itself
            page = self.store.sessions.list(limit=limit, after=page.next)
            seen = seen + page.items
        assert [item.session_id for item in seen] == self.in_order()

    @invariant()
    def the_list_is_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        page = self.store.sessions.list(total=True)
        shown = [
            (
                s.session_id,
                s.title,
                s.pinned,
                s.message_count,
                s.user_message_count,
                s.last_message_at,
                s.last_activity_at,
            )
            for s in page.items
        ]
        assert shown == [
            (name, s.title, s.pinned, len(s.messages), users(s.messages), *[5.0 if dated(s.messages) else None] * 2)
            for name, s in ((name, self.sessions[name]) for name in self.in_order())
        ]
        revisions = [(s.revision, s.transcript_revision, s.fields_revision) for s in page.items]
        assert revisions == [
            (s.revision, s.transcript_revision, s.fields_revision)
            for s in map(self.sessions.__getitem__, self.in_order())
        ]
        assert self.store.sessions.get_many(list(self.sessions)) == {item.session_id: item for item in page.items}
        assert page.total == len(shown)
        assert wrong_columns(self.store) == []
        deleted = {session.session_id for session in self.store.sessions.list_deleted().items}
        assert deleted == {name for name, session in self.sessions.items() if session.deleted}

    def in_order(self) -> list[str]:
        """The ids of the sessions that the list shows, in its order."""
        live = [name for name, session in self.sessions.items() if not session.deleted]

        def key(name: str) -> tuple[bool, float, int]:
            session = self.sessions[name]
            return session.pinned, session.updated_at, session.number

        return sorted(live, key=key, reverse=True)


def dated(transcript: list[Any]) -> bool:
    """Whether a message says a time."""
    return USERS in transcript


StoreMachine.TestCase.settings = settings(max_examples=examples(12), stateful_step_count=30, deadline=None)
TestStoreAgainstModel = StoreMachine.TestCase
