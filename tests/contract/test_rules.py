"""The rules of the house, one test each, on every backend. A store of JSON files fails every one of them.

(Rule 11, that foreign files are only read, is about the import and the agent's database.)
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hermes_store import (
    HermesStoreError,
    InvalidIdError,
    InvalidInputError,
    MessageStream,
    SessionDeletedError,
    SessionNotFoundError,
    SessionRecord,
    StaleSessionError,
    Store,
)
from hermes_store.validation import SessionChanges
from tests.support.internals import writing
from tests.support.tables import all_rows


def test_rule_1_one_store_reads_what_another_wrote(store: Store, target: str, tmp_path: Path) -> None:
    """An object in a cache, or an index file, showed what had been true."""
    session_id = store.sessions.create(title="Trip").session_id
    with Store.open(target) if target != ":memory:" else store as other:
        assert [s.title for s in other.sessions.list().items] == ["Trip"]
        store.sessions.update(session_id, title="Rome")
        store.messages.append(session_id, "hi")
        assert other.sessions.list().items == [other.sessions.get(session_id)] == [store.sessions.get(session_id)]
        assert other.messages.read(session_id) == ["hi"]
        store.sessions.delete(session_id)
        assert other.sessions.list().items == []
        assert {path.name for path in tmp_path.iterdir()} <= {"hermes.db", "hermes.db-wal", "hermes.db-shm"}


def test_rule_2_a_list_counts_what_is_there(store: Store, session_id: str) -> None:
    """An index that was written apart from the messages said 0 for a session of 103, which hid it."""

    def truncate(keep: int) -> None:
        revision = store.sessions.get(session_id).revision
        store.messages.truncate(session_id, keep=keep, expected_revision=revision)

    steps: list[Callable[[], Any]] = [
        lambda: store.messages.extend(session_id, [{"timestamp": 1.0}, {"timestamp": 2.0}, {"timestamp": 3.0}]),
        lambda: truncate(2),
        lambda: store.messages.replace(
            session_id, ["x"] * 5, expected_revision=store.sessions.get(session_id).revision
        ),
        lambda: store.messages.update(
            session_id, 4, {"_ts": 9.0}, expected_revision=store.sessions.get(session_id).revision
        ),
        lambda: store.sessions.delete(session_id),
        lambda: store.sessions.restore(session_id),
        lambda: truncate(0),
    ]
    shown = []
    for step in steps:
        step()
        items = store.sessions.list().items
        if items:
            assert items[0].message_count == len(store.messages.read(session_id))
        shown.append((items[0].message_count, items[0].last_message_at) if items else None)
    assert shown == [(3, 3.0), (2, 2.0), (5, None), (5, 9.0), None, (5, 9.0), (0, None)]


def test_rule_3_saving_a_record_loses_no_messages(store: Store, session_id: str) -> None:
    """A stub with `messages=[]` was saved over histories of a thousand messages."""
    store.messages.extend(session_id, ["a", "history"])
    (record,) = store.sessions.list().items
    assert not hasattr(record, "messages")
    assert "messages" not in SessionRecord.model_fields
    settable = {name: value for name, value in record.model_dump().items() if name in settable_fields()}
    store.sessions.update(session_id, **settable)
    with pytest.raises(InvalidInputError):
        store.sessions.update(session_id, messages=[])  # type: ignore[call-arg]
    assert store.messages.read(session_id) == ["a", "history"]


def settable_fields() -> set[str]:
    return set(SessionChanges.__annotations__)


def test_rule_4_a_write_touches_only_its_rows(store: Store, session_id: str) -> None:
    """A rename wrote 24 MB."""
    store.messages.extend(session_id, [{"n": n} for n in range(100)])

    def touched(change: Callable[[], Any]) -> dict[str, int]:
        before = {name: set(rows) for name, rows in all_rows(store).items()}
        change()
        after = {name: set(rows) - before[name] for name, rows in all_rows(store).items()}
        return {name: len(rows) for name, rows in after.items() if rows}

    def edit() -> None:
        transcript = store.messages.read(session_id)
        transcript[50] = "edited"
        store.messages.replace(session_id, transcript, expected_revision=transcript.revision)

    assert touched(lambda: store.sessions.update(session_id, title="Rome")) == {"sessions": 1}
    assert touched(lambda: store.messages.extend(session_id, [1, 2])) == {
        "sessions": 1,
        "messages": 2,
        "message_blobs": 2,
    }
    # What it overwrites is kept.
    assert touched(edit) == {
        "sessions": 1,
        "messages": 1,
        "message_blobs": 1,
        "message_cuts": 1,
        "kept_messages": 1,
    }
    assert touched(lambda: store.documents.put(session_id, {"draft": 1})) == {"sessions": 1, "session_extras": 1}
    assert touched(lambda: store.documents.put(session_id, {"large": "x" * 5000})) == {
        "sessions": 1,
        "session_documents": 1,
    }
    assert touched(lambda: store.sessions.delete(session_id)) == {"sessions": 1}


def test_rule_5_nobody_overwrites_what_they_never_read(store: Store, session_id: str) -> None:
    """Two objects of one session, both saved: the first one's change was lost."""
    first, second = store.messages.read(session_id), store.messages.read(session_id)
    store.messages.replace(session_id, [*first, "first"], expected_revision=first.revision)
    before = all_rows(store)
    with pytest.raises(StaleSessionError):
        store.messages.replace(session_id, [*second, "second"], expected_revision=second.revision)
    assert all_rows(store) == before
    # Fields that both did not name, and appends, need no such thing: neither is lost.
    store.sessions.update(session_id, title="Rome")
    store.sessions.update(session_id, pinned=True)
    store.messages.append(session_id, "one more")
    after = store.sessions.get(session_id)
    assert (after.title, after.pinned) == ("Rome", True)
    assert store.messages.read(session_id) == ["first", "one more"]


