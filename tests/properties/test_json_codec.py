"""What was encoded is decoded as it was: any JSON value, exactly."""

from __future__ import annotations

import collections
import datetime
import enum
import json
import random
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import InvalidPayloadError
from hermes_store.transcripts import deep_json, json_codec
from tests.support.json_values import json_values, nested, same

KINDS = ("arrays", "objects", "both")


@pytest.mark.slow
@given(json_values)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    assert same(json_codec.decode(json_codec.encode(value)), value)


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud83d"',
        r'{"\udfff": "\u0000"}',
        r'["half \ud83d", 1180591620717411303424, -0.0, 1.0, 1, true, NaN, Infinity, -Infinity]',
        r'{"": {"": []}, "constructor": {}, "b": 1, "a": 2, "\u0000": 3}',
        r'{"a": 1, "b": 2, "a": 3}',
        '"\\u2028\ufeff\\ud83d\\ude00"',
    ],
)
def test_what_the_standard_library_reads_is_kept(text: str) -> None:
    value = json.loads(text)
    assert same(json_codec.decode(json_codec.encode(value)), value)


@given(json_values)
def test_the_same_value_always_gives_the_same_bytes(value: Any) -> None:
    body = json_codec.encode(value)
    again = json_codec.encode(json_codec.decode(body))
    assert again == body
    assert json_codec.digest(again) == json_codec.digest(body)


@pytest.mark.parametrize("text", ["\ud83d\ude00", "\ud83d\ude00 \ud83d", "x\ude00\ud83d", "\ud83d\ud83d\ude00\ude00"])
def test_adjacent_surrogates_are_written_as_their_character(text: str) -> None:
    body = json_codec.encode({text: [text]})
    assert json_codec.encode(json_codec.decode(body)) == body


@pytest.mark.slow
@given(json_values, json_values)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    digests = {json_codec.digest(json_codec.encode(value)) for value in (one, other)}
    assert len(digests) == (1 if same(one, other) else 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [100, 300, 1_200, 30_000])
def test_nesting_of_any_depth_is_kept(kind: str, depth: int) -> None:
    value = nested(kind, depth)
    is_same = same(json_codec.decode(json_codec.encode(value)), value)
    assert is_same


@pytest.mark.parametrize("depth", [150, 300, 600])
def test_a_deeply_recursive_caller_gets_the_same_bytes(depth: int) -> None:
    value = nested("both", depth)

    def below(levels: int) -> tuple[bytes, Any]:
        if levels:
            return below(levels - 1)
        body = json_codec.encode(value)
        return body, json_codec.decode(body)

    body, found = below(sys.getrecursionlimit() - 350)
    assert body == json_codec.encode(value)
    is_same = same(found, value)
    assert is_same


@given(st.lists(json_values, max_size=6))
def test_decoding_many_is_decoding_each(values: list[Any]) -> None:
    payloads = [json_codec.encode(value) for value in values]
    assert same(json_codec.decode_all(payloads), values)


def test_one_slow_payload_does_not_change_the_others() -> None:
    values: list[Any] = [{"n": index} for index in range(100)]
    values[50] = {"half": "\ud83d"}
    values[51] = nested("both", 2_000)
    is_same = same(json_codec.decode_all([json_codec.encode(value) for value in values]), values)
    assert is_same


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Pair(NamedTuple):
    left: int
    right: str


class Loud(str):
    def __str__(self) -> str:
        return self.upper()

    __repr__ = __str__


class Odd(float):
    def __repr__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2, ()), [3]), [1, [2, []], [3]]),
        (Pair(1, "\ud83d"), [1, "\ud83d"]),
        ([Colour.RED, Level.HIGH], ["red", 3]),
        ({Colour.RED: Loud("low")}, {"red": "low"}),
        ([Loud("\ud83d"), Level.HIGH], ["\ud83d", 3]),
        ([Odd(0.5)], [0.5]),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.defaultdict(list, a=[Pair(1, "b")]), {"a": [[1, "b"]]}),
    ],
)
def test_tuples_and_subclasses_are_written_as_plain_values(value: Any, plain: Any) -> None:
    assert same(json_codec.decode(json_codec.encode(value)), plain)
    assert json_codec.encode(value) == json_codec.encode(plain)


BAD_VALUES: list[Callable[[], Any]] = [
    lambda: b"bytes",
    lambda: bytearray(b"bytes"),
    lambda: {1, 2},
    frozenset,
    object,
    lambda: 1j,
    lambda: Decimal("1.5"),
    lambda: datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    lambda: iter(()),
    lambda: collections.deque([1]),
    lambda: {1: "one"},
    lambda: {None: 0},
    lambda: {("a", "b"): 0},
    lambda: {b"key": 0},
    lambda: {"text": 1, True: 2},
]
STEPS = {
    "args": ".args",
    "_ts": "._ts",
    "naïve": ".naïve",
    "": "['']",
    "a b": "['a b']",
    "1st": "['1st']",
    "it's": '["it\'s"]',
    "line\n": "['line\\n']",
    0: "[0]",
    1: "[1]",
    7: "[7]",
}


