"""Replacing a transcript, on every backend: the difference is written, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import InvalidInputError, StaleSessionError, Store
from tests.support.tables import message_rows


def longest_common(old: list[int], new: list[int]) -> int:
    """The length of the longest common subsequence, by the book."""
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, left in enumerate(old, 1):
        for j, right in enumerate(new, 1):
            best[i][j] = best[i - 1][j - 1] + 1 if left == right else max(best[i - 1][j], best[i][j - 1])
    return best[-1][-1]


@settings(max_examples=20)
@given(old=st.permutations(range(9)), new=st.permutations(range(9)), sizes=st.tuples(*[st.integers(0, 9)] * 2))
def test_a_replace_writes_the_difference_and_no_more(
    store: Store, old: list[int], new: list[int], sizes: tuple[int, int]
) -> None:
    old, new = old[: sizes[0]], new[: sizes[1]]
    for other in store.sessions.iterate(include_empty=True):
        store.sessions.purge(other.session_id)
    session_id = store.sessions.create().session_id
    appended = store.messages.extend(session_id, old)
    ids = {message: row[0] for message, row in zip(old, message_rows(store), strict=True)}
    result = store.messages.replace(session_id, new, expected_revision=appended.revision)
    assert store.messages.read(session_id) == new
    after = message_rows(store)
    assert [row[1] for row in after] == list(range(len(new)))  # dense, from 0
    kept = [message for message, row in zip(new, after, strict=True) if ids.get(message) == row[0]]
    assert result.kept == len(kept) == longest_common(old, new)
    assert result.kept + result.updated + result.inserted == result.message_count == len(new)
    assert result.kept + result.updated + result.removed == len(old)
    assert not (result.inserted and result.removed) or result.kept  # in one gap a row is reused, not replaced
    assert result.revision == appended.revision + (old != new)
    fresh = [row[0] for row in after if row[0] not in ids.values()]
    assert len(fresh) == result.inserted
    assert all(row_id > max(ids.values(), default=0) for row_id in fresh)  # ids are never used twice
    assert store.sessions.get(session_id).message_count == len(new)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("abcd", "abcd", (4, 0, 0, 0)),
        ("abcd", "abXd", (3, 0, 1, 0)),
        ("abcd", "abcde", (4, 1, 0, 0)),
        ("abcd", "Xabcd", (4, 1, 0, 0)),
        ("abcd", "abd", (3, 0, 0, 1)),
        ("abcd", "bcdaX", (3, 2, 0, 1)),
        ("aaaa", "aa", (2, 0, 0, 2)),
        ("abcd", "", (0, 0, 0, 4)),
        ("", "ab", (0, 2, 0, 0)),
        ("ab", "xy", (0, 0, 2, 0)),
    ],
)
def test_a_replace_reports_what_it_did(sqlite_store: Store, old: str, new: str, counts: tuple[int, ...]) -> None:
    """Kept, inserted, updated and removed."""
    session_id = sqlite_store.sessions.create().session_id
    revision = sqlite_store.messages.extend(session_id, list(old)).revision
    result = sqlite_store.messages.replace(session_id, list(new), expected_revision=revision)
    assert (result.kept, result.inserted, result.updated, result.removed) == counts
    assert sqlite_store.messages.read(session_id) == list(new)


def test_a_transcript_is_edited_with_its_own_revision(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [{"n": n} for n in range(3)])
    mine, theirs = store.messages.read(session_id), store.messages.read(session_id)
    mine[1]["n"] = "mine"
    store.messages.replace(session_id, mine, expected_revision=mine.revision)
    del theirs[2]
    with pytest.raises(StaleSessionError):
        store.messages.replace(session_id, theirs, expected_revision=theirs.revision)
    assert store.messages.read(session_id) == mine


@pytest.mark.parametrize("single", [{"role": "user", "content": "hi"}, "hi", None, 5], ids=str)
def test_a_single_message_is_no_transcript(sqlite_store: Store, single: Any) -> None:
    """A mapping or a text can be iterated, and its keys or letters would take the place of the history."""
    session_id = sqlite_store.sessions.create().session_id
    revision = sqlite_store.messages.extend(session_id, ["a", "long", "history"]).revision
    with pytest.raises(InvalidInputError):
        sqlite_store.messages.replace(session_id, single, expected_revision=revision)
    assert sqlite_store.messages.read(session_id) == ["a", "long", "history"]
