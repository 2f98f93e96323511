"""Three writers with a version each, in any order of their saves: no message that was acknowledged is lost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import StaleSessionError, Store
from hermes_store.webui import SessionStorage
from tests.support.message_columns import users

_numbers = itertools.count()

WRITERS = ("stream", "rename", "undo")
#: What each of them may do, but for reading the session again.
ACTIONS = {
    "stream": ["append", "save", "grow"],
    "rename": ["title", "append", "title and metadata"],
    "undo": ["truncate", "clear", "truncate and ask"],
}
steps = st.sampled_from(WRITERS).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from([*ACTIONS[name], "load"]), st.integers(1, 3))
)


class Writer:
    """Somebody who has a version of the session, changes it and saves it."""

    def __init__(self, storage: SessionStorage, session_id: str, world: World) -> None:
        self.storage, self.session_id, self.world = storage, session_id, world
        self.load(1)

    def load(self, _: int) -> None:
        self.values, self.token = self.storage.load(self.session_id)
        self.messages: list[Any] = self.values.pop("messages")

    def new(self) -> dict[str, Any]:
        self.world.count += 1
        role = "user" if self.world.count % 3 else "assistant"
        return {"role": role, "id": f"m{self.world.count}", "content": "x"}

    def save(self, *new: Any, **arguments: Any) -> None:
        lengths = {message["id"]: len(message["content"]) for message in self.messages}
        try:
            token, adopted = self.storage.save(
                self.session_id, self.values, self.messages, base=self.token, **arguments
            )
        except StaleSessionError as error:
            refused = {self.messages[place]["id"] for place in error.positions}
            assert refused.isdisjoint(message["id"] for message in new)
            self.load(1)
        else:
            refused = set()
            self.token = token
            self.values |= adopted.values
            self.messages = self.messages if adopted.messages is None else adopted.messages
        for name, size in lengths.items():
            if name not in refused:
                self.world.acknowledged[name] = max(size, self.world.acknowledged.get(name, 0))

    def append(self, count: int) -> None:
        added = [self.new() for _ in range(count)]
        self.token, adopted = self.storage.append(self.session_id, added, base=self.token)
        self.messages = adopted.messages or [*self.messages, *added]
        self.values |= adopted.values
        self.world.acknowledged |= {message["id"]: 1 for message in added}

    def do(self, action: str, count: int) -> None:
        if action in ("load", "append"):
            getattr(self, action)(count)
        elif action == "save":
            added = [self.new() for _ in range(count)]
            self.values["input_tokens"] += count
            self.messages = [*self.messages, *added]
            self.save(*added)
        elif action == "grow":
            if self.messages:
                last = self.messages[-1]
                self.messages = [*self.messages[:-1], {**last, "content": last["content"] + "x" * count}]
            self.save()
        elif action == "title":
            self.values["title"] = f"Title {count}"
            self.token, adopted = self.storage.save(self.session_id, self.values, base=self.token, only={"title"})
            self.values |= adopted.values
        elif action == "title and metadata":
            values, token = self.storage.load_metadata(self.session_id)
            self.storage.save(self.session_id, {**values, "title": f"Other {count}"}, base=token)
        else:
            keep = 0 if action == "clear" else max(0, len(self.messages) - count)
            self.world.removed |= {message["id"] for message in self.messages[keep:]}
            added = [self.new()] if action == "truncate and ask" else []
            self.messages = [*self.messages[:keep], *added]
            self.save(*added)


class World:
    """What all writers were told."""

    def __init__(self) -> None:
        self.count = 0
        #: By the id of a message: its length when it was saved.
        self.acknowledged: dict[str, int] = {}
        #: Those that somebody removed who had them.
        self.removed: set[str] = set()


@pytest.mark.slow
@given(st.lists(steps, max_size=25))
def test_no_acknowledged_append_is_lost(store: Store, done: list[tuple[str, str, int]]) -> None:
    storage, session_id, world = SessionStorage(store), f"s{next(_numbers)}", World()
    storage.save(session_id, {"input_tokens": 0}, base=None)
    writers = {name: Writer(storage, session_id, world) for name in WRITERS}
    for name, action, count in done:
        writers[name].do(action, count)
    loaded, token = storage.load(session_id)
    ids = [message["id"] for message in loaded["messages"]]
    assert len(ids) == len(set(ids)) == token.message_count
    (row,) = storage.rows(["user_message_count"], where={"session_id": session_id})
    assert row["user_message_count"] == users(loaded["messages"])
    assert set(ids) >= world.acknowledged.keys() - world.removed
    assert set(ids) <= world.acknowledged.keys()
    for message in loaded["messages"]:
        assert len(message["content"]) >= world.acknowledged[message["id"]]
    assert loaded["input_tokens"] == sum(count for name, action, count in done if action == "save")
    # A writer who goes on with what it was given has the same as the store.
    for writer in writers.values():
        writer.save()
        assert writer.messages == storage.load(session_id)[0]["messages"]
