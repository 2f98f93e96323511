"""One value of the agent's file is edited: that row is left out or decoded, and everything else goes on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import HermesStoreError, Store
from hermes_store.agent import AgentBridge
from hermes_store.files import Outcome
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Shape, create
from tests.support.hostile_values import EVERYWHERE

DEEP = '{"_branched_from":' + "[" * 2_000 + "]" * 2_000 + "}"
#: By name: SQL for a value of each storage class, and texts that are no plain ones.
VALUES = {
    "null": "NULL",
    "large": "9223372036854775807",
    "text": "'yesterday'",
    "no utf-8": "CAST(x'74a800ff' AS TEXT)",
    "blob": "x'7b00ff'",
    "deep": f"'{DEEP}'",
}
#: By table: the columns whose values decide anything.
COLUMNS = {
    "sessions": (
        *("id", "source", "model_config", "parent_session_id", "started_at", "ended_at", "end_reason", "title"),
        *("message_count", "archived", "cwd", "estimated_cost_usd", "system_prompt_hash", "tool_names"),
    ),
    "messages": (
        *("id", "session_id", "role", "content", "timestamp", "active", "compacted", "display_order"),
        *("tool_calls", "tool_name"),
    ),
}
TABLES = tuple(COLUMNS)


def _loosen(path: Path, table: str) -> None:
    """Make a table again without types and keys, as a salvaged one is, so that it takes any value."""
    with closing(sqlite3.connect(path)) as db, db:
        for kind, name in db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
        ).fetchall():
            db.execute(f"DROP {kind} {name}")
        names = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
        db.execute(f"CREATE TABLE loose ({names})")
        db.execute(f"INSERT INTO loose SELECT {names} FROM {table}")
        db.execute(f"DROP TABLE {table}")
        db.execute(f"ALTER TABLE loose RENAME TO {table}")


@pytest.fixture(scope="module", params=TABLES)
def loose(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file with two conversations, one of whose tables takes any value."""
    path = tmp_path_factory.mktemp("loose") / "state.db"
    said = [
        {"role": "user", "content": "hi", "timestamp": BASE + 1},
        {"role": "assistant", "content": "ho", "timestamp": BASE + 2},
    ]
    row = {"source": "cli", "started_at": BASE, "ended_at": BASE + 9}
    child = {**row, "id": "child", "parent_session_id": "talk", "model_config": '{"_branched_from": "talk"}'}
    create(path, Shape(version=30), [({**row, "id": "talk"}, said), ({**row, "id": "other"}, said), (child, said)])
    _loosen(path, request.param)
    return path, request.param


Use = Callable[[AgentBridge], Any]
USES: dict[str, Use] = {
    "sessions": lambda bridge: bridge.sessions(include=("empty", "archived", "hidden", "subagent")),
    "pages": lambda bridge: list(_pages(bridge)),
    "session": lambda bridge: bridge.session("talk"),
    "messages": lambda bridge: bridge.messages("talk", include_rewound=True),
    "message pages": lambda bridge: list(_message_pages(bridge)),
    "info": lambda bridge: bridge.info(),
    "delete": lambda bridge: bridge.delete_session("talk", dry_run=True, force=True),
}


def _pages(bridge: AgentBridge) -> Iterator[Any]:
    after = None
    for _ in range(20):
        page = bridge.sessions(limit=1, after=after, include=("empty",))
        yield from page.items
        if (after := page.next) is None:
            return
    raise AssertionError("the pages do not end")


def _message_pages(bridge: AgentBridge) -> Iterator[Any]:
    after = None
    for _ in range(20):
        page = bridge.messages("talk", limit=1, after=after)
        yield from page.items
        if (after := page.next) is None:
            return
    raise AssertionError("the pages do not end")


def problems(path: Path) -> list[str]:
    """Use a file in every way, and return what went wrong otherwise than by this library's errors."""
    found = []
    with Store.open(":memory:") as store:
        bridge = AgentBridge(path, store=store)
        for name, use in USES.items():
            try:
                use(bridge)
            except HermesStoreError:
                continue
            except Exception as error:
                found.append(f"{name}: {type(error).__name__}: {error}")
        try:
            listed = {one.session_id for one in bridge.sessions().items}
            if "other" not in listed or [one["content"] for one in bridge.messages("other").items] != ["hi", "ho"]:
                found.append("another conversation is not as it was")
            for report in (bridge.import_sessions(), bridge.import_sessions()):
                others = [item for item in report.items if item.path == "other"]
                if [item.outcome for item in others if item.outcome is not Outcome.UNCHANGED] not in (
                    [],
                    [Outcome.IMPORTED],
                ):
                    found.append(f"another conversation is {others}")
            if [one["content"] for one in store.messages.read("other")] != ["hi", "ho"]:
                found.append("another conversation is not imported")
        except Exception as error:
            found.append(f"the rest: {type(error).__name__}: {error}")
    return found


@pytest.mark.slow
def test_edited_values_break_nothing_else(loose: tuple[Path, str], tmp_path: Path) -> None:
    template, table = loose
    failures = {}
    for place, column in enumerate(COLUMNS[table]):
        for number, (name, value) in enumerate(VALUES.items()):
            if not EVERYWHERE and (place + number) % 3:  # each value in every third column
                continue
            # Of a session: the parent, or its branch. Of the messages: the first, or another one.
            row = (1, 3) if table == "sessions" else (1, 2)
            path = Path(shutil.copy(template, tmp_path / "state.db"))
            with closing(sqlite3.connect(path)) as db, db:
                db.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = {row[number % 2]}")
            if found := problems(path):
                failures[f"{table}.{column} = {name}"] = found
    assert failures == {}, "\n".join(f"{where}: {what}" for where, what in failures.items())


NAMES = ('CREATE TABLE "t{}" (x)', 'CREATE TABLE t ("c{}")', 'CREATE VIEW "v{}" AS SELECT 1')


@pytest.mark.parametrize("sql", NAMES)
def test_a_name_that_is_no_utf8_breaks_nothing(loose: tuple[Path, str], tmp_path: Path, sql: str) -> None:
    path = Path(shutil.copy(loose[0], tmp_path / "state.db"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql.format("MARK"))
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET name = CAST(replace(CAST(name AS BLOB), 'MARK', x'ff') AS TEXT), "
            "sql = CAST(replace(CAST(sql AS BLOB), 'MARK', x'ff') AS TEXT), "
            "tbl_name = CAST(replace(CAST(tbl_name AS BLOB), 'MARK', x'ff') AS TEXT) WHERE sql LIKE '%MARK%'"
        )
    assert problems(path) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_column_named_in_invalid_utf8_is_ignored(loose: tuple[Path, str], tmp_path: Path, table: str) -> None:
    path = Path(shutil.copy(loose[0], tmp_path / "state.db"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"ALTER TABLE {table} ADD COLUMN MARK TEXT DEFAULT 'x'")
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET sql = CAST(replace(CAST(sql AS BLOB), 'MARK', x'ff') AS TEXT) WHERE name = ?",
            [table],
        )
    assert problems(path) == []


def test_sessions_may_have_hundreds_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    create(
        path,
        Shape(version=30),
        [({"id": "talk", "source": "cli", "started_at": BASE}, [{"role": "user", "content": "hi", "timestamp": BASE}])],
    )
    with closing(sqlite3.connect(path)) as db, db:
        for number in range(200):
            db.execute(f"ALTER TABLE sessions ADD COLUMN extra{number} INTEGER DEFAULT {number}")
    found = AgentBridge(path).sessions().items[0]
    assert found.title == "hi"
    assert found.extra["extra199"] == 199
