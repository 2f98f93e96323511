"""PostgreSQL's plans for the lists, on many rows with statistics: their index, no scan of the table, no sort."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import Store
from hermes_store.pagination import write_cursor
from tests.support import list_sample as sample
from tests.support.internals import reading, writing
from tests.support.statements import executed, postgres_plan

SESSIONS = 1000 * sample.BLOCKS
#: What is read of each range for a page, which may be one row longer; and how many ranges a list of two profiles has.
PAGE = 51
RANGES = 12


@pytest.fixture(scope="module")
def store(make_postgres_database: Callable[..., str]) -> Iterator[Store]:
    with Store.open(make_postgres_database(), durability="normal") as store:
        with writing(store) as connection:  # which would gather other statistics in between
            connection.exec_driver_sql("ALTER TABLE sessions SET (autovacuum_enabled = off)")
        sample.fill(store, SESSIONS)
        with writing(store) as connection:  # from all rows: those from a sample are others each time
            connection.exec_driver_sql("SET LOCAL default_statistics_target = 1000")
            connection.exec_driver_sql("ANALYZE")
        yield store


def nodes(store: Store, verb: Callable[[], object]) -> list[dict[str, Any]]:
    return [node for statement in executed(store, verb) for node in postgres_plan(store, statement)]


def faults(plan: list[dict[str, Any]]) -> list[str]:
    """Return the nodes that sort too much, and those that read the sessions other than through an index."""
    return [
        f"{node['Node Type']} {node.get('Relation Name', '')} of {node['Plan Rows']} rows"
        for node in plan
        if ("Sort" in node["Node Type"] and node["Plan Rows"] > _most_sorted(node))
        or (node.get("Relation Name") == "sessions" and node["Node Type"] not in {"Index Scan", "Index Only Scan"})
    ]


def _most_sorted(node: dict[str, Any]) -> int:
    """Return how many rows a node may sort.

    Of a range, no more than the blank sessions of the last minute, which are so few that the planner may like to sort
    them. Of several ranges, a page of each.
    """
    while len(node.get("Plans", ())) == 1:
        [node] = node["Plans"]
        if node["Node Type"] == "Limit":
            return PAGE
    return PAGE * RANGES if node.get("Plans") else sample.FRESH


def list_faults(store: Store, name: str, turn: int, **how: Any) -> dict[str, Any]:
    """Return what is wrong with the plans of a list, by the value of `archived`.

    Where a profile is large, the planner may find it cheap enough to walk a wider list and filter.
    """
    indexed = sample.INDEXED[name]
    order = "activity" if how.get("order") == "activity" else "list"
    allowed = indexed.indexes(order) | {f"ix_sessions_{order}", "ix_sessions_blank", "ix_sessions_blank_profile"}
    found = {}
    for archived in sample.archived(name, turn):
        # Only the last statement: those before it find the project, or the profiles.
        statement = executed(
            store, lambda archived=archived: store.sessions.list(**indexed.filters, archived=archived, **how)
        )[-1]
        plan = postgres_plan(store, statement)
        used = {node.get("Index Name") for node in plan if re.fullmatch(r"sessions(_\d+)?", node.get("Alias", ""))}
        used -= {"pk_sessions"}  # the rows of the page
        if faults(plan) or not used or not used <= allowed:
            found[f"{archived=}"] = (faults(plan), used)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_first_page_of_sessions_uses_its_index(store: Store, name: str, pinned: bool | None) -> None:
    assert list_faults(store, name, sample.CHOICES.index(pinned), pinned=pinned) == {}


@pytest.mark.slow
@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_later_page_of_sessions_uses_its_index(store: Store, name: str, pinned: bool | None) -> None:
    after = write_cursor("sessions", pinned is not False, *sample.moment(SESSIONS, 0.5))
    assert list_faults(store, name, sample.CHOICES.index(pinned) + 1, pinned=pinned, after=after) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_list_by_activity_comes_from_its_index(store: Store, name: str) -> None:
    after = write_cursor("sessions by activity", True, *sample.moment(SESSIONS, 0.5))
    for turn, how in enumerate(({}, {"after": after})):
        assert list_faults(store, name, turn, order="activity", **how) == {}


@pytest.mark.parametrize("profile", [None, "work"])
def test_listing_deleted_sessions_uses_its_index(store: Store, profile: str | None) -> None:
    for after in (None, store.sessions.list_deleted(profile=profile).next):
        plan = nodes(store, lambda after=after: store.sessions.list_deleted(profile=profile, after=after))
        assert faults(plan) == []
        used = {node.get("Index Name") for node in plan if node.get("Alias") == "sessions"}
        assert used <= {"ix_sessions_deleted", "ix_sessions_deleted_profile"}


def test_project_sessions_are_counted_by_an_index(store: Store) -> None:
    plan = nodes(store, lambda: store.projects.list(profile="work"))
    assert "Seq Scan" not in {node["Node Type"] for node in plan if node.get("Relation Name") == "sessions"}
    assert "ix_sessions_project_id" in {node.get("Index Name") for node in plan}


@pytest.mark.parametrize("verb", ["get", "exists", "get_many", "find"])
def test_sessions_are_found_by_their_ids(store: Store, verb: str) -> None:
    argument = ["s7", "s8"] if verb == "get_many" else "s7"
    plan = nodes(store, lambda: getattr(store.sessions, verb)(argument))
    assert faults(plan) == []
    assert "uq_sessions_session_id" in {node.get("Index Name") for node in plan}


def test_columns_of_public_ids_have_collation_c(store: Store) -> None:
    """Else the ids with a prefix would be no range of the index in another locale, and some would not be found.

    No ids are ordered here, as the server of the tests has no locale whose order is not that of the bytes.
    """
    with reading(store) as connection:
        inspector = sa.inspect(connection)
        types: dict[tuple[str, str], Any] = {
            (table, one["name"]): one["type"]
            for table in inspector.get_table_names()
            for one in inspector.get_columns(table)
        }
    found = {place for place, type_ in types.items() if getattr(type_, "collation", None) == "C"}
    assert found == {("sessions", "session_id"), ("shares", "token")}