#: Arguments for every verb that takes a session's id, but for the two that are for deleted sessions.
VERBS_ON_A_SESSION: dict[str, dict[str, Any]] = {
    "sessions.get": {},
    "sessions.as_json": {},
    "sessions.update": {"title": "back"},
    "sessions.change_id": {"new_id": "back"},
    "sessions.delete": {},
    "sessions.fork": {"new_id": "back"},
    "sessions.duplicate": {"new_id": "back"},
    "sessions.children": {},
    "sessions.lineage": {},
    "messages.append": {"message": "back"},
    "messages.extend": {"messages": ["back"]},
    "messages.read": {},
    "messages.count": {},
    "messages.tail": {},
    "messages.page": {},
    "messages.window": {},
    "messages.stream": {"message": {}},
    "messages.replace": {"messages": ["back"], "expected_revision": 3},
    "messages.update": {"position": 0, "message": "back", "expected_revision": 3},
    "messages.truncate": {"keep": 0, "expected_revision": 3},
    "messages.clear": {"expected_revision": 3},
    "messages.history": {},
    "messages.undo": {},
    "messages.purge_history": {},
    "messages.changes": {"since": 0},
    "documents.read": {},
    "documents.put": {"values": {"draft": "back"}},
    "documents.remove": {},
    "shares.create": {},
    "shares.list": {},
    "usage.record": {"model": None},
    "usage.list": {},
}


def done(result: Any) -> None:
    """Let what a verb returned do what it does in its block."""
    if isinstance(result, MessageStream):
        with result:
            pass


FOR_DELETED = {"sessions.restore", "sessions.purge", "sessions.exists", "sessions.create"}


def test_rule_6_a_deleted_session_refuses_every_write(store: Store) -> None:
    """A save of an object whose session was deleted wrote the file again; an import brought it back."""
    verbs = {
        f"{name}.{verb}": function
        for name in ("sessions", "messages", "documents", "shares", "usage")
        for verb, function in inspect.getmembers(getattr(store, name), inspect.ismethod)
        if not verb.startswith("_") and "session_id" in inspect.signature(function).parameters
    }
    assert set(verbs) == set(VERBS_ON_A_SESSION) | FOR_DELETED, "a new verb: say what it does to a deleted session"
    parent = store.sessions.create(session_id="gone", title="Trip").session_id
    store.messages.append("gone", "history")
    store.sessions.delete("gone")
    before = all_rows(store)
    for verb, arguments in VERBS_ON_A_SESSION.items():
        with pytest.raises(SessionDeletedError, match="restore"):
            done(verbs[verb](parent, **arguments))
    with pytest.raises(SessionDeletedError):
        store.sessions.create(session_id="gone")
    assert not store.sessions.exists("gone")
    assert all_rows(store) == before
    store.sessions.purge("gone")
    for verb, arguments in VERBS_ON_A_SESSION.items():
        with pytest.raises(SessionNotFoundError):
            done(verbs[verb](parent, **arguments))
    with pytest.raises(SessionDeletedError):
        store.sessions.create(session_id="gone")
    rows = all_rows(store)
    assert {name for name, found in rows.items() if found} == {
        *("retired_ids", "search_state", "gone_ids", "change_state")
    }


