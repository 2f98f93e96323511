"""What is removed from transcripts or overwritten in them is kept, and brought back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from hermes_store import (
    DatabaseCorruptError,
    InvalidInputError,
    MessageCut,
    RevisionNotKeptError,
    StaleSessionError,
    Store,
    UndoError,
)
from hermes_store.storage import cut_rows
from hermes_store.webui import SessionStorage
from tests.support.internals import writing
from tests.support.tables import all_rows, table_counts

MESSAGES: list[Any] = [{"role": "user", "content": "a \ud83d", "timestamp": 5.0}, "b", ["c", 2**70], {"role": "tool"}]


@pytest.fixture
def trip(store: Store) -> str:
    store.sessions.create(session_id="trip", title="Trip")
    store.messages.extend("trip", MESSAGES)
    return "trip"


def now(store: Store, session_id: str = "trip") -> int:
    return store.sessions.get(session_id).revision


def read(store: Store, session_id: str = "trip") -> list[Any]:
    return list(store.messages.read(session_id))


def save(store: Store, messages: list[Any]) -> None:
    storage = SessionStorage(store)
    values, token = storage.load("trip")
    storage.save("trip", values, messages, base=token)


#: By verb: a cut, and how many messages it keeps.
CUTS: dict[str, tuple[Callable[[Store], Any], int]] = {
    "truncate": (lambda store: store.messages.truncate("trip", keep=1, expected_revision=now(store)), 3),
    "clear": (lambda store: store.messages.clear("trip", expected_revision=now(store)), 4),
    "replace": (
        lambda store: store.messages.replace("trip", ["new", *MESSAGES[2:], "x"], expected_revision=now(store)),
        2,
    ),
    "update": (lambda store: store.messages.update("trip", 1, {"new": 1}, expected_revision=now(store)), 1),
    "save": (lambda store: save(store, [*MESSAGES[:2], "other", "more"]), 2),
}


@pytest.mark.parametrize("verb", CUTS)
def test_a_cut_is_listed_and_undone(store: Store, trip: str, verb: str) -> None:
    before = store.sessions.get(trip)
    made = time.time()
    cut, kept = CUTS[verb]
    cut(store)
    changed = read(store)
    assert changed != MESSAGES
    [found] = store.messages.history(trip)
    assert (found.verb, found.revision, found.messages, found.message_count) == (verb, before.revision, kept, 4)
    assert made <= found.cut_at <= time.time()
    stats = store.stats()
    assert (stats.cuts, stats.kept_messages, stats.kept_bytes) == (1, kept, found.size_bytes)
    assert found.size_bytes > 0
    store.sessions.update(trip, title="Rome")  # is no write of messages
    result = store.messages.undo(trip)
    after = store.sessions.get(trip)
    assert (result.verb, result.restored, result.message_count) == (verb, kept, 4)
    assert read(store) == MESSAGES
    assert result.revision == after.revision == after.transcript_revision == store.messages.read(trip).revision
    assert (after.last_message_at, after.last_activity_at, after.message_count) == (5.0, 5.0, 4)
    # What the undo removed is kept, too; it is not undone.
    left = store.messages.history(trip)
    assert [one.verb for one in left] == (["undo"] if result.removed else [])
    for one in left:
        assert read(store, store.sessions.fork(trip, revision=one.revision).session_id) == changed
    with pytest.raises(UndoError, match="nothing of its messages"):
        store.messages.undo(trip)


def test_cuts_are_undone_one_after_the_other(store: Store, trip: str) -> None:
    states = []
    for verb in ("update", "replace", "truncate"):
        states.append(read(store))
        CUTS[verb][0](store)
    store.messages.append(trip, "more")
    states.append(read(store))
    CUTS["clear"][0](store)
    assert [one.verb for one in store.messages.history(trip)] == ["clear", "truncate", "replace", "update"]
    store.messages.undo(trip)
    assert read(store) == states.pop()
    with pytest.raises(UndoError, match="messages were written after the last cut") as refused:
        store.messages.undo(trip)  # the appended message is in the way
    assert refused.value.revision is not None
    fork = store.sessions.fork(trip, revision=refused.value.revision)
    assert read(store, fork.session_id) == states[-1]
    store.messages.truncate(trip, keep=1, expected_revision=now(store))
    for verb in ("truncate",):
        assert store.messages.undo(trip).verb == verb
    with pytest.raises(UndoError):
        store.messages.undo(trip)


def test_undoing_every_cut_restores_the_first_transcript(store: Store, trip: str) -> None:
    states = []
    for verb in ("update", "replace", "save", "truncate", "clear"):
        states.append(read(store))
        CUTS[verb][0](store)
    while states:
        store.messages.undo(trip)
        assert read(store) == states.pop()
    with pytest.raises(UndoError):
        store.messages.undo(trip)


def test_a_fork_can_start_from_a_former_revision(store: Store, trip: str) -> None:
    store.documents.put(trip, {"context_messages": ["of all"], "model_provider": "p"})
    revision = now(store)
    CUTS["truncate"][0](store)
    store.messages.extend(trip, ["new", "newer"])
    CUTS["update"][0](store)
    fork = store.sessions.fork(trip, revision=revision)
    assert read(store, fork.session_id) == MESSAGES
    assert (fork.message_count, fork.last_message_at, fork.forked_at, fork.parent_id) == (4, 5.0, 4, trip)
    assert store.documents.read(fork.session_id) == {"model_provider": "p", "session_source": "fork"}
    part = store.sessions.fork(trip, revision=revision, at=2, new_id="part")
    assert read(store, part.session_id) == MESSAGES[:2]
    present = store.sessions.fork(trip, revision=now(store))
    assert read(store, present.session_id) == [MESSAGES[0], {"new": 1}, "newer"]
    with pytest.raises(InvalidInputError, match="from 0 to 4"):
        store.sessions.fork(trip, revision=revision, at=5)


def test_a_revision_that_is_not_kept_is_refused(store: Store, trip: str) -> None:
    CUTS["truncate"][0](store)
    store.messages.append(trip, "x")
    store.messages.append(trip, "y")
    last = now(store)
    for revision in (-1, 0, 1, last - 1, last + 1, 2**62):
        with pytest.raises(RevisionNotKeptError) as refused:
            store.sessions.fork(trip, revision=revision)
        assert refused.value.kept == (last - 3,)
    for wrong in (1.0, "2", True, 10**5000):
        with pytest.raises(InvalidInputError, match="revision"):
            store.sessions.fork(trip, revision=wrong)  # type: ignore[arg-type]
    assert store.sessions.children(trip) == []


def test_writes_that_only_append_keep_nothing(store: Store, trip: str) -> None:
    store.messages.append(trip, "a")
    store.messages.extend(trip, ["b", "c"])
    store.messages.replace(trip, [*read(store), "d"], expected_revision=now(store))
    save(store, [*read(store), "e"])
    store.messages.update(trip, 0, MESSAGES[0], expected_revision=now(store))
    store.messages.truncate(trip, keep=store.messages.count(trip), expected_revision=now(store))
    assert store.messages.history(trip) == []


def test_checkpoints_of_a_stream_are_not_kept(store: Store, trip: str) -> None:
    with store.messages.stream(trip, {"n": 0}) as answer:
        for n in range(5):
            answer.checkpoint({"n": n})
    assert store.messages.history(trip) == []
    with store.messages.stream(trip, {"n": 0}) as answer:
        answer.checkpoint({"n": 1})
        CUTS["update"][0](store)
        expected = [*MESSAGES, {"n": 4}, {"n": 1, "_partial": True}]
        for n in range(2, 9):
            answer.checkpoint({"n": n})
    cuts = store.messages.history(trip)
    assert [cut.verb for cut in cuts] == ["stream", "update"]
    assert read(store, store.sessions.fork(trip, revision=cuts[1].revision).session_id) == expected


def test_what_was_overwritten_by_an_undo_is_stale(store: Store, trip: str) -> None:
    revision = now(store)
    CUTS["update"][0](store)
    written = now(store)
    store.messages.undo(trip)
    with pytest.raises(StaleSessionError):
        store.messages.update(trip, 1, "z", expected_revision=written)
    store.messages.update(trip, 0, "z", expected_revision=revision)  # it was not written since


def test_many_runs_come_back(store: Store) -> None:
    store.sessions.create(session_id="trip")
    before = [f"message {n}" for n in range(900)]
    store.messages.extend("trip", before)
    edited = [one if n % 3 else f"edited {n}" for n, one in enumerate(before) if n % 7]
    store.messages.replace("trip", edited, expected_revision=now(store))
    [cut] = store.messages.history("trip")
    assert cut.messages < 500  # only what differs
    assert read(store, store.sessions.fork("trip", revision=cut.revision).session_id) == before
    store.messages.undo("trip")
    assert read(store) == before


def sized(store: Store, count: int) -> list[MessageCut]:
    """Make cuts of about 1,000 bytes each."""
    for _ in range(count):
        store.messages.append("trip", "x" * 1_000)
        store.messages.truncate("trip", keep=0, expected_revision=now(store))
    return store.messages.history("trip")


def test_the_oldest_cuts_go_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.sessions.create(session_id="trip")
    monkeypatch.setattr(cut_rows, "SESSION_CUTS", 4)
    revisions = [cut.revision for cut in sized(store, 6)]
    assert len(revisions) == 4
    assert revisions == sorted(revisions, reverse=True)
    assert revisions[0] == now(store) - 1
    monkeypatch.setattr(cut_rows, "SESSION_BYTES", 2_500)
    assert len(sized(store, 1)) == 2
    monkeypatch.setattr(cut_rows, "SESSION_BYTES", 10)
    assert len(sized(store, 1)) == 1  # the last one stays


def test_the_store_keeps_no_more_than_its_bounds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("other", "trip"):
        store.sessions.create(session_id=name)
        store.messages.extend(name, ["x" * 1_000])
        store.messages.clear(name, expected_revision=now(store, name))
    monkeypatch.setattr(cut_rows, "_EVERY", 1)
    monkeypatch.setattr(cut_rows, "ALL_CUTS", 2)
    sized(store, 1)
    assert [len(store.messages.history(name)) for name in ("other", "trip")] == [0, 2]
    monkeypatch.setattr(cut_rows, "ALL_BYTES", 1_500)
    assert len(sized(store, 1)) == 1
    monkeypatch.setattr(cut_rows, "KEPT_SECONDS", -60.0)
    [cut] = sized(store, 1)
    assert cut.revision == now(store) - 1
    assert store.stats().kept_messages == table_counts(store)["kept_messages"] == 1


def test_what_is_kept_is_pruned_and_purged(store: Store, trip: str) -> None:
    store.sessions.create(session_id="other", profile="work")
    store.messages.extend("other", ["a", "b"])
    store.messages.clear("other", expected_revision=now(store, "other"))
    for verb in ("update", "truncate"):
        CUTS[verb][0](store)
    assert store.messages.prune_history().cuts == 0
    assert store.messages.prune_history(older_than=-60, profile="work").messages == 2
    assert store.profile("work").stats().cuts == 0
    purged = store.messages.purge_history(trip)
    assert (purged.cuts, purged.messages) == (2, 4)
    assert store.messages.history(trip) == []
    CUTS["clear"][0](store)
    assert store.messages.prune_history(older_than=-60).cuts == 1
    assert table_counts(store)["kept_messages"] == table_counts(store)["message_cuts"] == 0


def test_the_history_follows_its_session(store: Store, trip: str) -> None:
    CUTS["update"][0](store)
    cuts = store.messages.history(trip)
    store.sessions.change_id(trip, "rome")
    store.sessions.update("rome", profile="work")
    store.sessions.delete("rome")
    assert store.sessions.restore("rome").profile == "work"
    assert store.messages.history("rome") == cuts
    assert store.profile("work").stats().cuts == 1
    copy = store.sessions.duplicate("rome")
    assert store.messages.history(copy.session_id) == []
    store.messages.undo("rome")
    assert read(store, "rome") == MESSAGES
    store.messages.clear("rome", expected_revision=now(store, "rome"))
    store.sessions.purge("rome")
    assert table_counts(store)["kept_messages"] == table_counts(store)["message_cuts"] == 0


def test_damaged_history_is_reported_and_changes_nothing(store: Store, trip: str) -> None:
    CUTS["truncate"][0](store)
    damages = [
        ("DELETE FROM kept_messages WHERE position = 2", "1 messages of a cut are missing"),
        ("UPDATE message_cuts SET message_count = 9", "missing"),
        ("UPDATE message_cuts SET runs = '[[0,0,9000]]'", "runs are damaged"),
        ("UPDATE message_cuts SET runs = '[[0,5,1]]'", "damaged"),
        ("UPDATE message_cuts SET runs = '{'", "runs are damaged"),
    ]
    [cut] = store.messages.history(trip)
    for damage, message in damages:
        with writing(store) as connection:
            connection.execute(text(damage))
        before = all_rows(store)
        with pytest.raises(DatabaseCorruptError, match=message):
            store.sessions.fork(trip, revision=cut.revision)
        if "5" not in damage:
            with pytest.raises(DatabaseCorruptError, match=message):
                store.messages.undo(trip)
        assert all_rows(store) == before
    store.messages.purge_history(trip)
    assert read(store) == MESSAGES[:1]


def test_messages_without_sound_positions_are_kept(store: Store, trip: str) -> None:
    CUTS["update"][0](store)
    with writing(store) as connection:
        connection.execute(text("DELETE FROM messages WHERE position = 0"))
    store.messages.replace(trip, ["new"], expected_revision=now(store))
    [cut] = store.messages.history(trip)
    assert (cut.messages, cut.message_count) == (3, 3)
    fork = store.sessions.fork(trip, revision=cut.revision)
    assert read(store, fork.session_id) == [{"new": 1}, *MESSAGES[2:]]
    store.messages.undo(trip)
    assert read(store) == [{"new": 1}, *MESSAGES[2:]]
