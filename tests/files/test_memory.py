"""Memory stays bounded, whatever a large session is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.import_programs import memory
from tests.support.processes import output, run_function
from tests.support.state_dir import StateDir

pytestmark = pytest.mark.slow

LARGE = 25_000_000
BOUND = 200_000_000

_PLAIN = "the deploy failed naïve 测试 🚀 retry the query plan. ".encode()
_SURROGATES = _PLAIN + b"half \\ud83d "


def _large(text: bytes, message_size: int) -> bytes:
    message = b'{"role": "tool", "content": "%s"},\n' % (text * (message_size // len(text)))
    messages = (message * (LARGE // len(message))).rstrip(b",\n")
    return b'{"title": "Large", "created_at": 1, "updated_at": 2, "messages": [%s]}' % messages


#: Its text, how long each message is, how much of its end is missing, and how it ends.
SHAPES = {
    "emoji": (_PLAIN, 3000, 0, "imported"),
    "lone surrogates": (_SURROGATES, 3000, 0, "imported"),
    "one message": (_PLAIN, LARGE - 1000, 0, "imported"),
    "torn": (_PLAIN, 3000, 50, "recovered"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_session_needs_less_than_200_megabytes(sqlite_path: Path, state: StateDir, shape: str) -> None:
    text, message_size, missing, outcome = SHAPES[shape]
    content = _large(text, message_size)
    state.write("large.json", content[: len(content) - missing])
    for number in range(200):
        state.session(f"s{number}", "x" * 1000)
    risen, outcomes = json.loads(output(run_function(memory, sqlite_path, state.root)))
    assert outcomes["sessions/large.json"] == outcome
    assert len(outcomes) == 201
    assert risen < BOUND, f"{risen / 1e6:.0f} MB"
