"""Statements with a list of values as one parameter find its rows by an index."""

from __future__ import annotations

from hermes_store import Store
from tests.support.statements import executed, sqlite_plan


def test_sessions_looked_up_by_id_are_not_scanned(sqlite_store: Store) -> None:
    for number in range(3):
        sqlite_store.sessions.create(session_id=f"s{number}")
    [statement] = executed(sqlite_store, lambda: sqlite_store.sessions.get_many(["s0", "s2"]))
    plan = sqlite_plan(sqlite_store, statement)
    assert [line for line in plan if line.startswith("SEARCH sessions")]
    assert not [line for line in plan if line.startswith("SCAN sessions")]
