"""What the reads cost, as SQLite plans them: no scan touches the wide rows, and pages of messages use an index."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hermes_store.agent import AgentBridge, order
from tests.support.agent.connections import steps, watched
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Shape, create, insert

pytestmark = pytest.mark.slow

#: So many sessions, with this many messages each.
SESSIONS, MESSAGES = 400, 30
ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")
Statement = tuple[str, Any]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape], Path]:
    """Make files with many sessions, messages of one and the other in turn, chains and helpers among them."""
    folder = tmp_path_factory.mktemp("big")

    def make(shape: Shape) -> Path:
        path = folder / f"{shape}.db"
        if not path.exists():
            create(path, shape, [])
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = OFF")
                db.execute("BEGIN")
                for number in range(SESSIONS):
                    insert(db, "sessions", _session(number))
                db.executemany(
                    "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, 'some words', ?)",
                    (
                        (f"s{number:04}", "assistant" if turn % 2 else "user", BASE + turn * SESSIONS + number)
                        for turn in range(MESSAGES)
                        for number in range(SESSIONS)
                    ),
                )
                db.execute("COMMIT")
        return path

    return make


def _session(number: int) -> dict[str, Any]:
    linked = number and number % 10 == 0
    return {
        "id": f"s{number:04}",
        "source": ("cli", "telegram", "cron", "subagent")[number % 4],
        "parent_session_id": f"s{number - 1:04}" if linked else None,
        "end_reason": "compression" if number % 10 == 9 else None,
        "system_prompt": "x" * 3000,
        "started_at": BASE + number,
        "title": f"T{number}" if number % 2 else None,
    }


@contextmanager
def executed() -> Iterator[list[Statement]]:
    """Collect the queries on the agent's tables that are executed in the block."""
    found: list[Statement] = []

    def note(_connection: sqlite3.Connection, text: str, parameters: Any) -> None:
        if any(table in text for table in ("main.sessions ", "main.messages ")):
            found.append((text, parameters))

    with watched(before=note):
        yield found


