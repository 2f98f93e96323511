"""Three versions of a transcript made one: what must hold for all of them, and examples."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store.transcripts.merge import Conflict, merge

Version = list[bytes]


def version(text: str) -> Version:
    return [letter.encode() for letter in text]


def merged(base: Version, local: Version, remote: Version) -> Version:
    """Return the merged messages, each fetched from where the merge says that it is."""
    sides = {"local": local, "remote": remote}
    return [sides[source.side][source.position] for source in merge(base, local, remote).sources]


def conflicts(base: Version, local: Version, remote: Version) -> list[Conflict]:
    return merge(base, local, remote).conflicts


EXAMPLES = [
    # base, local, remote, the merged transcript
    ("", "", "", ""),
    ("abc", "abc", "abc", "abc"),
    ("abc", "abx", "abc", "abx"),
    ("abc", "abc", "abx", "abx"),
    ("abc", "abx", "abx", "abx"),
    ("abc", "", "abc", ""),
    ("abc", "abc", "", ""),
    # Appends: the stored ones first.
    ("", "x", "y", "yx"),
    ("abc", "abcx", "abcy", "abcyx"),
    ("abc", "abcxy", "abcz", "abczxy"),
    ("abc", "abcx", "abcx", "abcx"),
    # An edit, a removal, an insertion in one place, something else in another.
    ("abc", "xbc", "abcy", "xbcy"),
    ("abc", "abx", "abcy", "abxy"),
    ("abc", "abcy", "abx", "abxy"),
    ("abc", "bc", "abcy", "bcy"),
    ("abc", "ac", "abcy", "acy"),
    ("abc", "xbc", "aby", "xby"),
    ("abc", "xabc", "abcy", "xabcy"),
    ("abc", "axbc", "abyc", "axbyc"),
    ("abc", "xabc", "ab", "xab"),
    ("abc", "bc", "ab", "b"),
    ("abc", "xabc", "bc", "xbc"),
    # Both did the same in one place, and something of their own in another.
    ("abc", "xbcy", "xbc", "xbcy"),
    ("abc", "bcy", "bcz", "bczy"),
    ("abc", "axbc", "axbcy", "axbcy"),
    # Messages that say the same, more than once.
    ("aa", "aaa", "aa", "aaa"),
    ("aa", "aaa", "aab", "aaba"),
    ("aba", "abaa", "xba", "xbaa"),
    # What one appended after messages that the other removed.
    ("abc", "a", "abcx", "ax"),
    ("abc", "abcx", "a", "ax"),
    ("abc", "", "abcx", "x"),
    ("abc", "abcx", "", "x"),
    ("abc", "abcx", "ab", "abx"),
    ("abc", "axbc", "bc", "xbc"),
    # What one edited and the other removed.
    ("abc", "ab", "abx", "abx"),
    ("abc", "abx", "ab", "abx"),
    ("abc", "ac", "axc", "axc"),
    ("abc", "", "abx", "x"),
    # Insertions at one place.
    ("abc", "axbc", "aybc", "ayxbc"),
    ("abc", "xabc", "yabc", "yxabc"),
    ("abc", "axbc", "axbc", "axbc"),
    # Messages that took the place of others.
    ("abcd", "abxy", "abcde", "abxye"),
    ("abcd", "abx", "abcde", "abxe"),
    # A conflict, at which the remote version stays, and what else both did.
    ("abc", "abx", "aby", "aby"),
    ("abc", "xbcd", "yb", "ybd"),
]


@pytest.mark.parametrize(("base", "local", "remote", "expected"), EXAMPLES)
def test_these_are_merged_so(base: str, local: str, remote: str, expected: str) -> None:
    assert merged(version(base), version(local), version(remote)) == version(expected)


def test_a_conflict_says_where_the_message_is() -> None:
    assert conflicts(version("abc"), version("abx"), version("zaby")) == [Conflict(2, 2, 3)]


def test_the_places_of_both_versions_are_known() -> None:
    outcome = merge(version("abc"), version("axcl"), version("rabcs"))
    assert merged(version("abc"), version("axcl"), version("rabcs")) == version("raxcsl")
    assert outcome.positions("local") == {0: 1, 1: 2, 2: 3, 3: 5}
    assert outcome.positions("remote") == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


# ── Any messages, many of them equal ──

versions = st.text("abc", max_size=8).map(version)


@given(versions, versions)
def test_what_one_side_alone_changed_is_the_result(base: Version, changed: Version) -> None:
    assert merged(base, changed, base) == merged(base, base, changed) == merged(base, changed, changed) == changed


@given(versions, versions, versions)
def test_appends_of_both_survive_the_stored_first(base: Version, local: Version, remote: Version) -> None:
    expected = base + remote + (local if local != remote else [])
    assert merged(base, base + local, base + remote) == expected


@given(versions, versions, versions)
def test_swapping_the_sides_finds_the_same_conflicts(base: Version, local: Version, remote: Version) -> None:
    turned = [Conflict(one.base, one.remote, one.local) for one in conflicts(base, remote, local)]
    assert conflicts(base, local, remote) == turned


@given(versions, versions, versions, versions)
def test_what_all_three_begin_with_changes_nothing(
    prefix: Version, base: Version, local: Version, remote: Version
) -> None:
    assert merged(prefix + base, prefix + local, prefix + remote) == prefix + merged(base, local, remote)


@given(versions, versions, versions)
def test_a_merge_takes_each_side_in_order_once(base: Version, local: Version, remote: Version) -> None:
    sources = merge(base, local, remote).sources
    for side in ("local", "remote"):
        positions = [source.position for source in sources if source.side == side]
        assert positions == sorted(set(positions))


@given(versions, versions, versions)
def test_merging_a_merged_transcript_again_changes_nothing(base: Version, local: Version, remote: Version) -> None:
    """What was merged and saved can be saved again, on top of either side."""
    outcome = merged(base, local, remote)
    assert merged(remote, outcome, remote) == merged(remote, outcome, outcome) == outcome


# ── Messages that differ, so that it is known which is which ──


class Edited(NamedTuple):
    """A version of a transcript, and what became of the base in it."""

    messages: Version
    touched: set[bytes]
    removed: set[bytes]
    new: list[bytes]


@st.composite
def edits(draw: st.DrawFn, base: Version, name: str) -> Edited:
    """Remove, replace and insert messages, new ones being called by the side's name."""
    messages: Version = []
    removed: set[bytes] = set()
    new: list[bytes] = []

    def fresh() -> bytes:
        new.append(f"{name}{len(new)}".encode())
        return new[-1]

    for message in base:
        fate = draw(st.sampled_from(["keep", "keep", "keep", "remove", "replace", "insert"]))
        if fate == "insert":
            messages.append(fresh())
        if fate in {"keep", "insert"}:
            messages.append(message)
        else:
            removed.add(message)
            if fate == "replace":
                messages.append(fresh())
    messages += [fresh() for _ in range(draw(st.integers(0, 2)))]
    return Edited(messages, removed | set(new), removed, new)


