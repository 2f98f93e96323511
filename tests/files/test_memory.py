"""Memory stays bounded, whatever a large session is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .builders import StateDir, finish, start_child

LARGE = 25_000_000
BOUND = 200_000_000

_PLAIN = "the deploy failed naïve 测试 🚀 retry the query plan. ".encode()
TEXTS = {
    "mixed text with emoji": _PLAIN,
    "lone surrogates": _PLAIN + b"half \\ud83d ",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_session_of_25_megabytes_among_small_ones_takes_less_than_200(
    sqlite_path: Path, state: StateDir, text: str
) -> None:
    message = b'{"role": "tool", "content": "%s"},\n' % (TEXTS[text] * 40)
    messages = (message * (LARGE // len(message))).rstrip(b",\n")
    state.write("large.json", b'{"title": "Large", "created_at": 1, "updated_at": 2, "messages": [%s]}' % messages)
    for number in range(200):
        state.session(f"s{number}", "x" * 1000)
    out = finish(start_child("memory", sqlite_path, state.root))
    risen, counts = json.loads(out)
    assert counts == {"imported": 201}
    assert risen < BOUND, f"{risen / 1e6:.0f} MB"
