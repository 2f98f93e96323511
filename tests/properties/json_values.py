"""Any value that ``json.loads`` can produce, and a comparison that is stricter than ``==``."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import strategies as st

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

json_values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(json_text, inner)), max_leaves=25
)


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


def nested(kind: str, depth: int) -> Any:
    """A value of arrays, objects or both in turn, one inside the other."""
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if kind == "arrays" or (kind == "both" and level % 2) else {"in": value}
    return value
