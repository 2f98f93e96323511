"""JSON values, the awkward ones most often, and comparisons of them that are stricter than ``==``."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from hypothesis import strategies as st

#: Texts that drivers, servers and encoders refuse, change or cut short.
AWKWARD_TEXTS = [
    "half \ud83d",
    "\ude00 the other half",
    "nul \x00 inside",
    "\x00",
    "dle \x10 and \x10d83d, which looks like an escape",
    "astral 😀 𝔘𝔫𝔦",
    "\ufffe\uffff\ufeff",
    "'; DROP TABLE sessions; --",
    '100% _ \\ " %(name)s :name ?',
    "e\u0301 and \u00e9",
    " \t\r\n ",
    "",
]

#: What JSON cannot say, and where in the value that is.
NOT_JSON: list[tuple[Any, str]] = [
    (b"bytes", ""),
    ({1, 2}, ""),
    (object(), ""),
    ({"content": [1, b"bytes"]}, ".content[1]"),
    ({"content": {1: "a key that is no text"}}, ".content"),
    ({"two words": {"deep": 1j}}, "['two words'].deep"),
]

# ── Any value, for functions that cost microseconds ──

#: Any string of Python, lone surrogates included, and those that the escapes are made of more often.
any_text = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.text(st.sampled_from("\x00\x10\ud83d\ude00\udfffa0 '\"\\.é😀")),
    st.sampled_from(["", "0", "a.b", "None", "true", "\x100041", "__proto__", "\ufeff", "\u2028"]),
)

#: A high surrogate followed by a low one is the character that both mean: JSON has no other way to say it.
json_text = any_text.map(lambda text: json.loads(json.dumps(text)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**53 + 1, 2**63, -(2**63) - 1, 2**64, 2**70, -(2**70), 10**4000]),
    st.floats(),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e16, 5e-324, 1.0, 1e22]),
    json_text,
)

#: Any value that ``json.loads`` can produce.
json_values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(json_text, inner)), max_leaves=25
)

# ── Small values, for databases and files ──

texts = st.sampled_from(
    [*AWKWARD_TEXTS, "\ufeff", "1778458282", "2026-04-01T10:11:12Z"]  # the last two look like times
) | st.text(st.characters(exclude_categories=()), max_size=8)
small_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2**53 + 1, 2**63, -(2**63) - 1, 2**70, -(2**70), 10**400, 1778458282])
    | st.floats()
    | st.sampled_from([-0.0, 5.0, 1e22, 1e300, float("nan"), float("inf"), float("-inf"), 1778458282.5])
    | texts
)
small_json_values = st.recursive(
    small_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
    # Two adjacent halves of a character become that character when JSON is read: nobody could have read them apart.
).map(lambda value: json.loads(json.dumps(value)))


def nested(kind: str, depth: int) -> Any:
    """A value of arrays, objects or both in turn, one inside the other."""
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if kind == "arrays" or (kind == "both" and level % 2) else {"in": value}
    return value


def nested_arrays(depth: int) -> bytes:
    """JSON text of arrays, one inside the other."""
    return b"[" * depth + b"]" * depth


# ── Comparisons ──


def text_of(value: Any) -> str:
    """A value as text that differs whenever the value does: 1 from 1.0 and True, one order of keys from another."""
    return json.dumps(value)


def same(first: Any, second: Any) -> bool:
    """Whether two values are the same in type, sign, key order and all else. Without recursion."""
    pairs = [(first, second)]
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, float):
            # Any NaN is a NaN: JSON says no more of it.
            if struct.pack("d", one) != struct.pack("d", other) and not (one != one and other != other):  # noqa: PLR0124
                return False
        elif isinstance(one, dict):
            if list(one) != list(other):
                return False
            pairs += zip(one.values(), other.values(), strict=True)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 is 1.0 and not true, NaN is NaN, and the order of keys is no matter."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