def plan(path: Path, statement: Statement) -> list[str]:
    """Return the lines of SQLite's plan."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement[0]}", tuple(statement[1]))]


def lines(path: Path, read: Callable[[], object]) -> list[str]:
    with executed() as statements:
        read()
    assert statements, "nothing was executed, so nothing was measured"
    return [line for statement in statements for line in plan(path, statement)]


def scans(found: list[str], table: str) -> list[str]:
    """Return the lines that scan a table (the queries call sessions `s` or `x`, and messages `m`)."""
    return [line for line in found if re.match(rf"SCAN {table}\b", line)]


VERSIONS = [4, 11, 14, 22, 30]


@pytest.mark.parametrize("include", [(), ALL], ids=["default", "all"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_list_scans_neither_wide_rows_nor_messages(
    big: Callable[[Shape], Path], version: int, include: tuple[str, ...]
) -> None:
    path = big(Shape(version))
    bridge = AgentBridge(path)
    page = bridge.sessions(limit=20, include=include)
    for after in (None, page.next):
        found = lines(path, lambda after=after: bridge.sessions(limit=20, include=include, after=after))
        assert all("USING COVERING INDEX" in line for line in scans(found, "[sx]")), found
        assert scans(found, "m") == [], found
        assert not [line for line in found if "AUTOMATIC" in line], found


@pytest.mark.parametrize("version", [16, 22, 30])
def test_each_session_costs_one_look_into_the_index(big: Callable[[Shape], Path], version: int) -> None:
    path = big(Shape(version))
    found = lines(path, lambda: AgentBridge(path).sessions(limit=20))
    assert scans(found, "s") == ["SCAN s USING COVERING INDEX idx_sessions_source_id"]
    looks = [line for line in found if "timestamp>? AND timestamp<?" in line]
    assert looks == [
        "SEARCH m USING COVERING INDEX idx_messages_session (session_id=? AND timestamp>? AND timestamp<?)"
    ]


@pytest.mark.parametrize("version", [16, 22, 30])
def test_most_pages_of_the_list_take_one_statement(big: Callable[[Shape], Path], version: int) -> None:
    """Each statement costs the list milliseconds next to threads that are busy in Python."""
    bridge = AgentBridge(big(Shape(version)))
    with executed() as statements:
        page = bridge.sessions(limit=20)
    assert len(statements) == 1
    assert any(len(one.chain) > 1 for one in page.items)
    assert not all(one.titled for one in page.items)
    with executed() as statements:
        bridge.session("s0010")
    assert len(statements) <= 3


@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_index_messages_are_scanned_once(big: Callable[[Shape], Path], version: int) -> None:
    path = big(Shape(version, index=False))
    bridge = AgentBridge(path)
    found = lines(path, lambda: bridge.sessions(limit=20))
    assert all("USING COVERING INDEX" in line for line in scans(found, "[sx]")), found
    assert len(scans(found, "m")) == 1
    assert not [line for line in found if "AUTOMATIC" in line or "CORRELATED" in line], found
    last = bridge.session("s0005").session_id
    assert len(scans(lines(path, lambda: bridge.session(last)), "m")) == 1
    assert len(scans(lines(path, lambda: bridge.messages(last, limit=5)), "m")) == 1


def test_without_an_index_the_estimate_reads_enough_rows(
    big: Callable[[Shape], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = big(Shape(index=False))
    wanted = AgentBridge(path).sessions(limit=20).items
    monkeypatch.setattr(order, "_SAMPLES", (1, 5, 2_000, 4_000))
    with executed() as statements:
        assert AgentBridge(path).sessions(limit=20).items == wanted
    guesses = [text for text, _ in statements if "HAVING" in text]
    assert len(guesses) == 3
    scans_of_all = [text for text, _ in statements if "GROUP BY m.session_id" in text and text not in guesses]
    assert len(scans_of_all) == 1
    assert "NOT BETWEEN" in scans_of_all[0], "it groups every message"


def test_empty_sessions_cost_no_look_without_an_index(big: Callable[[Shape], Path], tmp_path: Path) -> None:
    source = big(Shape(index=False))
    path = tmp_path / "state.db"
    shutil.copy(source, path)
    with closing(sqlite3.connect(path)) as db, db:
        for number in range(100):
            insert(db, "sessions", {"id": f"mute{number}", "source": "cli", "started_at": BASE + 1e6})
    # More than there are, so that everything is looked at. When each of these was looked for, it was a scan for each.
    assert steps(lambda: AgentBridge(path).sessions(limit=300)) * 100 < SESSIONS * MESSAGES * 150
    assert len(AgentBridge(path).sessions(limit=200, include=["empty"]).items) == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_a_page_of_messages_uses_their_index(big: Callable[[Shape], Path], version: int) -> None:
    path = big(Shape(version))
    bridge = AgentBridge(path)
    page = bridge.messages("s0005", limit=5)
    for read in (
        lambda: bridge.messages("s0005", limit=5),
        lambda: bridge.messages("s0005", limit=5, after=page.next),
        lambda: bridge.messages("s0005"),
        lambda: bridge.messages("s0010", limit=5),
    ):
        found = lines(path, read)
        assert scans(found, "m") == [], found
        assert all("USING COVERING INDEX" in line for line in scans(found, "[sx]")), found
        searched = [line for line in found if line.startswith("SEARCH m")]
        assert searched
        assert all("INDEX idx_messages_" in line for line in searched if "PRIMARY KEY" not in line), found


@pytest.mark.parametrize("version", [*VERSIONS, 17])
@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_only_message_rows_of_the_page_are_read(big: Callable[[Shape], Path], version: int, index: bool) -> None:
    path = big(Shape(version, index=index))
    bridge = AgentBridge(path)
    page = bridge.messages("s0005", limit=5)
    for read in (
        lambda: bridge.messages("s0005", limit=5),
        lambda: bridge.messages("s0005", limit=5, after=page.next),
        lambda: bridge.messages("s0005", limit=5, after=page.next, include_rewound=True),
    ):
        with executed() as statements:
            read()
        wide = [statement for statement in statements if '"content"' in statement[0]]
        assert [plan(path, statement) for statement in wide] == [["SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"]]
        assert [len(statement[1]) for statement in wide] == [6], "the page, and one to see whether there are more"


@pytest.mark.parametrize("read", ["sessions", "messages", "session"])
def test_wide_rows_are_read_for_the_page_only(big: Callable[[Shape], Path], read: str) -> None:
    """Counted by SQLite itself: a scan of the whole table would be more instructions than this leaves room for."""
    path = big(Shape())
    bridge = AgentBridge(path)
    reads: dict[str, Callable[[], object]] = {
        "sessions": lambda: bridge.sessions(limit=20),
        "messages": lambda: bridge.messages("s0005", limit=5),
        "session": lambda: bridge.session("s0005"),
    }
    # One look into an index is some twenty instructions, and every session needs one for its last message.
    bounds = {"sessions": SESSIONS * 60 + 40_000, "messages": 12_000, "session": 12_000}
    assert steps(reads[read]) * 100 < bounds[read]
