"""Statements with a list of values as one parameter find its rows by an index, and rows are looked for in it once."""

from __future__ import annotations

import time

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


def test_filtering_rows_by_many_values_is_not_quadratic() -> None:
    rows = [{"session_id": f"s{number}"} for number in range(40_000)]
    condition = Condition("session_id", [row["session_id"] for row in rows] + [[]])
    started = time.process_time()
    assert condition.admitted(rows) == rows
    assert time.process_time() - started < 1  # 40,000 × 40,000 comparisons would take several
