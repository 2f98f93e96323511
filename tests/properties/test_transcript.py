"""The way from one transcript to another: it arrives, it is short, and finding it is quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.transcripts.diff import Changes, compare
from hermes_store.transcripts.encoding import parse_time
from tests.support.examples import examples
from tests.support.json_values import json_values

#: Few different messages, so that many are equal; and many, so that few are.
few = st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12)
many = st.lists(st.integers(0, 30).map(lambda number: b"%d" % number), max_size=20)
transcripts = st.one_of(few, many)
#: Comparing takes microseconds, and the rare transcripts are the telling ones.
thorough = settings(max_examples=examples(100))


def _apply(changes: Changes, old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """Do what the changes say, taking from `new` only what they say is to be written."""
    rows: dict[int, Any] = {}
    for from_old, to_new in changes.surviving:
        assert to_new not in rows
        rows[to_new] = old[from_old]
    for position in changes.updated:
        assert position in rows
        rows[position] = new[position]
    for position in changes.inserted:
        assert position not in rows
        rows[position] = new[position]
    return [rows[position] for position in range(len(rows))]


@given(transcripts, transcripts)
def test_changes_turn_the_old_transcript_into_the_new(old: list[bytes], new: list[bytes]) -> None:
    assert _apply(compare(old, new), old, new) == new


@given(transcripts, transcripts)
def test_every_row_is_used_exactly_once(old: list[bytes], new: list[bytes]) -> None:
    changes = compare(old, new)
    survivors = [position for position, _ in changes.surviving]
    assert sorted([*changes.removed, *survivors]) == list(range(len(old)))
    assert sorted([*changes.inserted, *(position for _, position in changes.surviving)]) == list(range(len(new)))
    assert changes.surviving == sorted(changes.surviving), "what survives keeps its order"


@given(transcripts, transcripts)
def test_moves_shift_surviving_rows_to_their_new_positions(old: list[bytes], new: list[bytes]) -> None:
    changes = compare(old, new)
    moves = list(changes.moves())
    assert all(first <= last and distance for first, last, distance in moves)
    for from_old, to_new in changes.surviving:
        distances = [distance for first, last, distance in moves if first <= from_old <= last]
        assert distances == ([to_new - from_old] if to_new != from_old else [])


@thorough
@given(transcripts, transcripts)
def test_exactly_the_equal_messages_are_kept(old: list[bytes], new: list[bytes]) -> None:
    """A message is not written over by itself, and one that differs is not left as it was."""
    changes = compare(old, new)
    updated = set(changes.updated)
    assert {to_new for from_old, to_new in changes.surviving if old[from_old] != new[to_new]} == updated


@thorough
@given(transcripts, st.sets(st.integers(0, 19)))
def test_scattered_edits_write_only_the_edited_messages(old: list[bytes], edited: set[int]) -> None:
    places = sorted(place for place in edited if place < len(old))
    new = [b"edited %d" % index if index in edited else message for index, message in enumerate(old)]
    assert compare(old, new) == Changes([], [(index, index) for index in range(len(old))], places, [])


@thorough
@given(transcripts, transcripts)
def test_comparing_by_position_never_writes_fewer_messages(old: list[bytes], new: list[bytes]) -> None:
    changes = compare(old, new)
    differing = sum(one != other for one, other in zip(old, new, strict=False))
    assert len(changes.updated) + len(changes.inserted) <= differing + max(0, len(new) - len(old))


@given(many, st.integers(0, 20), many)
def test_a_change_in_the_middle_writes_only_itself(old: list[bytes], place: int, between: list[bytes]) -> None:
    between = [b"new " + message for message in between]
    longer = [*old[:place], *between, *old[place:]]
    put_in, taken_out = compare(old, longer), compare(longer, old)
    assert (put_in.updated, len(put_in.inserted), put_in.removed) == ([], len(between), [])
    assert (taken_out.updated, taken_out.inserted, len(taken_out.removed)) == ([], [], len(between))


@given(few, few)
def test_transcripts_without_common_messages_are_overwritten(old: list[bytes], new: list[bytes]) -> None:
    new = [b"other " + message for message in new]
    changes = compare(old, new)
    assert len(changes.updated) == min(len(old), len(new))
    assert len(changes.inserted) == max(0, len(new) - len(old))


class CountedDigest(bytes):
    """A digest that counts how often it is hashed or compared."""

    operations = 0

    def __eq__(self, other: object) -> bool:
        CountedDigest.operations += 1
        return bytes.__eq__(self, other)

    def __hash__(self) -> int:
        CountedDigest.operations += 1
        return bytes.__hash__(self)


SIZE = 20_000
SAME = [b"same"] * SIZE
COUNTED = [b"%d" % number for number in range(SIZE)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(SAME, SAME, id="identical"),
        pytest.param([b"a", *SAME, b"b"], [b"c", *SAME, b"d"], id="identical between different ends"),
        pytest.param([b"a", *SAME, b"b"], [b"c", *SAME[: SIZE // 2], b"d"], id="half as many"),
        pytest.param([b"a", *SAME, b"b"], [b"c", *[b"same", b"x"] * SIZE, b"d"], id="others in between"),
        pytest.param(COUNTED, COUNTED[::-1], id="reversed"),
        pytest.param(COUNTED, [*COUNTED[SIZE // 2 :], *COUNTED[: SIZE // 2]], id="halves swapped"),
    ],
)
def test_large_transcripts_are_compared_in_linearly_many_steps(old: list[bytes], new: list[bytes]) -> None:
    ours, theirs = [CountedDigest(digest) for digest in old], [CountedDigest(digest) for digest in new]
    CountedDigest.operations = 0
    changes = compare(ours, theirs)
    assert CountedDigest.operations <= 10 * (len(old) + len(new))
    assert _apply(changes, old, new) == new


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000.25, 1_700_000_000.25),
        (1, 1.0),
        ("2024-01-02T03:04:05Z", 1_704_164_645.0),
        ("2024-01-02T03:04:05.5+02:00", 1_704_157_445.5),
        ("2024-01-02T03:04:05", 1_704_164_645.0),
        ("2024-01-02 03:04:05", 1_704_164_645.0),
        ("2024-01-02", 1_704_153_600.0),
        (0, None),
        (-5, None),
        (1_700_000_000_000, 1_700_000_000.0),
        (10**400, None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        ("", None),
        ("yesterday", None),
        ("2024-13-40", None),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2024-01-02 03:04:05\ud83d", None),
        ("\ud83d", None),
        (["2024-01-02"], None),
        ({"$date": 1}, None),
    ],
)
def test_a_sane_time_is_parsed_and_others_ignored(value: Any, seconds: float | None) -> None:
    assert parse_time(value) == seconds


@given(st.one_of(json_values, st.datetimes().map(str), st.datetimes(timezones=st.timezones()).map(str)))
def test_a_message_time_is_valid_or_none(value: Any) -> None:
    seconds = parse_time(value)
    assert seconds is None or (type(seconds) is float and 0 < seconds <= 4102444800)


@given(old=transcripts, new=transcripts)
def test_a_store_writes_what_the_comparison_says(store: Store, old: list[bytes], new: list[bytes]) -> None:
    before, after = ([message.decode() for message in messages] for messages in (old, new))
    session_id = store.sessions.create().session_id
    revision = store.messages.extend(session_id, before).revision
    result = store.messages.replace(session_id, after, expected_revision=revision)
    changes = compare(old, new)
    assert (result.updated, result.inserted, result.removed) == tuple(
        map(len, (changes.updated, changes.inserted, changes.removed))
    )
    assert store.messages.read(session_id) == after
    assert store.messages.tail(session_id, limit=100).items == after, "positions are dense"
