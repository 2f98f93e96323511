"""Three writers of one session, each with an object of its own, and what must be true when they are done.

Each writes to a file what it is about to save, and that it is saved. So what was acknowledged is known of a process
that was killed, too.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hermes_store import StaleSessionError, Store
from hermes_store.webui import SessionStorage, WebUIModels
from tests.support.webui.held_session import HeldSession


class Journal:
    """A file of JSON lines, which a killed process leaves whole."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **event: Any) -> None:
        os.write(self._file, json.dumps(event).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Writer:
    """Changes a session at random, and saves it: a live one, or one that is held outside of this library."""

    def __init__(self, store: Store, session_id: str, path: Path, seed: str, *, is_live: bool) -> None:
        self.models, self.storage = WebUIModels(store) if is_live else None, SessionStorage(store)
        self.session_id = session_id
        self.random = random.Random(seed)
        self.name = f"{type(self).__name__} {seed}"
        self.journal = Journal(path)
        self.count = 0
        #: The ids of the messages that were not saved yet.
        self.new = set[str]()
        self.load()

    def load(self) -> None:
        if self.models is None:
            self.session: Any = HeldSession(self.storage, self.session_id)
            return
        self.session = self.models.Session.load(self.session_id)
        assert self.session is not None

    def run(self, until: float) -> None:
        """Go on until a time of the monotonic clock."""
        while time.monotonic() < until:
            self.step()
            time.sleep(self.random.random() * 0.004)
        self.journal.close()

    def step(self) -> None:
        raise NotImplementedError

    def append(self, role: str) -> dict[str, Any]:
        """Append a message, and return it."""
        self.count += 1
        message = {"role": role, "id": f"{self.name} {self.count}", "content": "x", "timestamp": time.time()}
        self.new.add(f"{self.name} {self.count}")
        self.session.messages.append(message)
        return message

    def save(self, messages: Iterable[dict[str, Any]] = (), tokens: int = 0, **event: Any) -> None:
        """Save, and write down how long some messages were then, and how many tokens were counted."""
        self.count += 1
        lengths = {message["id"]: len(message["content"]) for message in messages}
        if tokens:
            for name in ("input_tokens", "cache_read_tokens"):
                setattr(self.session, name, getattr(self.session, name, 0) + tokens)
        number = f"{self.name} {self.count}"
        self.journal.write(tried=number, messages=lengths, tokens=tokens, **event)
        try:
            self.session.save()
        except StaleSessionError as error:
            if self.models is None:  # the positions are those in what is stored, which was not read
                refused = sorted(lengths.keys() - self.new)
            else:
                refused = [self.session.messages[position]["id"] for position in error.positions]
            self.journal.write(saved=number, refused=refused)
            self.load()
        else:
            self.journal.write(saved=number, refused=[])
        self.new.clear()


class Streamer(Writer):
    """Streams answers, each growing in its message, with a save now and then."""

    message: dict[str, Any] | None = None

    def step(self) -> None:
        if not any(one is self.message for one in self.session.messages):
            self.message = None  # it was removed, or others changed it
        appended = []
        if self.message is None or self.random.random() < 0.1:
            appended.append(self.append("user"))
            self.message = self.append("assistant")
            self.session.active_stream_id = self.message["id"]
        self.message["content"] += "x" * self.random.randint(1, 5)
        self.session.title = self.random.choice(["Untitled", f"Of a model {self.count}"])
        self.save([*appended, self.message], tokens=self.random.choice([0, 0, 1, 3]))


class Editor(Writer):
    """Renames, pins, writes drafts, counts tokens, now and then asks something, and edits an answer."""

    def step(self) -> None:
        event, appended = dict[str, Any](), list[dict[str, Any]]()
        if self.random.random() < 0.2:
            self.load()
        session = self.session
        action = self.random.choice(["rename", "pin", "draft", "ask", "edit", "nothing"])
        if action == "rename":
            session.title = f"By hand {self.count}"
        elif action == "pin":
            session.pinned = not session.pinned
        elif action == "draft":
            session.composer_draft = {"text": "y" * self.random.randint(0, 9)}
        elif action == "ask":
            appended.append(self.append("user"))
        elif action == "edit" and session.messages and self.random.random() < 0.3:
            message = session.messages[-1]
            message["content"] = f"edited {self.count}"
            event["edited"] = message["id"]
        self.save(appended, tokens=self.random.choice([0, 2, 10]), **event)


class Undoer(Writer):
    """Removes the last messages, or all, and sometimes asks again."""

    def step(self) -> None:
        if self.random.random() < 0.3:
            self.load()
        messages = self.session.messages
        keep = 0 if self.random.random() < 0.03 else max(0, len(messages) - self.random.randint(0, 4))
        removed = [message["id"] for message in messages[keep:]]
        if self.random.random() < 0.5:
            self.session.messages = messages[:keep]
        else:
            del messages[keep:]
        appended = [self.append("user")] if self.random.random() < 0.4 else []
        self.save(appended, removed=removed)
        time.sleep(0.02)


WRITERS = {one.__name__: one for one in (Streamer, Editor, Undoer)}


def write(target: str | Store, who: tuple[str, str, Path, str], until: float, *, is_live: bool = True) -> None:
    """Run a writer until a time of the monotonic clock, over a store, or the database at a place.

    Args:
        who: the name of the writer's class, its session's id, its journal and its seed.
        is_live: whether it has a live session, or one that it saves through `SessionStorage`.
    """
    name, session_id, path, seed = who
    if isinstance(target, Store):
        WRITERS[name](target, session_id, path, seed, is_live=is_live).run(until)
        return
    with Store.open(target, durability="normal", busy_timeout=60) as store:
        WRITERS[name](store, session_id, path, seed, is_live=is_live).run(until)


def require_all_landed(store: Store, session_id: str, paths: Iterable[Path]) -> int:
    """Check the session against what its writers wrote down, and return how many saves were acknowledged."""
    events = [event for path in paths for event in _events(path)]
    tried = {event["tried"]: event for event in events if "tried" in event}
    saved = {event["saved"]: event for event in events if "saved" in event}
    removed = {key for event in tried.values() for key in event.get("removed", [])}
    edited = {event["edited"] for event in tried.values() if "edited" in event}
    refused = {key for event in saved.values() for key in event["refused"]}
    assert refused <= edited, "only a message that two writers changed may be refused"
    session: Any = WebUIModels(store).Session.load(session_id)
    found = {message["id"]: len(message["content"]) for message in session.messages}
    assert len(found) == len(session.messages), "a message is there twice"
    for number, event in saved.items():
        for key, length in tried[number]["messages"].items():
            if key not in removed and key not in event["refused"]:
                assert key in found, f"{key} was acknowledged and is missing"
            if key in found and key not in edited:
                assert found[key] >= length, f"{key} was longer"
    # (One that was removed, and stays because it was edited, may be among later ones.)
    _require_order(key for key in found if key not in removed | edited)
    possible = {sum(tried[number]["tokens"] for number in saved)}
    for number in tried.keys() - saved.keys():  # of a process that was killed: nobody knows
        possible |= {total + tried[number]["tokens"] for total in possible}
    assert session.input_tokens in possible
    assert session.cache_read_tokens == session.input_tokens
    return len(saved)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        if line:
            yield json.loads(line)


def _require_order(found: Iterable[str]) -> None:
    """Require that each writer's messages are in the order in which it appended them."""
    last: dict[str, int] = {}
    for key in found:
        name, number = key.rsplit(maxsplit=1)
        assert int(number) > last.get(name, 0), f"{key} is not in its place"
        last[name] = int(number)
