"""What a verb costs, in instructions of SQLite's virtual machine: the same however much else there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.maintenance import reindex
from hermes_store.pagination import write_cursor
from tests.support import list_sample as sample
from tests.support.statements import undone, vm_steps

pytestmark = pytest.mark.slow

FEW, MANY = 5 * sample.BLOCKS, 2_000 * sample.BLOCKS
#: Every kind of session comes five in a row, even among the few: what is read for one page.
LIMIT = 4

#: Where cursors are, as parts of all sessions: between two blocks, so that each block is as a whole before or after.
PLACES = [place / sample.BLOCKS for place in (6, 24, 43)]

Verb = Callable[[Store], Callable[[], object]]


def cost(databases: sample.Databases, count: int, analyzed: bool, name: str, turn: int, **how: Any) -> dict[str, int]:
    """Return the steps of a list's page by the value of `archived`."""
    store = databases(count, analyzed)
    filters = sample.INDEXED[name].filters | how
    return {
        f"{archived=}": vm_steps(
            store, lambda archived=archived: store.sessions.list(**filters, archived=archived, limit=LIMIT)
        )
        for archived in sample.archived(name, turn)
    }


@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_first_pages_cost_the_same_among_many_sessions(
    databases: sample.Databases, analyzed: bool, name: str, pinned: bool | None
) -> None:
    turn = sample.CHOICES.index(pinned) + analyzed
    few, many = (cost(databases, count, analyzed, name, turn, pinned=pinned) for count in (FEW, MANY))
    assert few == many


@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_later_pages_cost_the_same_among_many_sessions(
    databases: sample.Databases, name: str, pinned: bool | None
) -> None:
    def pages(count: int) -> dict[tuple[bool, float], dict[str, int]]:
        return {
            (last_pinned, place): cost(
                databases,
                count,
                False,
                name,
                sample.CHOICES.index(pinned) + PLACES.index(place),
                pinned=pinned,
                after=write_cursor("sessions", last_pinned, *sample.moment(count, place)),
            )
            for last_pinned in ((True, False) if pinned is None else (pinned,))
            for place in PLACES
        }

    assert pages(FEW) == pages(MANY)


@pytest.mark.parametrize("name", sample.INDEXED)
def test_time_ranges_cost_the_same_among_many_sessions(databases: sample.Databases, name: str) -> None:
    def pages(count: int) -> list[dict[str, int]]:
        early, middle, late = (sample.moment(count, place) for place in PLACES)
        after = write_cursor("sessions", False, *middle)
        since, until = {"since": early[0]}, {"until": late[0]}
        hows: list[dict[str, Any]] = [since, until, {**since, **until, "after": after}]
        return [cost(databases, count, False, name, turn, **how) for turn, how in enumerate(hows)]

    assert pages(FEW) == pages(MANY)


@pytest.mark.parametrize("name", sample.INDEXED)
def test_activity_lists_cost_the_same_among_many_sessions(databases: sample.Databases, name: str) -> None:
    def pages(count: int) -> list[dict[str, int]]:
        early, middle, late = (sample.moment(count, place) for place in PLACES)
        after = write_cursor("sessions by activity", False, *middle)
        hows: list[dict[str, Any]] = [{}, {"after": after}, {"since": early[0], "until": late[0]}]
        return [cost(databases, count, False, name, turn, order="activity", **how) for turn, how in enumerate(hows)]

    assert pages(FEW) == pages(MANY)


def no_changes(store: Store) -> Callable[[], object]:
    """Read what was written since now: nothing."""
    with store.watch() as watch:
        cursor = watch.cursor
    return lambda: store.changes(after=cursor)


def last_changes(store: Store) -> Callable[[], object]:
    """Read the second page of changes, and one near the end."""
    page = store.changes(limit=LIMIT)
    count = store.sessions.count() - 3 * LIMIT
    late = store.changes(limit=min(count, 1000))
    while (count := count - len(late.items)) > 0:
        late = store.changes(after=late.cursor, limit=min(count, 1000))
    return lambda: [store.changes(after=cursor, limit=LIMIT) for cursor in (page.cursor, late.cursor)]


