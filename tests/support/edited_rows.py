"""Databases with one value of one row edited, as another program or a damaged disk does it."""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.files import export_directory, import_directory
from hermes_store.storage.schema import metadata
from hermes_store.webui import WebUIModels
from tests.support.state_dir import StateDir

#: By name: SQL for a value of each storage class.
VALUES = {
    "null": "NULL",
    "negative": "-7",
    "large": "9223372036854775807",
    "real": "1.5",
    "infinity": "9e999",
    "text": "'yesterday'",
    "no utf-8": "CAST(x'74a800ff' AS TEXT)",
    "blob": "x'7b00ff'",
    "json blob": "x'5b315d'",  # [1]
}
#: The sessions that the edits are about come first, so they have the smallest row ids.
MESSAGES = [{"role": "user", "content": "hi", "timestamp": 5.0}, {"role": "assistant", "content": "ho"}]


def fill(path: Path, folder: Path) -> None:
    """Make a database with rows in every table, and a session "other" that no edit is about."""
    with Store.open(path, durability="normal") as store:
        state = StateDir(folder)
        state.session("imported", "hi", title=["odd"], project_id="p1")
        state.projects([{"project_id": "p1", "name": "Imported", "color": "odd", "more": 1}])
        import_directory(store, state.root)
        store.projects.create(name="Work", project_id="work")
        store.sessions.create(
            session_id="parent", title="Trip", project_id="work", compression_anchor_message_key={"role": "user"}
        )
        store.messages.extend("parent", MESSAGES)
        for _ in range(2):
            last = store.messages.append("parent", "cut off")
            store.messages.truncate("parent", keep=len(MESSAGES), expected_revision=last.revision)
        store.documents.put("parent", {"tool_calls": [1], "large": "x" * 5_000})
        for token in ("first", "second"):
            store.shares.create("parent", token=token)
            store.usage.record("parent", model="m", input_tokens=1, cost=0.5, at=1e9)
        store.sessions.create(session_id="child", title="Fork", parent_id="parent", forked_at=1)
        store.sessions.change_id("child", "renamed")
        store.sessions.create(session_id="gone", title="Gone")
        store.sessions.delete("gone")
        store.sessions.create(session_id="other", title="Other")
        store.messages.extend("other", MESSAGES)