def _at(path: list[str | int], value: Any) -> Any:
    """Put `value` at the end of `path`, with other values before and after it on the way."""
    for step in reversed(path):
        if isinstance(step, int):
            value = [*({"before": [index]} for index in range(step)), value, ["after"]]
        else:
            value = {"before": {"deep": [[0]]}, step: value, "after": [{}]}
    return value


@pytest.mark.slow
@pytest.mark.parametrize("make", BAD_VALUES)
@given(path=st.lists(st.sampled_from(list(STEPS)), max_size=6), slow=st.booleans())
def test_an_unsupported_value_is_refused_with_its_place(
    make: Callable[[], Any], path: list[str | int], slow: bool
) -> None:
    value = _at(path, make())
    if slow:
        value = {"half": "\ud83d", "in": value}
    with pytest.raises(InvalidPayloadError) as caught:
        json_codec.encode(value, "message 3")
    assert caught.value.place == "message 3" + (".in" if slow else "") + "".join(STEPS[step] for step in path)
    assert caught.value.place in str(caught.value)


@given(st.lists(st.sampled_from(list(STEPS)), max_size=4), st.lists(st.sampled_from(list(STEPS)), min_size=1))
def test_a_cyclic_value_is_refused_with_its_place(outside: list[str | int], inside: list[str | int]) -> None:
    holder: dict[str, Any] = {}
    holder["again"] = _at(inside, holder)
    with pytest.raises(InvalidPayloadError, match="contains itself") as caught:
        json_codec.encode(_at(outside, holder))
    way = [*outside, "again", *inside]
    assert caught.value.place == "value" + "".join(STEPS.get(step, f".{step}") for step in way)


def test_a_value_that_is_shared_is_no_cycle() -> None:
    shared = [{"x": 1}]
    value = {"a": shared, "b": [shared, shared]}
    assert same(json_codec.decode(json_codec.encode(value)), value)


def test_an_error_names_very_deep_places_in_full() -> None:
    value: Any = b"bottom"
    for _ in range(50_000):
        value = [value]
    with pytest.raises(InvalidPayloadError) as caught:
        json_codec.encode(value, "message 0")
    assert caught.value.place == "message 0" + "[0]" * 50_000


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("neighbour", ["plain", "half \ud83d"])
def test_an_integer_too_long_to_read_is_refused(sign: int, neighbour: str) -> None:
    """Python reads at most 4,300 digits: written, it would make its whole session unreadable."""
    with pytest.raises(InvalidPayloadError) as caught:
        json_codec.encode({"n": [sign * 10**5_000], "text": neighbour}, "message 0")
    assert caught.value.place == "message 0.n[0]"


@given(json_values, st.sampled_from([None, 0, 1, "\t"]))
def test_the_deep_reader_agrees_with_the_standard_library(value: Any, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=bool(indent))
    assert same(deep_json.decode(text), json.loads(text))


@given(json_values)
def test_the_deep_writer_agrees_with_the_standard_library(value: Any) -> None:
    assert "".join(deep_json.encode(value)) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _outcome(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return [parse(text)]
    except ValueError:
        return ValueError


@given(json_values, st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_deep_reader_refuses_exactly_the_malformed_texts(value: Any, rng: random.Random, wounds: int) -> None:
    text = json.dumps(value, indent=rng.choice([None, 1]))
    for _ in range(wounds):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(["", *'[]{},:"\\ 0-.eNt\x00']) + text[place + rng.randrange(2) :]
    assert same(_outcome(deep_json.decode, text), _outcome(json.loads, text))


MALFORMED_ARRAYS = ["", " ", "[", "]", "[1,]", "[,1]", "[1 2]", "[1}", "[] []", "[1]]", "[\x0b1]"]
MALFORMED_OBJECTS = ["{", "}", '{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', "{1:2}", '{"a" 1}', '{"a":1]', '{"a":1}}']
MALFORMED_SCALARS = ["1 2", "nul", '"a', "'a'", "01", "+1", '"\t"']


@pytest.mark.parametrize("text", [*MALFORMED_ARRAYS, *MALFORMED_OBJECTS, *MALFORMED_SCALARS])
def test_both_readers_refuse_a_malformed_text(text: str) -> None:
    for parse in (deep_json.decode, lambda text: json_codec.decode(text.encode())):
        with pytest.raises(ValueError):
            parse(text)


@pytest.mark.slow
@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'[{"":'])
def test_a_deep_text_that_breaks_off_is_refused(opener: bytes) -> None:
    with pytest.raises(ValueError):
        json_codec.decode(opener * 100_000)