VERBS: dict[str, Verb] = {
    "changes, when there are none": no_changes,
    "changes after the first page, and before the last": last_changes,
    "sessions.get": lambda store: lambda: store.sessions.get("s7"),
    "sessions.exists": lambda store: lambda: store.sessions.exists("s7"),
    "sessions.as_json": lambda store: lambda: store.sessions.as_json("s7"),
    "sessions.create_from_json": lambda store: undone(
        store, lambda tx: tx.sessions.create_from_json({"session_id": "new", "messages": ["hi"]})
    ),
    "sessions.get_many": lambda store: lambda: store.sessions.get_many(["s7", "s8", "nobody"]),
    "sessions.find": lambda store: lambda: store.sessions.find("s1", limit=LIMIT),
    "sessions.list_deleted": lambda store: lambda: store.sessions.list_deleted(limit=LIMIT),
    "sessions.list_deleted of a profile": lambda store: (
        lambda: store.sessions.list_deleted(profile="work", limit=LIMIT)
    ),
    "sessions.delete_empty": lambda store: undone(store, lambda tx: tx.sessions.delete_empty(profile="nobody's")),
    "sessions.restore": lambda store: undone(store, lambda tx: tx.sessions.restore("s7")),
    "sessions.move": lambda store: undone(store, lambda tx: tx.sessions.update("s7", profile="default")),
    "sessions.create": lambda store: undone(store, lambda tx: tx.sessions.create(session_id="new", title="New")),
    "sessions.update": lambda store: undone(store, lambda tx: tx.sessions.update("s7", title="Renamed", pinned=True)),
    "sessions.fork": lambda store: undone(store, lambda tx: tx.sessions.fork("s7", new_id="fork")),
    "sessions.lineage": lambda store: lambda: store.sessions.lineage("s7"),
    "sessions.delete": lambda store: undone(store, lambda tx: tx.sessions.delete("s7")),
    "sessions.purge": lambda store: undone(store, lambda tx: tx.sessions.purge("s7")),
    "sessions.purge_deleted": lambda store: undone(
        store, lambda tx: tx.sessions.purge_deleted(older_than=0, limit=LIMIT)
    ),
    "sessions.delete_inactive of nothing": lambda store: undone(
        store, lambda tx: tx.sessions.delete_inactive(older_than=1e10, profile="work")
    ),
    "sessions.change_id": lambda store: undone(store, lambda tx: tx.sessions.change_id("s7", "renamed")),
    "projects.delete": lambda store: undone(store, lambda tx: tx.projects.delete("other7")),
    "projects.rename": lambda store: undone(store, lambda tx: tx.projects.rename("other7", "Renamed")),
    "documents.put": lambda store: undone(store, lambda tx: tx.documents.put("s7", {"draft": 1})),
    "documents.read": lambda store: lambda: store.documents.read("s7"),
    "messages.append": lambda store: undone(store, lambda tx: tx.messages.append("s7", {"role": "user"})),
    "usage.record": lambda store: undone(store, lambda tx: tx.usage.record("s7", model="m", input_tokens=1)),
    "usage.totals": lambda store: lambda: store.usage.totals("day", since=1.0, until=2.0),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_costs_the_same_among_many_sessions(databases: sample.Databases, name: str) -> None:
    few, many = (vm_steps(store, VERBS[name](store)) for store in (databases(FEW, False), databases(MANY, False)))
    assert few == many


def replaced(tx: Any) -> None:
    """Edit a message in the middle, by its position."""
    tx.messages.update("long", 5, {"edited": True}, expected_revision=tx.sessions.get("long").revision)


MESSAGE_VERBS: dict[str, Verb] = {
    "append": lambda store: undone(store, lambda tx: tx.messages.extend("long", [{"role": "user"}] * 3)),
    "tail": lambda store: lambda: store.messages.tail("long", limit=5),
    "page": lambda store: lambda: store.messages.page("long", limit=5),
    "update": lambda store: undone(store, replaced),
    "truncate": lambda store: undone(
        store,
        lambda tx: tx.messages.truncate(
            "long", keep=tx.messages.count("long") - 3, expected_revision=tx.sessions.get("long").revision
        ),
    ),
    "list": lambda store: lambda: store.sessions.list(limit=LIMIT),
}


@pytest.mark.parametrize("timed", [True, False], ids=["with timestamps", "without timestamps"])
@pytest.mark.parametrize("name", MESSAGE_VERBS)
def test_a_verb_costs_the_same_in_any_session(sqlite_store: Store, name: str, timed: bool) -> None:
    def steps(count: int) -> int:
        message = {"role": "user", "content": "…", **({"timestamp": 1.7e9} if timed else {})}
        sqlite_store.messages.extend("long", [message] * (count - sqlite_store.messages.count("long")))
        reindex(sqlite_store)  # no message is pending, whatever `count` is
        return vm_steps(sqlite_store, MESSAGE_VERBS[name](sqlite_store))

    sqlite_store.sessions.create(session_id="long", title="Long")
    assert steps(10) == steps(10_000)
