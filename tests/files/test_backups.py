"""Backup copies of session files: what the session does not have any more can be brought back."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory, remove_imported_files
from hermes_store.maintenance import verify
from tests.support.state_dir import StateDir, by_name, fingerprint, outcomes, session


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user" if at % 2 == 0 else "assistant", "content": text} for at, text in enumerate(texts)]


SHORT = said("one", "two")
LONG = said("one", "two", "three", "four")


@pytest.fixture
def shrunk(state: StateDir) -> StateDir:
    """A directory as the WebUI leaves it that saved fewer messages than there were."""
    state.session("a", *SHORT, title="Now", message_count=2)
    state.write("a.json.bak", session("a", *LONG, title="Then", message_count=4), age=3700.0)
    return state


def test_what_only_the_backup_has_is_kept(store: Store, shrunk: StateDir) -> None:
    before = fingerprint(shrunk.root)
    item = by_name(import_directory(store, shrunk.root))["a.json.bak"]
    assert (item.outcome, item.id, item.messages) == ("imported", "a", 4)
    assert item.notes == ["messages that the session does not have: 2; they are kept as its state at revision 2"]
    assert store.messages.read("a") == SHORT
    [cut] = store.messages.history("a")
    assert (cut.verb, cut.messages, cut.revision) == ("import", 2, 2)
    copy = store.sessions.fork("a", revision=2)
    assert store.messages.read(copy.session_id) == LONG
    assert store.sessions.get("a").title == "Now"
    assert fingerprint(shrunk.root) == before


def test_undo_puts_the_messages_back(store: Store, shrunk: StateDir) -> None:
    import_directory(store, shrunk.root)
    store.messages.undo("a")
    assert store.messages.read("a") == LONG
    assert verify(store).findings == []


def test_a_second_import_does_nothing(store: Store, shrunk: StateDir) -> None:
    import_directory(store, shrunk.root)
    before = (store.sessions.get("a"), store.messages.history("a"), store.imports.records())
    item = by_name(import_directory(store, shrunk.root))["a.json.bak"]
    assert (item.outcome, item.reason) == ("unchanged", "")
    assert outcomes(import_directory(store, shrunk.root)) == {"a.json": "unchanged", "a.json.bak": "unchanged"}
    assert (store.sessions.get("a"), store.messages.history("a"), store.imports.records()) == before
    moved = shrunk.root.rename(shrunk.root.with_name("moved"))
    assert outcomes(import_directory(store, moved)) == {"a.json": "unchanged", "a.json.bak": "unchanged"}
    assert store.messages.history("a") == before[1]


def test_a_changed_file_still_updates_the_session(store: Store, shrunk: StateDir) -> None:
    import_directory(store, shrunk.root)
    shrunk.session("a", *SHORT, *said("new"), title="Later", age=3500.0)
    assert outcomes(import_directory(store, shrunk.root)) == {"a.json": "updated", "a.json.bak": "unchanged"}
    assert store.messages.read("a") == [*SHORT, *said("new")]


def test_other_states_are_still_found(store: Store, state: StateDir) -> None:
    state.session("a", *SHORT)
    import_directory(store, state.root)
    store.messages.append("a", said("more")[0])
    cut = store.messages.truncate("a", keep=1, expected_revision=store.sessions.get("a").revision)
    state.write("a.json.bak", session("a", *said("one", "other")))
    import_directory(store, state.root)
    assert store.messages.read("a") == SHORT[:1]
    kept = {
        revision: store.messages.read(store.sessions.fork("a", revision=revision).session_id)
        for revision in (one.revision for one in store.messages.history("a"))
    }
    assert sorted(kept.values(), key=len) == [said("one", "other"), [*SHORT, *said("more")]]
    assert kept[cut.revision - 1] == [*SHORT, *said("more")]
    store.messages.undo("a")
    assert store.messages.read("a") == said("one", "other")
    assert store.messages.read(store.sessions.fork("a", revision=cut.revision - 1).session_id) == kept[cut.revision - 1]


def test_what_is_overwritten_meanwhile_is_kept(store: Store, state: StateDir) -> None:
    state.session("a", *said("one", "two", "old answer"))
    state.write("a.json.bak", session("a", *said("one", "other", "third")))
    import_directory(store, state.root)
    state.session("a", *said("one", "two", "new answer"), age=3500.0)
    state.write("a.json.bak", session("a", *said("one", "two", "old answer", "more")), age=3500.0)
    import_directory(store, state.root)
    assert store.messages.read("a") == said("one", "two", "new answer")
    states = [
        store.messages.read(store.sessions.fork("a", revision=cut.revision).session_id)
        for cut in store.messages.history("a")
    ]
    assert said("one", "other", "third") in states
    assert said("one", "two", "old answer") in states
    assert said("one", "two", "old answer", "more") in states


NOTHING_MORE: dict[str, Any] = {
    "shorter": session("a", *SHORT[:1]),
    "the same": session("a", *SHORT, title="Other"),
    "empty": session("a"),
}


@pytest.mark.parametrize("name", NOTHING_MORE)
def test_a_backup_with_nothing_more_changes_nothing(store: Store, state: StateDir, name: str) -> None:
    state.session("a", *SHORT)
    state.write("a.json.bak", NOTHING_MORE[name])
    assert outcomes(import_directory(store, state.root)) == {"a.json": "imported", "a.json.bak": "unchanged"}
    assert (store.sessions.get("a").revision, store.messages.history("a")) == (1, [])


def test_a_dry_run_tells_the_same(store: Store, shrunk: StateDir) -> None:
    planned = outcomes(import_directory(store, shrunk.root, dry_run=True))
    assert not store.sessions.exists("a")
    assert planned == outcomes(import_directory(store, shrunk.root))
    shrunk.write("a.json.bak", session("a", *LONG, *said("five")))
    before = store.sessions.get("a")
    assert outcomes(import_directory(store, shrunk.root, dry_run=True))["a.json.bak"] == "imported"
    assert store.sessions.get("a") == before


def test_a_backup_alone_is_the_session(store: Store, state: StateDir) -> None:
    state.write("gone.json.bak", session("gone", *LONG))
    state.write("_index.json", [{"session_id": "gone", "message_count": 4}, {"session_id": "other"}])
    item = by_name(import_directory(store, state.root))["gone.json.bak"]
    assert (item.outcome, item.id) == ("imported", "gone")
    assert item.notes == ["its file is gone, and this is the backup copy: anything newer is missing"]
    assert store.messages.read("gone") == LONG
    assert outcomes(import_directory(store, state.root))["gone.json.bak"] == "unchanged"
    removed = remove_imported_files(store, "gone")
    assert [(os.path.basename(one.path), one.outcome) for one in removed] == [  # noqa: PTH119
        ("gone.json.bak", "removed"),
        ("_index.json", "removed"),
    ]


def test_what_was_deleted_does_not_come_back(store: Store, state: StateDir) -> None:
    for name in ("listed", "here", "purged"):
        state.write(f"{name}.json.bak", session(name, *LONG))
    state.write("_deleted_webui_sessions.json", {"version": 1, "ids": ["listed"]})
    for name in ("here", "purged"):
        store.sessions.create(session_id=name)
        store.sessions.delete(name)
    store.sessions.purge("purged")
    items = by_name(import_directory(store, state.root))
    assert {name: (item.outcome, item.reason) for name, item in items.items() if name.endswith(".bak")} == {
        "listed.json.bak": (
            "skipped",
            "it was deleted (listed in _deleted_webui_sessions.json), and only its backup copy is left",
        ),
        "here.json.bak": ("skipped", "its session is deleted in the store"),
        "purged.json.bak": ("skipped", "it was purged from the store"),
    }
    store.sessions.restore("here")
    assert outcomes(import_directory(store, state.root))["here.json.bak"] == "imported"


def test_a_backup_of_a_deleted_file_is_skipped(store: Store, state: StateDir) -> None:
    state.session("a")
    state.write("a.json.bak", session("a", *LONG))
    state.write("_deleted_webui_sessions.json", {"version": 1, "ids": ["a"]})
    items = by_name(import_directory(store, state.root))
    assert (items["a.json.bak"].outcome, items["a.json.bak"].reason) == ("skipped", "its session is not in the store")


def test_a_damaged_backup_gives_what_is_whole(store: Store, state: StateDir) -> None:
    state.session("a", *SHORT)
    path = state.write("a.json.bak", session("a", *LONG))
    state.write("a.json.bak", path.read_bytes()[:-60])
    state.session("b", *SHORT)
    state.write("b.json.bak", b"[]")
    items = by_name(import_directory(store, state.root))
    assert (items["a.json.bak"].outcome, items["b.json.bak"].outcome) == ("recovered", "failed")
    assert items["a.json.bak"].reason.startswith("it is torn or damaged")
    assert [cut.messages for cut in store.messages.history("a")] == [1]
    again = by_name(import_directory(store, state.root))
    assert (again["a.json.bak"].outcome, again["b.json.bak"].outcome) == ("unchanged", "failed")


def test_a_damaged_file_keeps_what_its_backup_has(store: Store, state: StateDir) -> None:
    path = state.session("a", *LONG)
    state.write("a.json", path.read_bytes()[:-40])
    state.write("a.json.bak", session("a", *said("other")))
    assert outcomes(import_directory(store, state.root)) == {"a.json": "recovered", "a.json.bak": "imported"}
    assert store.messages.read("a")[:3] == LONG[:3]
    assert [cut.messages for cut in store.messages.history("a")] == [1]


def test_kept_messages_let_the_backup_be_removed(store: Store, shrunk: StateDir) -> None:
    import_directory(store, shrunk.root)
    removed = remove_imported_files(store, "a")
    assert [(os.path.basename(one.path), one.outcome) for one in removed] == [  # noqa: PTH119
        ("a.json", "removed"),
        ("a.json.bak", "removed"),
    ]


def test_too_much_is_not_kept_and_named(store: Store, shrunk: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_store.files.backups._MOST_BYTES", 50)
    item = by_name(import_directory(store, shrunk.root))["a.json.bak"]
    assert item.outcome == "failed"
    assert item.reason.endswith("; none is kept, because that is more than 50")
    assert store.messages.history("a") == []