def columns() -> Iterator[tuple[str, str]]:
    """Yield every column of every table."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            yield table.name, column.name


def edit(path: Path, table: str, column: str, value: str) -> bool:
    """Edit a value, given as SQL, whatever constraints there are; return whether SQLite stores it.

    It is the second row's (the only one's), which belongs to what the verbs below are called with.
    """
    _set_constraints(path, table, strict=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        rows = [found for (found,) in connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        try:
            connection.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = {rows[:2][-1]}")
        except sqlite3.IntegrityError:  # a row id is a whole number, whatever is written
            return False
    _set_constraints(path, table, strict=True)
    return True


def _set_constraints(path: Path, table: str, *, strict: bool) -> None:
    """Let the columns of a table be NULL, or restore that they may not."""
    comments = (" NOT NULL", "/*NOTNULL*/")
    old, new = comments if not strict else comments[::-1]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [table]).fetchone()
        changed = re.sub(re.escape(old), new, sql)
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", [changed, table])


def _pages(listing: Callable[..., Any]) -> list[Any]:
    """Return what all pages of a list have, one row on each."""
    found: list[Any] = []
    after = None
    while True:
        page = listing(limit=1, after=after)
        found += page.items
        assert len(found) < 100, "the pages do not end"
        if page.next is None:
            return found
        after = page.next


def _live(store: Store) -> Any:
    try:
        return WebUIModels(store).get_session("parent").messages
    except KeyError:  # hermes-webui's error for a session that is not there
        return None


Verb = Callable[[Store, Path], Any]

READING: dict[str, Verb] = {
    "sessions.get": lambda store, _: store.sessions.get("parent"),
    "sessions.get_many": lambda store, _: store.sessions.get_many(["parent", "renamed"]),
    "sessions.exists": lambda store, _: store.sessions.exists("parent"),
    "sessions.find": lambda store, _: store.sessions.find("p"),
    "sessions.list": lambda store, _: store.sessions.list(include_empty=True, total=True),
    "sessions.list by page": lambda store, _: _pages(store.sessions.list),
    "sessions.list by activity": lambda store, _: _pages(
        functools.partial(store.sessions.list, order="activity", include_empty=True)
    ),
    "sessions.list of a project": lambda store, _: store.sessions.list(project_id="work"),
    "sessions.list of a source": lambda store, _: store.sessions.list(source="cli"),
    "sessions.iterate": lambda store, _: list(store.sessions.iterate(include_empty=True)),
    "sessions.list_deleted": lambda store, _: _pages(store.sessions.list_deleted),
    "sessions.count": lambda store, _: store.sessions.count(),
    "a profile's list": lambda store, _: store.profile("default").sessions.list(),
    "messages.read": lambda store, _: store.messages.read("parent"),
    "messages.tail": lambda store, _: store.messages.tail("parent", limit=1),
    "messages.page": lambda store, _: store.messages.page("parent", limit=1),
    "messages.count": lambda store, _: store.messages.count("parent"),
    "messages.history": lambda store, _: store.messages.history("parent"),
    "sessions.lineage": lambda store, _: store.sessions.lineage("parent"),
    "sessions.children": lambda store, _: store.sessions.children("parent"),
    "documents.read": lambda store, _: store.documents.read("parent"),
    "documents.read one": lambda store, _: store.documents.read("parent", "large"),
    "shares.get": lambda store, _: store.shares.get("second"),
    "shares.list": lambda store, _: store.shares.list(session_id="parent"),
    "usage.list": lambda store, _: store.usage.list("parent"),
    "usage.totals": lambda store, _: store.usage.totals(["day", "model", "session"]),
    "projects.get": lambda store, _: store.projects.get("work"),
    "projects.list": lambda store, _: _pages(store.projects.list),
    "stats": lambda store, _: store.stats(),
    "info": lambda store, _: store.info(),
    "the sidebar": lambda store, _: WebUIModels(store).all_sessions(),
    "the webui's projects": lambda store, _: WebUIModels(store).load_projects(),
    "a live session": lambda store, _: _live(store),
    "export": lambda store, folder: export_directory(store, folder / "out"),
}


def _revision(store: Store) -> int:
    return store.sessions.get("parent").revision


WRITING: dict[str, Verb] = {
    "messages.undo": lambda store, _: store.messages.undo("parent"),
    "sessions.fork": lambda store, _: store.sessions.fork("parent"),
    "sessions.fork of a revision": lambda store, _: store.sessions.fork("parent", revision=3),
    "sessions.duplicate": lambda store, _: store.sessions.duplicate("parent"),
    "sessions.create": lambda store, _: store.sessions.create(parent_id="parent", project_id="work"),
    "sessions.update": lambda store, _: store.sessions.update("parent", pinned=True, source="cli"),
    "sessions.change_id": lambda store, _: store.sessions.change_id("renamed", "child"),
    "sessions.move": lambda store, _: store.sessions.update("parent", profile="elsewhere"),
    "sessions.delete": lambda store, _: store.sessions.delete("renamed"),
    "sessions.restore": lambda store, _: store.sessions.restore("gone"),
    "sessions.delete_inactive": lambda store, _: store.sessions.delete_inactive(older_than=0),
    "sessions.delete_empty": lambda store, _: store.sessions.delete_empty(untitled_only=False, older_than=0),
    "messages.append": lambda store, _: store.messages.append("parent", "more"),
    "messages.extend": lambda store, _: store.messages.extend("parent", ["more", "and more"]),
    "messages.update": lambda store, _: store.messages.update("parent", 0, "new", expected_revision=_revision(store)),
    "messages.replace": lambda store, _: store.messages.replace("parent", MESSAGES, expected_revision=_revision(store)),
    "messages.truncate": lambda store, _: store.messages.truncate("parent", keep=1, expected_revision=_revision(store)),
    "documents.put": lambda store, _: store.documents.put("parent", {"draft": 1, "large": "y" * 5_000}),
    "projects.create": lambda store, _: store.projects.create(name="New"),
    "projects.rename": lambda store, _: store.projects.rename("work", "Renamed"),
    "projects.reorder": lambda store, _: store.projects.reorder(["work"]),
    "import again": lambda store, folder: import_directory(store, folder / "state"),
    "projects.delete": lambda store, _: store.projects.delete("p1"),
    "sessions.purge": lambda store, _: store.sessions.purge("parent"),
}
