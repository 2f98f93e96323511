"""Cursors: what a listing wrote is read back exactly, and anything else is refused as no cursor."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hermes_store import InvalidCursorError, InvalidInputError, MessagePage, Page, Store
from hermes_store.pagination import MAX_KEY, MAX_LIMIT, check_limit, read_cursor, write_cursor
from hermes_store.transcripts import json_codec
from tests.support.json_values import any_text, json_text, json_values, same

integers = st.integers(min_value=1 - MAX_KEY, max_value=MAX_KEY - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
keys = st.lists(st.one_of(integers, floats, st.booleans(), json_text), max_size=4)


@given(kind=json_text, key=keys)
def test_reading_a_cursor_returns_its_exact_key(kind: str, key: list[Any]) -> None:
    cursor = write_cursor(kind, *key)
    assert same(list(read_cursor(kind, cursor, *map(type, key))), key)


@given(key=keys)
def test_a_cursor_needs_no_escaping_in_urls(key: list[Any]) -> None:
    assert set(write_cursor("sessions", *key)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@given(kind=json_text, other=json_text, key=keys)
def test_a_cursor_of_another_listing_is_refused(kind: str, other: str, key: list[Any]) -> None:
    assume(kind != other)
    with pytest.raises(InvalidCursorError):
        read_cursor(other, write_cursor(kind, *key), *map(type, key))


@given(key=st.lists(st.integers(), max_size=4))
def test_cursors_of_wrong_length_or_type_are_refused(key: list[int]) -> None:
    cursor = write_cursor("messages", *key)
    for types in ([int] * (len(key) + 1), [int] * (len(key) - 1), [str] * max(1, len(key))):
        if len(types) == len(key) == 0:
            continue
        with pytest.raises(InvalidCursorError):
            read_cursor("messages", cursor, *types)


def _forged(value: Any) -> str:
    return base64.urlsafe_b64encode(json_codec.encode(value)).decode().rstrip("=")


not_cursors = st.one_of(
    any_text,
    st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()),
    json_values.map(_forged),
    st.none(),
    st.integers(),
    st.binary(),
    st.lists(st.integers()),
)


@given(cursor=not_cursors)
def test_anything_else_is_refused_as_no_cursor(cursor: Any) -> None:
    with pytest.raises(InvalidCursorError):
        read_cursor("sessions", cursor, bool, float, int)


def test_a_deeply_nested_forged_cursor_is_refused() -> None:
    for text in (b"[" * 50_000, b"[" * 50_000 + b"]" * 50_000):
        with pytest.raises(InvalidCursorError):
            read_cursor("messages", base64.urlsafe_b64encode(text).decode(), int)


@given(start=st.one_of(st.integers(), st.sampled_from([-(2**70), -51, -1, 2**62, 2**63, 2**70]), st.booleans()))
def test_a_tampered_message_cursor_is_refused_or_harmless(store: Store, start: int) -> None:
    """A cursor comes back from outside, so whatever is in it must not be able to break the call."""
    session_id = store.sessions.create().session_id
    store.messages.extend(session_id, range(60))
    for side in ("before", "after"):
        try:
            page = store.messages.page(session_id, **{side: write_cursor("messages", start)}, limit=50)
        except InvalidCursorError:
            continue
        assert isinstance(page, MessagePage)
        assert page.first_position >= 0
        assert page.items == list(range(60))[page.first_position :][: len(page.items)]
        assert (page.previous is None) == (page.first_position == 0)


@given(
    pinned=st.booleans(),
    updated_at=st.floats(),
    row_id=st.one_of(st.integers(), st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 2**70])),
)
def test_a_tampered_session_cursor_is_refused_or_harmless(
    store: Store, pinned: bool, updated_at: float, row_id: int
) -> None:
    cursors = {
        store.sessions.list: write_cursor("sessions", pinned, updated_at, row_id),
        store.sessions.list_deleted: write_cursor("deleted", updated_at, row_id),
    }
    for listing, cursor in cursors.items():
        try:
            page = listing(after=cursor)
        except InvalidCursorError:
            continue
        assert isinstance(page, Page)


@pytest.mark.parametrize("limit", [1, 2, 50, MAX_LIMIT])
def test_a_limit_in_range_is_taken(limit: int) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 2**70, True, False, 1.0, "50", None, float("nan")])
def test_limits_of_wrong_size_or_type_are_refused(limit: Any) -> None:
    with pytest.raises(InvalidInputError, match="from 1 to 1000"):
        check_limit(limit)
