"""SQLite's plan for each statement that a verb executes: its index, no scan, no sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.pagination import write_cursor
from tests.support import list_sample as sample
from tests.support.statements import executed, sqlite_plan

SESSIONS = 400
MESSAGES = 300
SESSION = "s7"
BY_ID = "sessions USING INDEX sqlite_autoindex_sessions_1 (session_id=?)"
BY_ROW = "sessions USING INTEGER PRIMARY KEY (rowid=?)"
BY_POSITION = "INDEX sqlite_autoindex_messages_1 (session_id=?"
BODY = "message_blobs USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.fixture
def store(databases: sample.Databases, analyzed: bool) -> Store:
    store = databases(SESSIONS, analyzed)
    if not store.messages.count(SESSION):
        for session_id in (SESSION, "s100", "s300"):
            store.messages.extend(
                session_id, [{"role": "user", "content": str(number), "timestamp": 1e9} for number in range(MESSAGES)]
            )
        if analyzed:
            sample.analyze(store)
    return store


def plan(store: Store, verb: Callable[[], object]) -> list[str]:
    """Return the plan of all statements that `verb` executes, but for those that only insert."""
    statements = [statement for statement in executed(store, verb) if not statement[0].startswith("INSERT")]
    return [line for statement in statements for line in sqlite_plan(store, statement)]


def faults(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("SCAN") or "TEMP B-TREE" in line]


def list_faults(store: Store, name: str, **how: Any) -> dict[str, list[str]]:
    """Return what is wrong with the plans of a list, for each value of `archived`."""
    indexed = sample.INDEXED[name]
    filters, index = indexed.filters, indexed.index
    found = {}
    for archived in (None, True, False):
        lines = plan(store, lambda archived=archived: store.sessions.list(**filters, archived=archived, **how))
        used = {line.split()[4] for line in lines if line.startswith("SEARCH sessions USING")}
        if faults(lines) or used - {"ix_sessions_blank"} != {index}:
            found[f"{archived=}"] = lines
    return found


@pytest.mark.parametrize("pinned", [None, True, False])
@pytest.mark.parametrize("name", sample.INDEXED)
def test_the_first_page_of_a_list_comes_from_its_index(store: Store, name: str, pinned: bool | None) -> None:
    assert list_faults(store, name, pinned=pinned) == {}


@pytest.mark.parametrize("pinned", [None, True, False])
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_later_page_of_a_list_comes_from_its_index(store: Store, name: str, pinned: bool | None) -> None:
    for last_pinned in (True, False) if pinned is None else (pinned,):
        after = write_cursor("sessions", last_pinned, *sample.moment(SESSIONS, 0.5))
        assert list_faults(store, name, pinned=pinned, after=after) == {}


def test_the_list_of_deleted_sessions_comes_from_its_index(store: Store) -> None:
    for after in (None, store.sessions.list_deleted(limit=10).next):
        lines = plan(store, lambda after=after: store.sessions.list_deleted(after=after))
        assert "USING INDEX ix_sessions_deleted" in lines[0]
        assert faults(lines) == []


VERBS: dict[str, tuple[Callable[[Store], object], list[str]]] = {
    "sessions.get": (lambda store: store.sessions.get(SESSION), [BY_ID]),
    "sessions.exists": (lambda store: store.sessions.exists(SESSION), [BY_ID]),
    "sessions.update": (lambda store: store.sessions.update(SESSION, title="Renamed"), [BY_ID, BY_ROW]),
    "messages.count": (lambda store: store.messages.count(SESSION), [BY_ID]),
    "messages.read": (lambda store: store.messages.read(SESSION), [BY_ID, BY_POSITION, BODY]),
    "messages.tail": (lambda store: store.messages.tail(SESSION, limit=20), [BY_ID, BY_POSITION, BODY]),
    "messages.page": (lambda store: store.messages.page(SESSION, limit=20), [BY_ID, BY_POSITION, BODY]),
    "messages.append": (lambda store: store.messages.extend(SESSION, [{}, {}]), [BY_ID, BY_ROW]),
    "messages.update": (
        lambda store: store.messages.update(
            SESSION, 5, {"other": store.messages.count(SESSION)}, expected_revision=store.sessions.get(SESSION).revision
        ),
        [BY_ID, BY_POSITION, BODY, BY_ROW],
    ),
    "messages.truncate": (
        lambda store: store.messages.truncate(SESSION, keep=store.messages.count(SESSION) - 1),
        [BY_ID, BY_POSITION, BY_ROW],
    ),
    "documents.read": (
        lambda store: store.documents.read(SESSION),
        [BY_ID, "session_documents USING INDEX sqlite_autoindex_session_documents_1"],
    ),
    "projects.list": (lambda store: store.projects.list(profile="work"), ["projects USING INDEX ix_projects_list"]),
    "projects.get": (lambda store: store.projects.get(sample.PROJECT), ["sqlite_autoindex_projects_1 (project_id=?)"]),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_finds_its_rows_by_their_indexes(store: Store, name: str) -> None:
    verb, expected = VERBS[name]
    lines = plan(store, lambda: verb(store))
    assert faults(lines) == []
    assert [use for use in expected if not any(use in line for line in lines)] == []


def test_a_replace_reads_its_digests_in_order_and_writes_by_row(store: Store) -> None:
    transcript = store.messages.read(SESSION)
    edited = [{"new": len(transcript)}, *transcript[:50], {"other": 1}, *transcript[60:]]
    lines = plan(store, lambda: store.messages.replace(SESSION, edited, expected_revision=transcript.revision))
    assert any(BY_POSITION in line for line in lines)
    assert faults(lines) == []


def test_these_checks_see_a_scan_and_a_sort(store: Store) -> None:
    query = ("SELECT id FROM sessions ORDER BY title", ())
    assert faults(sqlite_plan(store, query)) == ["SCAN sessions", "USE TEMP B-TREE FOR ORDER BY"]
