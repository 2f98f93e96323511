"""Whatever is done with live sessions, the store holds what a plain model of dictionaries and lists says."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes_store import SessionDeletedError, StaleSessionError, Store
from hermes_store.transcripts.merge import MergeConflictError, merge
from hermes_store.webui import LiveSession, WebUIModels

pytestmark = pytest.mark.slow

SLOTS = ("one", "two", "three")
ROW = {"title": "Untitled", "pinned": False, "model": "m", "estimated_cost": None, "active_stream_id": None}
UNKNOWN = ("llm_title_generated", "last_usage", "_cli_origin")
NEW = {**ROW, "tool_calls": [], "pending_attachments": []}
KEYS = (*NEW, *UNKNOWN)
VALUES = {
    "title": st.text(max_size=5) | st.just("half \ud83d"),
    "pinned": st.booleans(),
    "model": st.sampled_from(["m", "n", None]),
    "estimated_cost": st.none() | st.floats(),
    "active_stream_id": st.sampled_from([None, "stream"]),
    "tool_calls": st.lists(st.fixed_dictionaries({"name": st.text(max_size=2)}), max_size=2),
    "pending_attachments": st.lists(st.text(max_size=2), max_size=2),
    "llm_title_generated": st.booleans(),
    "last_usage": st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    "_cli_origin": st.none() | st.text(max_size=2),
}
ASSIGNMENTS = st.sampled_from(KEYS).flatmap(lambda key: st.tuples(st.just(key), VALUES[key]))
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=2), "n": st.integers(0, 10**6)}
)
ABSENT = object()


def text_of(value: Any) -> bytes:
    """Return what tells values apart: NaN is itself, 1 is not 1.0 nor True, and the order of keys counts."""
    return b"absent" if value is ABSENT else json.dumps(value).encode()


def differ(one: dict[str, Any], other: dict[str, Any], keys: set[str]) -> set[str]:
    """Return the keys under which two dictionaries differ."""
    return {key for key in keys if text_of(one.get(key, ABSENT)) != text_of(other.get(key, ABSENT))}


@dataclass
class Stored:
    """A session as the store has to have it."""

    values: dict[str, Any]
    messages: list[Any]
    deleted: bool = False


@dataclass
class Held:
    """A live session, with what it has to hold, and what it was when it was read."""

    live: LiveSession
    known: set[str]
    values: dict[str, Any]
    base: dict[str, Any]
    messages: list[Any] | None = None
    base_messages: list[Any] | None = field(default=None)


class Sessions(RuleBasedStateMachine):
    """One session of a store in memory, and up to three live objects of it."""

    @initialize(messages=st.lists(MESSAGES, max_size=4))
    def begin(self, messages: list[Any]) -> None:
        self.store = Store.open(":memory:", durability="normal")
        self.cache: OrderedDict[str, Any] = OrderedDict()
        self.models = WebUIModels(self.store, cache=self.cache)
        self.held: dict[str, Held] = {}
        live = self.models.Session(session_id="s", model="m", messages=copy.deepcopy(messages))
        live.save()
        self.stored = Stored(copy.deepcopy(NEW), copy.deepcopy(messages))
        self.hold("one", live, whole=True)
        self.load("two", whole=True)
        self.load("three", whole=False)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def hold(self, slot: str, live: LiveSession, *, whole: bool) -> None:
        values = copy.deepcopy(self.stored.values)
        if not whole:
            values = {key: values[key] for key in ROW}
        held = Held(live, set(KEYS) if whole else set(ROW), values, copy.deepcopy(values))
        if whole:
            held.messages, held.base_messages = (copy.deepcopy(self.stored.messages) for _ in range(2))
        self.held[slot] = held

    def read(self, held: Held, key: str) -> None:
        """Follow a live session that reads what it had not read."""
        if key not in held.known:
            held.known.add(key)
            if key in self.stored.values:
                held.values[key] = copy.deepcopy(self.stored.values[key])
                held.base[key] = copy.deepcopy(self.stored.values[key])

    def messages_of(self, held: Held) -> list[Any]:
        if held.messages is None:
            held.messages, held.base_messages = (copy.deepcopy(self.stored.messages) for _ in range(2))
        return held.messages

    def alive(self) -> bool:
        return not self.stored.deleted

    @precondition(alive)
    @rule(slot=st.sampled_from(SLOTS), whole=st.booleans())
    def load_anew(self, slot: str, whole: bool) -> None:
        self.load(slot, whole=whole)

    def load(self, slot: str, *, whole: bool) -> None:
        live = (self.models.Session.load if whole else self.models.Session.load_metadata_only)("s")
        assert live is not None
        self.hold(slot, live, whole=whole)

    @rule(slot=st.sampled_from(SLOTS), change=ASSIGNMENTS)
    def assign(self, slot: str, change: tuple[str, Any]) -> None:
        held = self.held[slot]
        if self.stored.deleted and change[0] not in held.known:
            return
        key, value = change
        self.read(held, key)
        setattr(held.live, key, copy.deepcopy(value))
        held.values[key] = copy.deepcopy(value)

    @rule(slot=st.sampled_from(SLOTS), message=MESSAGES)
    def append(self, slot: str, message: Any) -> None:
        if (held := self.usable(slot)) is not None:
            self.messages_of(held).append(copy.deepcopy(message))
            held.live.messages.append(copy.deepcopy(message))

    @rule(slot=st.sampled_from(SLOTS), place=st.integers(0, 9), usage=st.integers(0, 3))
    def edit_in_place(self, slot: str, place: int, usage: int) -> None:
        held = self.usable(slot)
        if held is not None and place < len(self.messages_of(held)):
            for messages in (self.messages_of(held), held.live.messages):
                messages[place].setdefault("usage", {})["tokens"] = usage

    @rule(slot=st.sampled_from(SLOTS), keep=st.integers(0, 5))
    def truncate(self, slot: str, keep: int) -> None:
        if (held := self.usable(slot)) is not None:
            held.messages = self.messages_of(held)[:keep]
            held.live.messages = held.live.messages[:keep]

    @rule(slot=st.sampled_from(SLOTS), messages=st.lists(MESSAGES, max_size=3))
    def replace(self, slot: str, messages: list[Any]) -> None:
        if (held := self.usable(slot)) is not None:
            self.messages_of(held)
            held.messages = copy.deepcopy(messages)
            held.live.messages = copy.deepcopy(messages)

    def usable(self, slot: str) -> Held | None:
        """Return a live session whose messages can be had."""
        held = self.held[slot]
        return None if self.stored.deleted and held.messages is None else held

    @rule(slot=st.sampled_from(SLOTS), touch=st.booleans())
    def save(self, slot: str, touch: bool) -> None:
        held = self.held[slot]
        if self.stored.deleted:
            with pytest.raises(SessionDeletedError):
                held.live.save(touch_updated_at=touch)
            return
        local = differ(held.base, held.values, held.known)
        remote = differ(held.base, self.stored.values, held.known)
        messages = self.merged(held)
        if differ(held.values, self.stored.values, local & remote) or messages is None:
            with pytest.raises(StaleSessionError):
                held.live.save(touch_updated_at=touch)
            return
        held.live.save(touch_updated_at=touch)
        for key in local:
            self.stored.values[key] = copy.deepcopy(held.values[key])
        self.stored.messages = messages
        known = {key: value for key, value in self.stored.values.items() if key in held.known}
        held.values, held.base = copy.deepcopy(known), copy.deepcopy(known)
        if held.messages is not None:
            held.messages, held.base_messages = copy.deepcopy(messages), copy.deepcopy(messages)

    def merged(self, held: Held) -> list[Any] | None:
        """Return the messages that a save has to leave; None where it has to be refused."""
        stored = self.stored.messages
        if held.messages is None or held.base_messages is None:
            return stored
        three = (held.base_messages, held.messages, stored)
        try:
            sources = merge(*([text_of(message) for message in version] for version in three))
        except MergeConflictError:
            return None
        sides = {"local": held.messages, "remote": stored}
        return [copy.deepcopy(sides[source.side][source.position]) for source in sources]

    @rule(slot=st.sampled_from(SLOTS), change=ASSIGNMENTS)
    def assign_and_save(self, slot: str, change: tuple[str, Any]) -> None:
        self.assign(slot, change)
        self.save(slot, touch=True)

    @rule(slot=st.sampled_from(SLOTS), message=MESSAGES)
    def append_and_save(self, slot: str, message: Any) -> None:
        self.append(slot, message)
        self.save(slot, touch=True)

    @precondition(alive)
    @rule(change=ASSIGNMENTS, message=MESSAGES)
    def delete_then_restore(self, change: tuple[str, Any], message: Any) -> None:
        assert self.models.delete_session("s")
        self.stored.deleted = True
        self.the_store_holds_what_the_model_says()
        for slot in SLOTS:
            self.assign_and_save(slot, change)
            self.append_and_save(slot, message)
        self.store.sessions.restore("s")
        self.stored.deleted = False

    @precondition(alive)
    @rule(metadata_only=st.booleans())
    def ask_for_it(self, metadata_only: bool) -> None:
        live = self.models.get_session("s", metadata_only=metadata_only)
        assert self.models.get_session("s") is live
        assert text_of(live.messages) == text_of(self.stored.messages)
        assert text_of(live.title) == text_of(self.stored.values["title"])

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.models.Session.load("s")
        if self.stored.deleted:
            assert found is None
            assert self.models.all_sessions() == []
            return
        assert found is not None
        assert not differ(found.__dict__, self.stored.values, set(KEYS))
        assert text_of(found.messages) == text_of(self.stored.messages)

    @invariant()
    def live_sessions_hold_what_the_model_says(self) -> None:
        for held in getattr(self, "held", {}).values():
            assert not differ(held.live.__dict__, held.values, held.known)
            if held.messages is not None:
                assert text_of(held.live.messages) == text_of(held.messages)


Sessions.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
