"""Messages, on every backend: any JSON value in, the same value out, at the place where it was put."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import (
    InvalidCursorError,
    InvalidInputError,
    InvalidPayloadError,
    MessageNotFoundError,
    MessagePage,
    SessionNotFoundError,
    SessionRecord,
    StaleSessionError,
    Store,
    TruncateResult,
    WriteResult,
)
from hermes_store.pagination import write_cursor
from tests.support.json_values import NOT_JSON, small_json_values, text_of
from tests.support.tables import message_rows

# ── append and read ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message", [{"role": "user"}, ["a", "list"], [], {}, "text", None, 0, False, ("a", "tuple")], ids=str
)
def test_an_append_adds_one_message_whatever_its_type(store: Store, session_id: str, message: Any) -> None:
    store.messages.append(session_id, "first")
    before = store.sessions.get(session_id)
    result = store.messages.append(session_id, message)
    after = store.sessions.get(session_id)
    assert (result.first_position, result.last_position, result.message_count) == (1, 1, 2)
    assert result.revision == after.revision == after.transcript_revision == before.revision + 1
    assert after.fields_revision == before.fields_revision
    stored = list(message) if isinstance(message, tuple) else message
    assert store.messages.read(session_id) == ["first", stored]


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda messages: (one for one in messages)])
@pytest.mark.parametrize("messages", [[], ["a"], ["a", "b", "c"], [["a", "list"]], [None]], ids=str)
def test_an_extend_adds_what_an_iterable_yields(
    sqlite_store: Store, kind: Callable[[Any], Any], messages: list[Any]
) -> None:
    before = sqlite_store.sessions.create(title="Trip")
    result = sqlite_store.messages.extend(before.session_id, kind(messages))
    after = sqlite_store.sessions.get(before.session_id)
    positions = (0, len(messages) - 1)
    assert (result.first_position, result.last_position) == positions
    assert (
        result.message_count == after.message_count == sqlite_store.messages.count(before.session_id) == len(messages)
    )
    assert result.revision == after.revision == before.revision + bool(messages)
    transcript = sqlite_store.messages.read(before.session_id)
    assert (list(transcript), transcript.revision) == (messages, after.revision)
    if not messages:
        assert after == before
    again = sqlite_store.messages.extend(before.session_id, ["more", "still more"])
    assert (again.first_position, again.last_position) == (len(messages), len(messages) + 1)


@pytest.mark.parametrize("single", [{"role": "user"}, {}, "hi", "", b"hi", None, 5], ids=repr)
def test_an_extend_refuses_a_single_message(sqlite_store: Store, single: Any) -> None:
    """An object or a text can be iterated, and its keys or letters would be appended."""
    session_id = sqlite_store.sessions.create().session_id
    with pytest.raises(InvalidInputError, match="list of messages"):
        sqlite_store.messages.extend(session_id, single)
    assert sqlite_store.messages.read(session_id) == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
def test_an_extend_of_any_length_keeps_the_order(store: Store, session_id: str, count: int) -> None:
    store.messages.append(session_id, "first")
    result = store.messages.extend(session_id, range(count))
    assert (result.first_position, result.last_position) == (1, count)
    assert store.messages.read(session_id) == ["first", *range(count)]
    rows = message_rows(store)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@settings(max_examples=15)
@given(first=st.lists(small_json_values, max_size=4), second=st.lists(small_json_values, max_size=4))
def test_any_json_values_are_read_back_unchanged(store: Store, first: list[Any], second: list[Any]) -> None:
    session_id = store.sessions.create().session_id
    store.messages.extend(session_id, first)
    store.messages.extend(session_id, second)
    transcript = store.messages.read(session_id)
    assert text_of(transcript) == text_of(first + second)
    assert text_of(store.messages.tail(session_id).items) == text_of(first + second)
    for one, other in ((second, first), (first, second)):
        result = store.messages.replace(session_id, one + other, expected_revision=transcript.revision)
        transcript = store.messages.read(session_id)
        assert text_of(transcript) == text_of(one + other)
        assert transcript.revision == result.revision


def test_messages_nested_beyond_the_recursion_limit_are_kept(store: Store, session_id: str) -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    for _ in range(100):
        deep = {"in": [deep]}
    store.messages.extend(session_id, [deep, {"role": "user"}])
    (found, other) = store.messages.read(session_id)
    assert other == {"role": "user"}
    while deep:
        assert len(found) == len(deep)
        deep, found = (value["in"] if isinstance(value, dict) else value[0] for value in (deep, found))
    assert found == []


def test_values_that_are_no_json_name_their_place(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["kept"])
    before = store.sessions.get(session_id)
    circle: list[Any] = []
    circle.append(circle)
    for bad, place in [*NOT_JSON, (circle, "[0]")]:
        for write in (
            lambda: store.messages.extend(session_id, ["fine", bad, "fine"]),  # noqa: B023 - called at once
            lambda: store.messages.replace(session_id, ["fine", bad], expected_revision=before.revision),  # noqa: B023
        ):
            with pytest.raises(InvalidPayloadError) as refused:
                write()
            assert refused.value.place == f"message 1{place}"
            assert f"message 1{place} " in str(refused.value)
        with pytest.raises(InvalidPayloadError) as refused:
            store.messages.append(session_id, bad)
        assert refused.value.place == f"message{place}"
        with pytest.raises(InvalidPayloadError):
            store.messages.update(session_id, 0, bad, expected_revision=before.revision)
    assert store.sessions.get(session_id) == before
    assert store.messages.read(session_id) == ["kept"]
    assert len(message_rows(store)) == 1


def test_an_iterator_that_breaks_appends_nothing(store: Store, session_id: str) -> None:
    def stream() -> Any:
        yield "one"
        raise OSError("the line went dead")

    before = store.sessions.get(session_id)
    with pytest.raises(OSError, match="went dead"):
        store.messages.extend(session_id, stream())
    assert store.sessions.get(session_id) == before
    assert message_rows(store) == []


@pytest.mark.parametrize("verb", ["append", "extend", "read", "count", "tail", "page", "replace", "update", "truncate"])
def test_messages_of_nobody_are_not_found(store: Store, verb: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "append": {"message": None},
        "extend": {"messages": []},
        "replace": {"messages": [], "expected_revision": 1},
        "update": {"position": 0, "message": 1, "expected_revision": 1},
        "truncate": {"keep": 0, "expected_revision": 1},
    }
    with pytest.raises(SessionNotFoundError):
        getattr(store.messages, verb)("nobody", **arguments.get(verb, {}))


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────


def test_pages_lead_through_all_messages_in_both_directions(store: Store, session_id: str) -> None:
    for count in range(8):
        revision = store.sessions.get(session_id).revision
        for limit in (1, 2, 3, 7, 1000):
            page = store.messages.tail(session_id, limit=limit)
            backwards = [page]
            while page.previous is not None:
                page = store.messages.page(session_id, before=page.previous, limit=limit)
                backwards.insert(0, page)
            page = store.messages.page(session_id, limit=limit)
            forwards = [page]
            while page.next is not None:
                page = store.messages.page(session_id, after=page.next, limit=limit)
                forwards.append(page)
            for pages in (backwards, forwards):
                assert [item for page in pages for item in page.items] == list(range(count))
                assert pages[0].previous is None
                assert pages[-1].next is None
                assert len(pages) == max(1, -(-count // limit))
                for page in pages:
                    assert page.items == list(range(count))[page.first_position :][: len(page.items)]
                    assert (page.message_count, page.revision) == (count, revision)
        store.messages.append(session_id, count)


def test_a_page_and_its_neighbours_fit_together(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, list(range(10)))
    middle = store.messages.page(session_id, before=store.messages.tail(session_id, limit=3).previous, limit=3)
    assert (middle.items, middle.first_position) == ([4, 5, 6], 4)
    assert store.messages.page(session_id, after=middle.next, limit=3).items == [7, 8, 9]
    assert store.messages.page(session_id, before=middle.previous, limit=3).items == [1, 2, 3]


def test_a_cursor_holds_while_messages_come_and_go(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, list(range(6)))
    last = store.messages.tail(session_id, limit=2)
    first = store.messages.page(session_id, limit=4)
    store.messages.extend(session_id, ["new"])
    assert store.messages.page(session_id, before=last.previous, limit=2).items == [2, 3]
    assert store.messages.page(session_id, after=first.next).items == [4, 5, "new"]
    store.messages.truncate(session_id, keep=1, expected_revision=last.revision + 1)
    empty = store.messages.page(session_id, after=first.next)
    assert (empty.items, empty.first_position, empty.next) == ([], 1, None)
    assert store.messages.page(session_id, before=last.previous).items == [0]


def test_one_direction_at_a_time(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [1, 2, 3])
    page = store.messages.page(session_id, after=store.messages.page(session_id, limit=1).next, limit=1)
    with pytest.raises(InvalidInputError, match="not both"):
        store.messages.page(session_id, before=page.previous, after=page.next)


@pytest.mark.parametrize("position", [-1, -(2**70), True])
@pytest.mark.parametrize("direction", ["before", "after"])
def test_a_cursor_at_an_impossible_position_is_refused(sqlite_store: Store, direction: str, position: int) -> None:
    session_id = sqlite_store.sessions.create().session_id
    sqlite_store.messages.extend(session_id, [1, 2, 3])
    arguments: dict[str, Any] = {direction: write_cursor("messages", position)}
    with pytest.raises(InvalidCursorError):
        sqlite_store.messages.page(session_id, **arguments)


# ── what is known about a message ─────────────────────────────────────────────────────────────────

NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("message", "timestamp"),
    [
        ({"timestamp": NOON}, NOON),
        ({"timestamp": 1_700_000_000}, NOON),
        ({"_ts": NOON}, NOON),
        ({"timestamp": "2023-11-14T22:13:20Z"}, NOON),
        ({"timestamp": "2023-11-14T23:13:20+01:00"}, NOON),
        ({"timestamp": "2023-11-14 22:13:20"}, NOON),
        ({"timestamp": None, "_ts": NOON}, NOON),
        ({"timestamp": "soon", "_ts": NOON}, NOON),
        ({"timestamp": NOON, "_ts": 5.0}, NOON),
        ({"timestamp": NOON * 1000}, NOON),
        ({"timestamp": 10**400}, None),
        ({"timestamp": 0}, None),
        ({"timestamp": -1.0}, None),
        ({"timestamp": True}, None),
        ({"timestamp": float("nan")}, None),
        ({"timestamp": float("inf")}, None),
        ({"timestamp": [NOON]}, None),
        ({"timestamp": "half \ud83d"}, None),
        ({"timestamp": "0001-01-01T00:00:00+23:59"}, None),
        ({"content": "no time"}, None),
        ([NOON], None),
        (NOON, None),
    ],
    ids=str,
)
def test_a_sane_time_is_found_and_no_other(sqlite_store: Store, message: Any, timestamp: float | None) -> None:
    made = sqlite_store.sessions.create(title="Trip")
    sqlite_store.messages.extend(made.session_id, [message])
    assert sqlite_store.sessions.get(made.session_id).last_message_at == timestamp
    assert message_rows(sqlite_store)[0][3] == timestamp


def test_a_role_is_found_where_it_is_one(store: Store, session_id: str) -> None:
    expected = {
        "user": "user",
        "half \ud83d": "half \ud83d",
        "nul\x00": "nul\x00",
        "x" * 64: "x" * 64,
        "x" * 65: None,
        "": "",
    }
    others = [None, 5, ["user"], {"name": "user"}, True]
    messages = [*({"role": role} for role in (*expected, *others)), "user", ["role"]]
    store.messages.extend(session_id, messages)
    assert [row[2] for row in message_rows(store)] == [*expected.values(), *[None] * (len(others) + 2)]
    assert store.messages.read(session_id) == messages


@settings(max_examples=15)
@given(
    role=small_json_values,
    timestamp=small_json_values | st.text(max_size=20) | st.datetimes().map(str),
    ts=small_json_values,
)
def test_messages_with_any_role_or_time_are_kept(sqlite_store: Store, role: Any, timestamp: Any, ts: Any) -> None:
    message = {"role": role, "timestamp": timestamp, "_ts": ts}
    session_id = sqlite_store.sessions.create().session_id
    sqlite_store.messages.append(session_id, message)
    assert text_of(sqlite_store.messages.read(session_id)) == text_of([message])


def test_last_message_at_follows_the_last_timed_message(store: Store, session_id: str) -> None:
    def last() -> float | None:
        return store.sessions.get(session_id).last_message_at

    revision = store.messages.extend(session_id, [{"timestamp": 9.0}, {"timestamp": 5.0}, "no time"]).revision
    assert last() == 5.0  # the order is the transcript's, not the clock's
    revision = store.messages.append(session_id, "no time").revision
    assert last() == 5.0
    revision = store.messages.truncate(session_id, keep=1, expected_revision=revision).revision
    assert last() == 9.0
    revision = store.messages.update(session_id, 0, {"timestamp": 7.0}, expected_revision=revision).revision
    assert last() == 7.0
    revision = store.messages.replace(session_id, [{"_ts": 8.0}], expected_revision=revision).revision
    assert last() == 8.0
    store.messages.replace(session_id, [], expected_revision=revision)
    assert last() is None


# ── update and truncate ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def abc(store: Store, session_id: str) -> SessionRecord:
    """A session with the messages a, b, c."""
    store.messages.extend(session_id, ["a", "b", "c"])
    return store.sessions.get(session_id)


def test_an_update_replaces_one_message_in_its_place(store: Store, abc: SessionRecord) -> None:
    before = message_rows(store)
    result = store.messages.update(abc.session_id, 1, {"role": "user"}, expected_revision=abc.revision)
    assert result == WriteResult(changed=True, revision=abc.revision + 1)
    assert store.sessions.get(abc.session_id).revision == result.revision
    assert store.messages.read(abc.session_id) == ["a", {"role": "user"}, "c"]
    assert message_rows(store) == [before[0], (*before[1][:2], "user", None), before[2]]
    unchanged = store.messages.update(abc.session_id, 0, "a", expected_revision=result.revision)
    assert unchanged == WriteResult(changed=False, revision=result.revision)
    with pytest.raises(StaleSessionError):
        store.messages.update(abc.session_id, 1, "x", expected_revision=abc.revision)
    assert store.messages.read(abc.session_id)[1] == {"role": "user"}


@pytest.mark.parametrize("position", [3, -1, 2**70, -(2**70)])
def test_an_update_beyond_the_messages_finds_none(store: Store, abc: SessionRecord, position: int) -> None:
    with pytest.raises(MessageNotFoundError) as refused:
        store.messages.update(abc.session_id, position, "x", expected_revision=abc.revision)
    assert (refused.value.session_id, refused.value.position) == (abc.session_id, position)
    assert store.sessions.get(abc.session_id) == abc


@pytest.mark.parametrize("position", [True, 1.0, "1", None])
def test_a_position_is_a_whole_number(store: Store, abc: SessionRecord, position: Any) -> None:
    with pytest.raises((InvalidInputError, MessageNotFoundError)):
        store.messages.update(abc.session_id, position, "x", expected_revision=abc.revision)
    assert store.messages.read(abc.session_id) == ["a", "b", "c"]


def test_a_truncated_transcript_keeps_its_beginning(store: Store, abc: SessionRecord) -> None:
    before = message_rows(store)
    nothing = store.messages.truncate(abc.session_id, keep=3, expected_revision=abc.revision)
    assert nothing == TruncateResult(removed=0, message_count=3, revision=abc.revision)
    result = store.messages.truncate(abc.session_id, keep=2, expected_revision=abc.revision)
    assert result == TruncateResult(removed=1, message_count=2, revision=abc.revision + 1)
    assert store.messages.read(abc.session_id) == ["a", "b"]
    assert message_rows(store) == before[:2]
    after = store.sessions.get(abc.session_id)
    assert (after.message_count, after.revision) == (2, result.revision)
    with pytest.raises(StaleSessionError):
        store.messages.truncate(abc.session_id, keep=0, expected_revision=abc.revision)
    store.messages.truncate(abc.session_id, keep=0, expected_revision=result.revision)
    assert message_rows(store) == []
    store.messages.append(abc.session_id, "new")
    assert message_rows(store)[0][0] > before[-1][0]  # ids are never used twice


@pytest.mark.parametrize("keep", [-1, 4, 2**70, True, 1.0, "1", None])
def test_truncating_with_an_invalid_keep_removes_nothing(store: Store, abc: SessionRecord, keep: Any) -> None:
    with pytest.raises(InvalidInputError, match="Nothing was removed"):
        store.messages.truncate(abc.session_id, keep=keep, expected_revision=abc.revision)
    assert store.messages.read(abc.session_id) == ["a", "b", "c"]
    assert store.sessions.get(abc.session_id) == abc


def test_pages_of_an_empty_session_are_empty(store: Store, session_id: str) -> None:
    empty = MessagePage(items=[], first_position=0, previous=None, next=None, message_count=0, revision=1)
    assert store.messages.tail(session_id) == store.messages.page(session_id) == empty
