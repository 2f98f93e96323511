"""Revisions, on every backend: nobody overwrites what they have not read, and nothing else gets in the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import InvalidInputError, SessionRecord, StaleSessionError, Store, WriteResult
from tests.support.internals import writing

Write = Callable[[Store, int], Any]

#: Every write that can expect a revision.
WRITES: dict[str, Write] = {
    "messages.replace": lambda store, revision: store.messages.replace("s", ["new"], expected_revision=revision),
    "messages.truncate": lambda store, revision: store.messages.truncate("s", keep=1, expected_revision=revision),
    "messages.update": lambda store, revision: store.messages.update("s", 0, "new", expected_revision=revision),
    "sessions.update": lambda store, revision: store.sessions.update("s", title="New", expected_revision=revision),
    "documents.put": lambda store, revision: store.documents.put("s", {"draft": "new"}, expected_revision=revision),
    "documents.remove": lambda store, revision: store.documents.remove("s", "draft", expected_revision=revision),
}
OF_TRANSCRIPT = {"messages.replace", "messages.truncate"}
OF_FIELDS = {"sessions.update", "documents.put", "documents.remove"}

#: What others may do meanwhile, and the writes that it makes stale.
MEANWHILE: dict[str, tuple[Callable[[Store], Any], set[str]]] = {
    "a rename": (lambda store: store.sessions.update("s", title="Rome"), OF_FIELDS),
    "a pin": (lambda store: store.sessions.update("s", pinned=True), OF_FIELDS),
    "a draft": (lambda store: store.documents.put("s", {"other": "draft"}), OF_FIELDS),
    "a large draft": (lambda store: store.documents.put("s", {"other": "x" * 5000}), OF_FIELDS),
    "token counts": (lambda store: store.sessions.update("s", input_tokens=5), OF_FIELDS),
    "a deletion that was undone": (lambda store: (store.sessions.delete("s"), store.sessions.restore("s")), OF_FIELDS),
    "an append": (lambda store: store.messages.append("s", "more"), OF_TRANSCRIPT),
    "an edit of another message": (
        lambda store: store.messages.update("s", 2, "other", expected_revision=revision_of(store)),
        OF_TRANSCRIPT,
    ),
    "an edit of the same message": (
        lambda store: store.messages.update("s", 0, "other", expected_revision=revision_of(store)),
        {*OF_TRANSCRIPT, "messages.update"},
    ),
    "a truncation of others": (
        lambda store: store.messages.truncate("s", keep=2, expected_revision=revision_of(store)),
        OF_TRANSCRIPT,
    ),
    "a message removed before": (
        lambda store: store.messages.replace("s", ["b", "c"], expected_revision=revision_of(store)),
        {*OF_TRANSCRIPT, "messages.update"},
    ),
    "a message inserted before": (
        lambda store: store.messages.replace("s", ["inserted", "a", "b", "c"], expected_revision=revision_of(store)),
        {*OF_TRANSCRIPT, "messages.update"},
    ),
    "a save of what was there": (
        lambda store: (
            store.messages.replace("s", ["a", "b", "c"], expected_revision=revision_of(store)),
            store.messages.extend("s", []),
            store.documents.put("s", {"draft": "hi"}),
        ),
        set(),
    ),
}


def revision_of(store: Store) -> int:
    return store.sessions.get("s").revision


@pytest.fixture
def session(store: Store) -> SessionRecord:
    """A session with three messages and a document."""
    store.sessions.create(session_id="s", title="Trip")
    store.messages.extend("s", ["a", "b", "c"])
    store.documents.put("s", {"draft": "hi"})
    return store.sessions.get("s")


def everything(store: Store) -> tuple[Any, ...]:
    return store.sessions.get("s"), list(store.messages.read("s")), store.documents.read("s")


@pytest.mark.parametrize("write", WRITES)
def test_an_expected_revision_is_a_whole_number(store: Store, session: SessionRecord, write: str) -> None:
    before = everything(store)
    current = session.revision
    for bad in (None, str(current), float(current), True, False, [current], b"2", 2**63, 10**5000):
        with pytest.raises(InvalidInputError, match="whole number"):
            WRITES[write](store, bad)  # type: ignore[arg-type]
    assert everything(store) == before


@pytest.mark.parametrize("verb", ["replace", "truncate", "update"])
def test_the_check_of_messages_cannot_be_left_out(store: Store, session: SessionRecord, verb: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "replace": {"messages": []},
        "truncate": {"keep": 0},
        "update": {"position": 0, "message": "new"},
    }
    with pytest.raises(TypeError, match="expected_revision"):
        getattr(store.messages, verb)("s", **arguments[verb])
    assert store.messages.read("s") == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_write_is_stale_only_after_related_changes(
    store: Store, session: SessionRecord, meanwhile: str, write: str
) -> None:
    change, made_stale = MEANWHILE[meanwhile]
    change(store)
    before = everything(store)
    if write in made_stale:
        with pytest.raises(StaleSessionError) as refused:
            WRITES[write](store, session.revision)
        assert refused.value.session_id == "s"
        assert (refused.value.expected_revision, refused.value.actual_revision) == (
            session.revision,
            revision_of(store),
        )
        assert everything(store) == before
        WRITES[write](store, revision_of(store))
    else:
        WRITES[write](store, session.revision)
    assert everything(store) != before


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("ahead", [1, 2, 1000])
def test_a_revision_that_never_was_is_stale(store: Store, session: SessionRecord, write: str, ahead: int) -> None:
    """A backup was restored, say, after it was read."""
    before = everything(store)
    for never in (session.revision + ahead, 0, -ahead):
        with pytest.raises(StaleSessionError):
            WRITES[write](store, never)
    assert everything(store) == before


def test_a_message_can_be_edited_after_later_writes(store: Store, session: SessionRecord) -> None:
    page = store.messages.page("s", limit=2)
    for number in range(3):
        store.messages.append("s", number)
        store.sessions.update("s", title=str(number))
    result = store.messages.update("s", 1, "B", expected_revision=page.revision)
    assert result == WriteResult(changed=True, revision=revision_of(store))
    assert store.messages.read("s") == ["a", "B", "c", 0, 1, 2]


def test_a_position_that_another_message_took_is_stale(store: Store, session: SessionRecord) -> None:
    """What is at the position now is another message than the one that was read there."""
    store.messages.replace("s", ["a", "c"], expected_revision=session.revision)
    with pytest.raises(StaleSessionError):
        store.messages.update("s", 1, "for b", expected_revision=session.revision)
    store.messages.update("s", 0, "A", expected_revision=session.revision)  # this one did not move
    assert store.messages.read("s") == ["A", "c"]


def test_an_append_lands_whatever_else_was_written(store: Store, session: SessionRecord) -> None:
    for number, (change, _) in enumerate(MEANWHILE.values()):
        change(store)
        assert store.messages.append("s", number).message_count == store.messages.count("s")
    assert [message for message in store.messages.read("s") if isinstance(message, int)][-1] == len(MEANWHILE) - 1


def test_a_record_says_what_changed_when(store: Store, session: SessionRecord) -> None:
    def revisions(record: SessionRecord) -> tuple[int, int, int]:
        return record.revision, record.transcript_revision, record.fields_revision

    assert revisions(session) == (3, 2, 3)
    store.messages.append("s", "d")
    assert revisions(store.sessions.get("s")) == (4, 4, 3)
    assert revisions(store.sessions.update("s", title="Rome")) == (5, 4, 5)
    assert revisions(store.sessions.change_id("s", "renamed")) == (6, 4, 6)
    assert revisions(store.sessions.delete("renamed")) == (7, 4, 7)
    assert revisions(store.sessions.restore("renamed")) == (8, 4, 8)


@pytest.mark.parametrize("write", sorted(OF_TRANSCRIPT | OF_FIELDS))
def test_writes_of_the_first_release_count_as_changes(store: Store, session: SessionRecord, write: str) -> None:
    """It does not know the revisions of parts, and goes on writing when it has the database open during an upgrade."""
    with writing(store) as connection:
        connection.exec_driver_sql("UPDATE sessions SET revision = revision + 1, title = 'Old' WHERE session_id = 's'")
    with pytest.raises(StaleSessionError):
        WRITES[write](store, session.revision)
    store.messages.append("s", "d")
    store.sessions.update("s", pinned=True)
    with pytest.raises(StaleSessionError):
        WRITES[write](store, session.revision)
    WRITES[write](store, revision_of(store))
