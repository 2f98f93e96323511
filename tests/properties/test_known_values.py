"""What did not change is found without encoding it, and nothing that changed is taken for unchanged."""

from __future__ import annotations

import copy
import math
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import InvalidPayloadError
from hermes_store.transcripts import encoding, json_codec
from hermes_store.transcripts.known_values import EncodedMessages, KnownMessages, copies_of, copy_of, is_unchanged
from tests.support.json_values import json_values, scalars

messages = st.lists(
    st.one_of(json_values, st.dictionaries(st.sampled_from(["role", "content", "parts"]), json_values)), max_size=8
)
#: Values that are equal, or are written in the same way, and are not the same.
ALIKE = [
    (True, 1),
    (1, 1.0),
    (0.0, -0.0),
    (False, 0),
    (0, -0.0),
    (None, False),
    ("", []),
    ([], {}),
    ([1, 2], [2, 1]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": None}, {}),
    (2**64, float(2**64)),
    ("\ud83d", "\ude00"),
    (math.nan, math.inf),
]


def holders(value: Any) -> list[Any]:
    """Return all lists and dicts in a value."""
    found = [value] if isinstance(value, list | dict) else []
    for holder in found:
        children = holder.values() if isinstance(holder, dict) else holder
        found += [child for child in children if isinstance(child, list | dict)]
    return found


def change(data: st.DataObject, values: list[Any]) -> None:
    """Change something somewhere in some values, in place."""
    holder = data.draw(st.sampled_from(holders(values)))
    alike = st.sampled_from([value for pair in ALIKE for value in pair]).map(copy.deepcopy)  # it is changed in place
    new = data.draw(st.one_of(scalars, json_values, alike))
    if isinstance(holder, list):
        how = data.draw(st.sampled_from(["append", "replace", "remove", "swap"]))
        if how == "append" or not holder:
            holder.append(new)
        elif how == "replace":
            holder[data.draw(st.integers(0, len(holder) - 1))] = new
        elif how == "remove":
            del holder[data.draw(st.integers(0, len(holder) - 1))]
        else:
            holder.reverse()
    elif holder and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(holder)))
        value = holder.pop(key)
        if data.draw(st.booleans()):
            holder[key] = value  # at the end now
    else:
        holder[data.draw(st.sampled_from([*holder, "role", "new"]))] = new


@given(messages, st.data())
def test_digests_are_those_of_all_messages_encoded(values: list[Any], data: st.DataObject) -> None:
    after = EncodedMessages(values)
    for _ in range(data.draw(st.integers(1, 4))):  # the contents of the very same messages are known from the third on
        for _ in range(data.draw(st.integers(0, 2))):
            change(data, values)
        after = EncodedMessages(values, after.known)
        assert list(after) == encoding.encode(values)
        assert after.digests == [message.digest for message in after]
        assert after[1:] == list(after)[1:]


@given(json_values)
def test_a_value_that_nobody_changed_is_unchanged(value: Any) -> None:
    copied = copy_of(value)
    assert json_codec.encode(copied) == json_codec.encode(value)
    if value is not None:
        assert is_unchanged(copied, value)
    assert not any(mine is theirs for mine in holders(copied) for theirs in holders(value))


@given(messages)
def test_copies_made_together_are_those_of_each(values: list[Any]) -> None:
    copies = copies_of(values)
    assert list(map(json_codec.encode, copies)) == list(map(json_codec.encode, values))
    assert all(map(is_unchanged, copies, values))
    assert not any(mine is theirs for mine in holders(copies) for theirs in holders(values))


def test_a_deep_value_leaves_the_copies_of_others() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    other = {"parts": [{"text": "a"}]}
    none, copied = copies_of([deep, other])
    assert none is None
    other["parts"].append({})
    assert copied == {"parts": [{"text": "a"}]}


@given(messages, st.data())
def test_what_is_known_of_read_messages_is_true(values: list[Any], data: st.DataObject) -> None:
    before = encoding.encode(values)
    known = KnownMessages.of(values, [message.digest for message in before])
    change(data, values)
    assert list(EncodedMessages(values, known)) == encoding.encode(values)


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *((other, one) for one, other in ALIKE)])
def test_values_that_are_alike_are_told_apart(one: Any, other: Any) -> None:
    for wrap in (lambda value: value, lambda value: [value], lambda value: {"a": [{"b": value}]}):
        assert not is_unchanged(copy_of(wrap(one)), wrap(other))


