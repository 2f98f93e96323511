"""The rows that a write writes, counted by triggers: those that differ, and no other."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import Store

TABLES = (
    *("sessions", "messages", "message_blobs", "session_extras", "session_documents"),
    *("projects", "shares", "share_payloads", "usage", "retired_ids", "import_items"),
)
LENGTH = 1000
Write = tuple[str, str]


class Trail:
    """A database with a trigger on every table that notes each row written, with the store that is open on it."""

    def __init__(self, path: Path, store: Store) -> None:
        self.store = store
        self._path = path
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE trail (place TEXT, verb TEXT)")
            for table, verb in itertools.product(TABLES, ("INSERT", "UPDATE", "DELETE")):
                connection.execute(
                    f"CREATE TRIGGER trail_{table}_{verb} AFTER {verb} ON {table} "
                    f"BEGIN INSERT INTO trail VALUES ('{table}', '{verb}'); END"
                )
            # A row that only moves to another place, told apart from one whose content changes.
            connection.execute("DROP TRIGGER trail_messages_UPDATE")
            for verb, columns in (("MOVE", "position"), ("UPDATE", "session_id, role, timestamp, digest")):
                connection.execute(
                    f"CREATE TRIGGER trail_messages_{verb} AFTER UPDATE OF {columns} ON messages "
                    f"BEGIN INSERT INTO trail VALUES ('messages', '{verb}'); END"
                )
            connection.commit()

    def of(self, write: Callable[[], Any]) -> Counter[Write]:
        """Return how many rows `write` writes, by table and verb."""
        self._take()
        write()
        return self._take()

    def _take(self) -> Counter[Write]:
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            rows = Counter(tuple(row) for row in connection.execute("SELECT place, verb FROM trail"))
            connection.execute("DELETE FROM trail")
            connection.commit()
        return rows


@pytest.fixture
def trail(sqlite_path: Path, sqlite_store: Store) -> Trail:
    for session_id in ("edited", "other"):
        sqlite_store.sessions.create(session_id=session_id)
        sqlite_store.messages.extend(
            session_id, [{"role": "user", "content": f"message {number}"} for number in range(LENGTH)]
        )
        sqlite_store.documents.put(session_id, {"tool_calls": [1, 2, 3]})
    return Trail(sqlite_path, sqlite_store)


@pytest.fixture
def save(trail: Trail) -> Iterator[Callable[[list[Any]], Counter[Write]]]:
    """Save a transcript over the one that is there, check that it is the one, and return the rows written."""

    def save(edited: list[Any]) -> Counter[Write]:
        revision = trail.store.sessions.get("edited").revision
        written = trail.of(lambda: trail.store.messages.replace("edited", edited, expected_revision=revision))
        assert trail.store.messages.read("edited") == edited
        return written

    yield save
    assert trail.store.messages.count("other") == LENGTH


Save = Callable[[list[Any]], Counter[Write]]
ONE_SESSION: Counter[Write] = Counter({("sessions", "UPDATE"): 1})


def test_a_transcript_saved_as_it_is_writes_nothing(trail: Trail, save: Save) -> None:
    assert save(trail.store.messages.read("edited")) == Counter()


def test_scattered_edits_write_the_edited_messages(trail: Trail, save: Save) -> None:
    transcript = trail.store.messages.read("edited")
    places = (0, 1, 17, 500, 998, 999)
    for place in places:
        transcript[place] = {"role": "assistant", "content": f"edited {place}"}
    rows = len(places)
    assert save(transcript) == ONE_SESSION + Counter({("messages", "UPDATE"): rows, ("message_blobs", "UPDATE"): rows})


def test_an_insertion_at_the_front_writes_one_body(trail: Trail, save: Save) -> None:
    transcript = trail.store.messages.read("edited")
    written = save([{"role": "system", "content": "first"}, *transcript])
    moved = written.pop(("messages", "MOVE"))
    assert written == ONE_SESSION + Counter({("messages", "INSERT"): 1, ("message_blobs", "INSERT"): 1})
    # Positions are dense, so a row behind the insertion goes to its new one, by way of a free one below zero.
    assert moved == 2 * LENGTH


def test_the_removal_of_a_block_writes_no_body(trail: Trail, save: Save) -> None:
    transcript = trail.store.messages.read("edited")
    written = save([*transcript[:400], *transcript[450:]])
    assert written.pop(("messages", "MOVE")) == 2 * 550
    assert written == ONE_SESSION + Counter({("messages", "DELETE"): 50, ("message_blobs", "DELETE"): 50})


def test_messages_added_at_the_end_move_nothing(trail: Trail, save: Save) -> None:
    transcript = trail.store.messages.read("edited")
    added = [{"content": "one"}, {"content": "two"}]
    assert save([*transcript, *added]) == ONE_SESSION + Counter(
        {("messages", "INSERT"): 2, ("message_blobs", "INSERT"): 2}
    )


def test_a_shortened_transcript_deletes_rows_and_moves_none(trail: Trail, save: Save) -> None:
    transcript = trail.store.messages.read("edited")
    assert save(transcript[:-3]) == ONE_SESSION + Counter({("messages", "DELETE"): 3, ("message_blobs", "DELETE"): 3})


Edit = tuple[str, int]
edits = st.lists(st.tuples(st.sampled_from(["insert", "remove", "replace"]), st.integers(0, LENGTH - 10)), max_size=8)


@pytest.mark.slow
@given(edits)
@settings(max_examples=20)
def test_a_save_writes_no_more_bodies_than_edits(trail: Trail, save: Save, edits: list[Edit]) -> None:
    before = [{"role": "user", "content": f"message {number}"} for number in range(LENGTH)]
    save(before)  # what the example before this one left is undone
    after = list(before)
    for number, (kind, place) in enumerate(edits):
        new = [] if kind == "remove" else [{"role": "user", "content": f"edit {number}"}]
        after[place : place + (kind != "insert")] = new
    written = save(after)
    del written["messages", "MOVE"]
    bodies = sum(rows for (table, _), rows in written.items() if table == "message_blobs")
    messages = sum(rows for (table, _), rows in written.items() if table == "messages")
    assert messages == bodies <= len(edits)
    assert written["sessions", "UPDATE"] == (1 if before != after else 0)
    assert sum(written.values()) == messages + bodies + written["sessions", "UPDATE"]


def revision_of(store: Store) -> int:
    return store.sessions.get("edited").revision


WRITES: dict[str, tuple[Callable[[Store], Any], Counter[Write]]] = {
    "a rename": (lambda store: store.sessions.update("edited", title="Rome"), ONE_SESSION),
    "a pin": (lambda store: store.sessions.update("edited", pinned=True), ONE_SESSION),
    "a delete": (lambda store: store.sessions.delete("edited"), ONE_SESSION),
    "an append of three": (
        lambda store: store.messages.extend("edited", [{}, {}, {}]),
        ONE_SESSION + Counter({("messages", "INSERT"): 3, ("message_blobs", "INSERT"): 3}),
    ),
    "an update of a message": (
        lambda store: store.messages.update("edited", 500, {"new": 1}, expected_revision=revision_of(store)),
        ONE_SESSION + Counter({("messages", "UPDATE"): 1, ("message_blobs", "UPDATE"): 1}),
    ),
    "a truncation by two": (
        lambda store: store.messages.truncate("edited", keep=LENGTH - 2, expected_revision=revision_of(store)),
        ONE_SESSION + Counter({("messages", "DELETE"): 2, ("message_blobs", "DELETE"): 2}),
    ),
    "an update by the same message": (
        lambda store: store.messages.update(
            "edited", 5, store.messages.read("edited")[5], expected_revision=revision_of(store)
        ),
        Counter(),
    ),
    "a truncation of nothing": (
        lambda store: store.messages.truncate("edited", keep=LENGTH, expected_revision=revision_of(store)),
        Counter(),
    ),
    "an extension by nothing": (lambda store: store.messages.extend("edited", []), Counter()),
    "a small document": (
        lambda store: store.documents.put("edited", {"draft": "hi"}),
        ONE_SESSION + Counter({("session_extras", "UPDATE"): 1}),
    ),
    "a large document": (
        lambda store: store.documents.put("edited", {"draft": "x" * 5000}),
        ONE_SESSION + Counter({("session_documents", "INSERT"): 1}),
    ),
    "a small document that becomes large": (
        lambda store: store.documents.put("edited", {"tool_calls": ["x" * 5000]}),
        ONE_SESSION + Counter({("session_extras", "DELETE"): 1, ("session_documents", "INSERT"): 1}),
    ),
    "a removed document": (
        lambda store: store.documents.remove("edited", "tool_calls"),
        ONE_SESSION + Counter({("session_extras", "DELETE"): 1}),
    ),
    "an append": (
        lambda store: store.messages.append("edited", {}),
        ONE_SESSION + Counter({("messages", "INSERT"): 1, ("message_blobs", "INSERT"): 1}),
    ),
    "a document as it is": (lambda store: store.documents.put("edited", {"tool_calls": [1, 2, 3]}), Counter()),
    "a restore of what is not deleted": (lambda store: store.sessions.restore("edited"), Counter()),
    "a change of id": (
        lambda store: store.sessions.change_id("edited", "renamed"),
        ONE_SESSION + Counter({("retired_ids", "INSERT"): 1}),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITES)
def test_a_write_writes_the_rows_that_change(trail: Trail, name: str) -> None:
    write, expected = WRITES[name]
    assert trail.of(lambda: write(trail.store)) == expected
