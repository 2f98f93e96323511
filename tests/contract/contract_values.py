"""JSON values for the tests: everything that `json.loads` can produce, the awkward ones most often."""

from __future__ import annotations

import json
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

texts = st.sampled_from(AWKWARD_TEXTS) | st.text(st.characters(exclude_categories=()), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 2**70, 10**400])
    | st.floats()
    | st.sampled_from([-0.0, 1e22, float("nan"), float("-inf")])
    | texts
)
json_values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=8,
    # Two halves side by side become one character when JSON is read: nobody could have read them apart.
).map(lambda value: json.loads(json.dumps(value)))

#: What JSON cannot say, and where in the value that is.
NOT_JSON: list[tuple[Any, str]] = [
    (b"bytes", ""),
    ({1, 2}, ""),
    (object(), ""),
    ({"content": [1, b"bytes"]}, ".content[1]"),
    ({"content": {1: "a key that is no text"}}, ".content"),
    ({"two words": {"deep": 1j}}, "['two words'].deep"),
]


def text_of(value: Any) -> str:
    """A value as text that differs whenever the value does: 1 from 1.0 and True, one order of keys from another."""
    return json.dumps(value)