def test_rule_7_what_went_in_comes_out(store: Store) -> None:
    """A title with half a character made the list of everybody fail, and after it every save."""
    good, bad = store.sessions.create(title="good"), store.sessions.create(title="half \ud83d")
    awkward = [{"content": "\ud83d\x00", "n": [float("inf"), 2**70], "unknown": {"key": None}}, "no dict", None]
    store.messages.extend(bad.session_id, awkward)
    assert [s.title for s in store.sessions.list().items] == ["half \ud83d", "good"]
    assert store.sessions.get(good.session_id) == good
    assert store.messages.read(bad.session_id) == awkward
    assert store.sessions.update(bad.session_id, title="whole").title == "whole"


def test_rule_7_a_damaged_row_breaks_no_list(store: Store) -> None:
    """A file that could not be read took the whole list with it, or vanished from it without a word."""
    damaged = store.sessions.create(title="damaged", compression_anchor_message_key={"role": "user"})
    store.sessions.create(title="good")
    with writing(store) as connection:
        statement = text("UPDATE sessions SET compression_anchor_message_key = :bytes WHERE session_id = :session_id")
        connection.execute(statement, {"bytes": b"{damaged", "session_id": damaged.session_id})
    assert [s.title for s in store.sessions.list().items] == ["good", "damaged"]
    assert store.sessions.update(damaged.session_id, compression_anchor_message_key=None).title == "damaged"


def test_rule_8_order_is_kept_and_paths_refused(store: Store, session_id: str) -> None:
    """Messages of one second changed places; `Session('../evil').save()` wrote outside of the store."""
    messages = [{"n": n, "timestamp": timestamp} for n, timestamp in enumerate([5.0, 1.0, 1.0, None, 9e9, 1.0])]
    for message in messages:
        store.messages.append(session_id, message)
    assert store.messages.read(session_id) == messages
    for evil in ("../evil", "/etc/passwd", "a/b", "a\\b", "C:evil", ".", "..", "a.json", "%2e%2e"):
        with pytest.raises(InvalidIdError):
            store.sessions.create(session_id=evil)
        with pytest.raises(InvalidIdError):
            store.sessions.change_id(session_id, evil)


def test_rule_9_profiles_are_walls(store: Store) -> None:
    """Sessions and projects of all profiles were visible everywhere. (More of it: test_profiles.py.)"""
    theirs = store.profile("theirs").sessions.create(title="theirs").session_id
    mine = store.profile("mine")
    assert mine.sessions.list().items == []
    with pytest.raises(SessionNotFoundError):
        mine.messages.read(theirs)


def test_rule_10_errors_are_typed_and_loud(store: Store) -> None:
    """A torn file was read as `[]`, and the next save made that true."""
    for verb, arguments in VERBS_ON_A_SESSION.items():
        collection, name = verb.split(".")
        with pytest.raises(SessionNotFoundError, match="There is no session 'nobody'") as refused:
            done(getattr(getattr(store, collection), name)("nobody", **arguments))
        assert refused.value.session_id == "nobody"
    with writing(store) as connection:
        connection.exec_driver_sql("ALTER TABLE messages RENAME TO messages_lost")
    session_id = store.sessions.create().session_id
    for call in (lambda: store.messages.read(session_id), lambda: store.messages.append(session_id, "lost")):
        with pytest.raises(HermesStoreError, match="messages") as broken:
            call()
        assert broken.value.__cause__ is not None
    assert store.sessions.get(session_id).message_count == 0


WATCHED_IMPORT = """
import sys
seen = []

def hook(event, args):
    if event in ("sqlite3.connect", "socket.connect", "subprocess.Popen", "os.mkdir", "os.rename", "os.remove"):
        seen.append((event, args))
    elif event == "open" and (set(str(args[1] or "r")) & set("wax+") or str(args[0]).endswith((".json", ".db"))):
        seen.append((event, args))

sys.dont_write_bytecode = True
sys.addaudithook(hook)
import hermes_store
assert not seen, seen
assert "alembic" not in sys.modules and "psycopg" not in sys.modules
import threading
assert threading.active_count() == 1
with hermes_store.Store.open(":memory:") as store:
    store.sessions.create()
assert ("sqlite3.connect" in [event for event, _ in seen]), "the watch sees nothing"
"""


def test_rule_12_importing_does_nothing(tmp_path: Path) -> None:
    """The JSON store made directories, read files and started threads when it was imported."""
    command = [sys.executable, "-W", "error", "-c", WATCHED_IMPORT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert list(tmp_path.iterdir()) == []
