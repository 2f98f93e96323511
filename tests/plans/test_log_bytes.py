"""The bytes that a write adds to SQLite's log: a few pages, whatever the store holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import Store

#: A page with the header of its frame.
FRAME = 4096 + 24
MESSAGE = {"role": "user", "content": "x" * 300, "timestamp": 1e9}


def pages(path: Path, write: Callable[[], object]) -> float:
    """Return how many pages a write adds to the log: the fewest of several, as now and then one has to be split."""
    log = path.with_name(f"{path.name}-wal")
    counts = []
    for _ in range(5):
        before = log.stat().st_size
        write()
        counts.append((log.stat().st_size - before) / FRAME)
    return min(counts)


@pytest.mark.parametrize(("sessions", "messages"), [(2, 3), (2, 2000), (2000, 3)])
def test_an_append_adds_few_pages_to_the_log(sqlite_path: Path, sessions: int, messages: int) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        with store.transaction() as tx:
            for number in range(sessions):
                tx.sessions.create(session_id=f"s{number}", title="Trip")
            tx.messages.extend("s0", [MESSAGE] * messages)
        # The message, its place, its body and its place; the session, and its places in the lists of two orders.
        assert pages(sqlite_path, lambda: store.messages.append("s0", MESSAGE)) <= 10
        assert pages(sqlite_path, lambda: store.sessions.update("s0", title="Rome")) <= 6
        assert pages(sqlite_path, lambda: store.messages.tail("s0")) == 0


@pytest.mark.parametrize(("in_project", "source", "most"), [(True, None, 12), (False, "cli", 12), (True, "cli", 14)])
def test_a_project_and_a_source_add_two_pages_each(
    sqlite_path: Path, in_project: bool, source: str | None, most: int
) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        project = store.projects.create(name="Work").project_id if in_project else None
        with store.transaction() as tx:
            for number in range(2000):
                tx.sessions.create(session_id=f"s{number}", title="Trip", source=source, project_id=project)
            tx.messages.append("s0", MESSAGE)
        assert pages(sqlite_path, lambda: store.messages.append("s0", MESSAGE)) <= most