@st.composite
def triples(draw: st.DrawFn) -> tuple[Version, Edited, Edited]:
    base = [f"base{number}".encode() for number in range(draw(st.integers(0, 7)))]
    return base, draw(edits(base, "local")), draw(edits(base, "remote"))


@given(triples())
def test_a_merge_loses_nothing_and_adds_nothing(
    triple: tuple[Version, Edited, Edited],
) -> None:
    base, local, remote = triple
    outcome = merged(base, local.messages, remote.messages)
    kept = [message for message in base if message not in local.removed | remote.removed]
    lost = {local.messages[one.local] for one in conflicts(base, local.messages, remote.messages)}
    assert sorted(outcome) == sorted([*kept, *(set(local.new) - lost), *remote.new])
    assert not lost or (local.touched and remote.touched)
    for side in (local, remote):  # and each side's own stands in its order, with what it kept
        assert [message for message in outcome if message in side.messages] == [
            message for message in side.messages if message in outcome
        ]


@given(triples())
def test_swapping_the_sides_changes_only_the_message_order(triple: tuple[Version, Edited, Edited]) -> None:
    base, local, remote = triple
    one, other = (
        merged(base, local.messages, remote.messages),
        merged(base, remote.messages, local.messages),
    )
    if not conflicts(base, local.messages, remote.messages):
        assert sorted(one) == sorted(other)
    for outcome in (one, other):
        for version in (base, local.messages, remote.messages):
            assert [m for m in outcome if m in version] == [m for m in version if m in outcome]


@given(st.integers(2, 8), st.data())
def test_edits_of_different_messages_are_both_kept(length: int, data: Any) -> None:
    base = [f"base{number}".encode() for number in range(length)]
    places = data.draw(st.sets(st.integers(0, length - 1), min_size=1))
    local = [b"local" + m if place in places else m for place, m in enumerate(base)]
    remote = [m if place in places else b"remote" + m for place, m in enumerate(base)]
    assert merged(base, local, remote) == [
        local[place] if place in places else remote[place] for place in range(length)
    ]


@given(st.integers(1, 8), st.data())
def test_two_different_edits_of_a_message_conflict(length: int, data: Any) -> None:
    base = [f"base{number}".encode() for number in range(length)]
    place = data.draw(st.integers(0, length - 1))
    local, remote = list(base), list(base)
    local[place], remote[place] = b"local", b"remote"
    assert conflicts(base, local, remote) == [Conflict(place, place, place)]
    assert merged(base, local, remote) == remote


@given(st.integers(1, 8), st.data())
def test_appends_to_removed_messages_are_kept(length: int, data: Any) -> None:
    base = [f"base{number}".encode() for number in range(length)]
    kept = base[: data.draw(st.integers(0, length - 1))]
    for local, remote in ((kept, [*base, b"new"]), ([*base, b"new"], kept)):
        assert merged(base, local, remote) == [*kept, b"new"]
        assert not conflicts(base, local, remote)
