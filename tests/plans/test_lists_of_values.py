"""Statements with a list of values as one parameter find its rows by an index, and rows are looked for in it once."""

from __future__ import annotations

from hermes_store import Store
from hermes_store.storage.session_values import Condition
from tests.support.statements import executed, sqlite_plan


def test_sessions_looked_up_by_id_are_not_scanned(sqlite_store: Store) -> None:
    for number in range(3):
        sqlite_store.sessions.create(session_id=f"s{number}")
    [statement] = executed(sqlite_store, lambda: sqlite_store.sessions.get_many(["s0", "s2"]))
    plan = sqlite_plan(sqlite_store, statement)
    assert [line for line in plan if line.startswith("SEARCH sessions")]
    assert not [line for line in plan if line.startswith("SCAN sessions")]


class _Counted(str):
    """A text that counts how often one is compared with another."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        _Counted.comparisons += 1
        return str.__eq__(self, other)


def test_filtering_rows_by_many_values_is_not_quadratic() -> None:
    rows = [{"session_id": _Counted(f"s{number}")} for number in range(2_000)]
    condition = Condition("session_id", [_Counted(row["session_id"]) for row in rows] + [[]])
    _Counted.comparisons = 0
    assert condition.admitted(rows) == rows
    assert len(rows) <= _Counted.comparisons <= 2 * len(rows)  # once for each row, and a few of equal hashes
