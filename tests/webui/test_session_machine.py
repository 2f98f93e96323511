"""Whatever is done with live sessions, the store holds what a plain model of dictionaries and lists says."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes_store import SessionDeletedError, StaleSessionError, Store
from hermes_store.transcripts.merge import merge
from hermes_store.webui import LiveSession, WebUIModels
from hermes_store.webui.titles import title_from
from tests.support.examples import examples

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


def merged_values(held: Held, stored: Stored) -> dict[str, Any]:
    """Return the values that a save has to leave under the keys that the live session knows."""
    remote = {key: value for key, value in stored.values.items() if key in held.known}
    ours, theirs = (differ(held.base, version, held.known) for version in (held.values, remote))
    result = {key: (held.values if key in ours else remote).get(key, ABSENT) for key in held.known}
    for key in ours & theirs & {"estimated_cost", "tool_calls", "title", "pending_attachments"}:
        made = MERGES[key](held.base[key], held.values[key], remote[key])
        result[key] = held.values[key] if made is None else made
    if "title" in ours & theirs and text_of(held.values["title"]) != text_of(remote["title"]):
        messages = stored.messages if held.messages is None else held.messages
        if is_automatic(held.values, ours, messages) and not is_automatic(remote, theirs, stored.messages):
            result["title"] = remote["title"]
    stream = {"active_stream_id", "pending_attachments"} & held.known
    if stream & ours and stream & theirs:
        for side, changed in ((held.values, ours), (remote, theirs)):
            if "active_stream_id" in changed and side["active_stream_id"] is not None:
                result |= {key: side[key] for key in stream}
                break
    return {key: value for key, value in result.items() if value is not ABSENT}


def is_automatic(values: dict[str, Any], changed: set[str], messages: list[Any]) -> bool:
    generated = values.get("llm_title_generated") and "llm_title_generated" in changed
    return bool(generated) or values["title"] in {"", "Untitled", title_from(messages)}


def summed(base: Any, local: Any, remote: Any) -> Any:
    numbers = [0 if value is None else value for value in (base, local, remote)]
    if not all(map(math.isfinite, numbers)) or (numbers[1] < numbers[0] and numbers[2] < numbers[0]):
        return None
    total = numbers[2] + (numbers[1] - numbers[0])
    return total if math.isfinite(total) else None


def joined(base: list[Any], local: list[Any], remote: list[Any]) -> list[Any] | None:
    size = len(base)
    if text_of([local[:size], remote[:size]]) != text_of([base, base]) or text_of(local) == text_of(remote):
        return None
    added = [*remote[size:], *local[size:]]
    return [*base, *added] if all(isinstance(one, dict) for one in added) else None


MERGES: dict[str, Any] = {
    "estimated_cost": summed,
    "tool_calls": joined,
    "pending_attachments": joined,
    "title": lambda _base, local, _remote: local,
}


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
        conflicts = self.merge_messages(held)
        values = merged_values(held, self.stored)
        with pytest.raises(StaleSessionError) if conflicts else contextlib.nullcontext():
            held.live.save(touch_updated_at=touch)
        self.stored.values = {key: value for key, value in self.stored.values.items() if key not in held.known} | values
        self.stored.messages = self.merged if held.messages is not None else self.stored.messages
        held.values, held.base = copy.deepcopy(values), copy.deepcopy(values)
        if held.messages is not None and held.base_messages is not None:
            base, local = held.base_messages, held.messages
            held.messages, held.base_messages = (copy.deepcopy(self.stored.messages) for _ in range(2))
            for place, (at_base, at_local) in conflicts.items():
                held.base_messages[place], held.messages[place] = base[at_base], local[at_local]

    def merge_messages(self, held: Held) -> dict[int, tuple[int, int]]:
        """Make the messages that a save has to leave, and return its conflicts: their places in base and local."""
        if held.messages is None or held.base_messages is None:
            return {}
        remote = self.stored.messages
        outcome = merge(*([text_of(one) for one in version] for version in (held.base_messages, held.messages, remote)))
        conflicts = {one.remote: one for one in outcome.conflicts}
        self.merged: list[Any] = []
        found = {}
        for source in outcome.sources:
            mine = conflicts.get(source.remote)
            message = (held.messages if source.side == "local" else remote)[source.position]
            if mine is not None and held.messages[mine.local]["role"] == message["role"]:
                found[len(self.merged)] = (mine.base, mine.local)
                mine = None
            self.merged += copy.deepcopy([message] if mine is None else [message, held.messages[mine.local]])
        return found

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


Sessions.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
