"""Thousands of changes between the messages of a transcript cost in proportion to their number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.transcripts import diff, merge
from tests.support.statements import undone, vm_steps

FEW, MANY = 2_000, 4_000

Edit = Callable[[list[str]], list[str]]
#: What becomes of a transcript.
EDITS: dict[str, Edit] = {
    "one more after each": lambda old: [one for message in old for one in (message, f"new {message}")],
    "every second removed": lambda old: old[::2],
    "every second edited": lambda old: [f"new {one}" if place % 2 else one for place, one in enumerate(old)],
    "every third moved to the end": lambda old: [*(one for one in old if int(one) % 3), *old[::3]],
    "reversed": lambda old: old[::-1],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_a_replacement_costs_in_proportion(sqlite_store: Store, name: str) -> None:
    def steps(count: int) -> int:
        session_id = f"s{count}"
        sqlite_store.sessions.create(session_id=session_id)
        old = [str(number) for number in range(count)]
        revision = sqlite_store.messages.extend(session_id, old).revision
        new = EDITS[name](old)
        replace = undone(sqlite_store, lambda tx: tx.messages.replace(session_id, new, expected_revision=revision))
        return vm_steps(sqlite_store, replace)

    assert steps(MANY) < 2.2 * steps(FEW)


class Counted(bytes):
    """A digest whose comparisons are counted."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return bytes(self) == other

    def __hash__(self) -> int:
        Counted.compared += 1
        return hash(bytes(self))


def operations(callback: Callable[[], object]) -> int:
    """Return how many lines of `diff` and `merge` run, and how many digests are compared."""
    files = {diff.__file__, merge.__file__}
    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename in files else None

    Counted.compared = 0
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        callback()
    finally:
        sys.settrace(before)
    return lines + Counted.compared


def _digests(messages: Sequence[str]) -> list[bytes]:
    return [Counted(message.encode()) for message in messages]


@pytest.mark.parametrize("name", EDITS)
def test_a_comparison_costs_in_proportion(name: str) -> None:
    def cost(count: int) -> int:
        old = [str(number) for number in range(count)]
        return operations(lambda: diff.compare(_digests(old), _digests(EDITS[name](old))))

    assert cost(MANY) < 2.5 * cost(FEW)  # a factor of log n is in it


#: Both sides edit the same base without touching the same part.
MERGES: dict[str, tuple[Edit, Edit]] = {
    "insertions and an end": (EDITS["one more after each"], lambda old: [*old, "remote"]),
    "insertions and edits": (
        lambda old: [one for place, m in enumerate(old) for one in ((m, f"l {m}") if place % 4 == 0 else (m,))],
        lambda old: [f"r {one}" if place % 4 == 2 else one for place, one in enumerate(old)],
    ),
    "removals on both sides": (
        lambda old: [one for place, one in enumerate(old) if place % 4],
        lambda old: [one for place, one in enumerate(old) if place % 4 != 2],
    ),
}


@pytest.mark.parametrize("name", MERGES)
def test_a_merge_costs_in_proportion(name: str) -> None:
    local, remote = MERGES[name]

    def cost(count: int) -> int:
        base = [str(number) for number in range(count)]
        return operations(lambda: merge.merge(_digests(base), _digests(local(base)), _digests(remote(base))))

    assert cost(MANY) < 2.5 * cost(FEW)