class Text(str):
    __slots__ = ()


class Odd(dict[str, Any]):
    pass


@pytest.mark.parametrize("value", [(), Text("a"), Odd(), {1: 2}, {"a": [{"b": {1, 2}}]}, {"a": b""}, [Odd()], object()])
def test_what_is_no_plain_json_is_not_copied(value: Any) -> None:
    assert copy_of(value) is None
    assert not is_unchanged(copy_of({"a": 1}), value)


def test_cyclic_or_deep_values_are_not_copied() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    many: list[Any] = []
    for _ in range(90):
        many = [many, many]
    assert [copy_of(value) for value in (circle, deep, many)] == [None] * 3
    with pytest.raises(InvalidPayloadError, match="message 1"):
        EncodedMessages([{}, circle])


def test_a_deep_message_is_encoded_each_time() -> None:
    deep: list[Any] = ["a"]
    for _ in range(2_000):
        deep = [deep]
    before = EncodedMessages([deep])
    after = EncodedMessages([deep], before.known)
    assert after.digests == before.digests
    assert list(after) == list(before)


def test_a_change_that_is_not_json_is_refused() -> None:
    value = [{"a": [1]}]
    before = EncodedMessages(value)
    value[0]["a"] = {1}  # type: ignore[assignment]
    with pytest.raises(InvalidPayloadError, match=r"message 0\.a"):
        EncodedMessages(value, before.known)


def test_what_changes_meanwhile_is_one_state() -> None:
    """What is written is what is known, whatever a thread does to the message."""
    message: dict[str, Any] = {"parts": [{"text": "a"}]}
    known = EncodedMessages([message]).known
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            message["parts"] = [{"text": "b" * (number % 7)}] * (number % 3)
            message[f"key {number % 50}"] = number
            message.pop(f"key {(number + 25) % 50}", None)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            encoded = EncodedMessages([message], known)
            known = encoded.known
            assert encoding.encode_one(copy.deepcopy(known.copies[0])) == encoded[0]
            assert known.digests[0] == encoded.digests[0]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("changed", [0, 255, 256, 299])
def test_a_change_is_found_among_many_messages(changed: int) -> None:
    values: list[Any] = [{"role": "user", "parts": [{"n": number}]} for number in range(300)]
    before = EncodedMessages(values)
    values[changed]["parts"][0]["n"] = -1
    after = EncodedMessages([*values, "one more"], before.known)
    differ = [index for index, (old, new) in enumerate(zip(before.digests, after.digests, strict=False)) if old != new]
    assert differ == [changed]
    assert list(after) == encoding.encode([*values, "one more"])


@pytest.mark.parametrize("changed", [0, 255, 256, 299, 300, 301])
def test_a_change_is_found_after_several_appends(changed: int) -> None:
    values: list[Any] = [{"role": "user", "parts": [{"n": number}]} for number in range(300)]
    encoded = EncodedMessages(values)
    for number in range(4):
        values.append({"parts": [number]} if number else {"role": "user", "parts": [{"n": 300}]})
        encoded = EncodedMessages(values, encoded.known)
    parts = values[changed]["parts"]
    parts[0] = {"n": -1}  # another dict, in which then another number is
    encoded = EncodedMessages(values, encoded.known)
    assert encoded.digests == [one.digest for one in encoding.encode(values)]
    for number in range(3):
        parts[0]["n"] = number
        encoded = EncodedMessages(values, encoded.known)
        assert encoded.digests == [one.digest for one in encoding.encode(values)]


def test_equal_messages_in_other_objects_are_unchanged() -> None:
    values: list[Any] = [{"role": "user", "parts": [{"n": number}]} for number in range(300)]
    encoded = EncodedMessages(values)
    for _ in range(3):
        values = copy.deepcopy(values)
        encoded = EncodedMessages(values, encoded.known)
    values[7]["parts"][0]["n"] = -1
    encoded = EncodedMessages(values, encoded.known)
    assert encoded.digests == [one.digest for one in encoding.encode(values)]
