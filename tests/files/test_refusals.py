"""What the database refuses, or has damaged, concerns one file; the others are imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.internals import writing
from tests.support.state_dir import StateDir, by_name, outcomes

_SQLITE = (
    "CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.{column} = '{value}' BEGIN SELECT RAISE(ABORT, 'no'); END"
)
_POSTGRESQL = "ALTER TABLE {table} ADD CONSTRAINT refuse CHECK ({column} <> '{value}')"
_ALLOW = {"sqlite": "DROP TRIGGER refuse", "postgresql": "ALTER TABLE {table} DROP CONSTRAINT refuse"}


def _refuse(store: Store, table: str, column: str, value: str) -> Callable[[], None]:
    """Let the database refuse a row, and return a function that ends that."""
    with writing(store) as connection:
        dialect = connection.dialect.name
        statement = _SQLITE if dialect == "sqlite" else _POSTGRESQL
        connection.exec_driver_sql(statement.format(table=table, column=column, value=value))

    def allow() -> None:
        with writing(store) as connection:
            connection.exec_driver_sql(_ALLOW[dialect].format(table=table))

    return allow


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("sessions", "session_id", "bad"), ("messages", "role", "bad"), ("import_items", "item", "bad.json")],
)
def test_a_file_the_database_refuses_fails_alone(
    store: Store, state: StateDir, table: str, column: str, value: str
) -> None:
    allow = _refuse(store, table, column, value)
    state.projects([{"project_id": "p", "name": "P"}])
    state.session("bad", {"role": "user"}, {"role": "bad"}, project_id="p", profile="work", draft="kept")
    for name in ("a", "z"):
        state.session(name, "hi", project_id="p", profile="work")
    items = by_name(import_directory(store, state.root))
    assert items["bad.json"].outcome == "failed"
    assert items["bad.json"].reason.startswith("the database refused it: ")
    assert {items[name].outcome.value for name in ("a.json", "z.json", "#p")} == {"imported"}
    assert not store.sessions.exists("bad")
    assert store.projects.get("p").session_count == 2
    allow()
    assert outcomes(import_directory(store, state.root))["bad.json"] == "imported"
    assert store.messages.count("bad") == 2


def test_a_project_the_database_refuses_fails_alone(store: Store, state: StateDir) -> None:
    allow = _refuse(store, "projects", "project_id", "bad")
    state.projects([{"project_id": name, "name": name, "profile": "default"} for name in ("bad", "good")])
    state.session("a", "hi", project_id="bad")
    assert outcomes(import_directory(store, state.root)) == {
        "#bad": "failed",
        "#good": "imported",
        "a.json": "imported",
    }
    allow()
    assert outcomes(import_directory(store, state.root))["#bad"] == "imported"
    assert store.sessions.get("a").project_id == "bad"


def test_a_refused_update_leaves_the_session_unchanged(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi", draft="first")
    import_directory(sqlite_store, state.root)
    _refuse(sqlite_store, "messages", "role", "bad")
    state.session("a", "hi", {"role": "bad"}, draft="second", title="Second", age=60)
    assert outcomes(import_directory(sqlite_store, state.root)) == {"a.json": "failed"}
    assert sqlite_store.messages.read("a") == ["hi"]
    assert sqlite_store.documents.read("a") == {"draft": "first"}
    assert sqlite_store.sessions.get("a").title == "Session a"
    assert sqlite_store.sessions.get("a").revision == 1


def test_a_damaged_session_in_the_store_fails_alone(sqlite_store: Store, state: StateDir) -> None:
    for name in ("bad", "good"):
        state.session(name, "hi", draft="first")
    import_directory(sqlite_store, state.root)
    with writing(sqlite_store) as connection:
        bad = "(SELECT id FROM sessions WHERE session_id = 'bad')"
        connection.exec_driver_sql(f"UPDATE session_extras SET payload = x'7b22' WHERE session_id = {bad}")
    for name in ("bad", "good"):
        state.session(name, "hi", "more", age=60)
    items = by_name(import_directory(sqlite_store, state.root))
    assert (items["bad.json"].outcome, items["good.json"].outcome) == ("failed", "updated")
    assert "'bad' is damaged in the database" in items["bad.json"].reason
