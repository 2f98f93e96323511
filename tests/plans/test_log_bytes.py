"""The bytes that a write adds to SQLite's log: a few pages, whatever the store holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import Store

#: A page with the header of its frame.
FRAME = 4096 + 24
MESSAGE = {"role": "user", "content": "words " * 50, "timestamp": 1e9}


def pages(path: Path, write: Callable[[], object]) -> float:
    """Return how many pages a write adds to the log: the fewest of several, as now and then one has to be split."""
    log = path.with_name(f"{path.name}-wal")
    counts = []
    for _ in range(5):
        before = log.stat().st_size
        write()
        counts.append((log.stat().st_size - before) / FRAME)
    return min(counts)


@pytest.fixture(params=[(2, 3), (2, 2000), (2000, 3)], ids=["small", "long transcript", "many sessions"])
def store(request: pytest.FixtureRequest, sqlite_path: Path) -> Iterator[Store]:
    sessions, messages = request.param
    with Store.open(sqlite_path, durability="normal") as opened:
        with opened.transaction() as tx:
            for number in range(sessions):
                tx.sessions.create(session_id=f"s{number}", title="Trip")
            tx.messages.extend("s0", [MESSAGE] * messages)
        yield opened


def test_an_append_adds_few_pages_to_the_log(store: Store, sqlite_path: Path) -> None:
    # The message, its place, its body and its place; the session, its places in the lists of two orders, and in the
    # order of changes; in the index of words its words, where these begin, and what is counted.
    assert pages(sqlite_path, lambda: store.messages.append("s0", MESSAGE)) <= 11
    # 37 kB of messages, and the same rows.
    assert pages(sqlite_path, lambda: store.messages.extend("s0", [MESSAGE] * 100)) <= 32
    assert pages(sqlite_path, lambda: store.sessions.update("s0", title="Rome")) <= 12
    assert pages(sqlite_path, lambda: store.messages.tail("s0")) == 0
    assert pages(sqlite_path, store.sessions.list) == 0


def test_a_save_writes_only_the_message_that_changed(store: Store, sqlite_path: Path) -> None:
    number = iter(range(100))

    def save() -> None:
        transcript = store.messages.read("s0")
        transcript[1] = {**MESSAGE, "content": f"{next(number):02}" * 150}
        store.messages.replace("s0", transcript, expected_revision=transcript.revision)

    # Two of the cut, and two of the message that it keeps.
    assert pages(sqlite_path, save) <= 9 + 4


@pytest.mark.parametrize(("in_project", "source", "lists"), [(True, None, 1), (False, "cli", 1), (True, "cli", 2)])
def test_a_project_and_a_source_add_few_pages(
    sqlite_path: Path, in_project: bool, source: str | None, lists: int
) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        project = store.projects.create(name="Work").project_id if in_project else None
        with store.transaction() as tx:
            for number in range(2000):
                tx.sessions.create(session_id=f"s{number}", title="Trip", source=source, project_id=project)
            tx.messages.append("s0", MESSAGE)
        # Ten as for any session, one more for another version of SQLite, and in each list the places in two orders.
        assert pages(sqlite_path, lambda: store.messages.append("s0", MESSAGE)) <= 11 + 2 * lists
