"""PostgreSQL's plans for the lists, on many rows with statistics: their index, no scan of the table, no sort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.pagination import write_cursor
from tests.support import list_sample as sample
from tests.support.statements import executed, postgres_plan

SESSIONS = 20_000


@pytest.fixture(scope="module")
def store(make_postgres_database: Callable[..., str]) -> Iterator[Store]:
    with Store.open(make_postgres_database(), durability="normal") as store:
        sample.fill(store, SESSIONS)
        sample.analyze(store)
        yield store


def nodes(store: Store, verb: Callable[[], object]) -> list[dict[str, Any]]:
    return [node for statement in executed(store, verb) for node in postgres_plan(store, statement)]


def faults(plan: list[dict[str, Any]]) -> list[str]:
    """Return the nodes that sort, and those that read the sessions other than through an index.

    The blank sessions of the last minute are so few that the planner may like to sort them, which is well.
    """
    return [
        f"{node['Node Type']} {node.get('Relation Name', '')} of {node['Plan Rows']} rows"
        for node in plan
        if ("Sort" in node["Node Type"] and node["Plan Rows"] > sample.FRESH)
        or (node.get("Relation Name") == "sessions" and node["Node Type"] not in {"Index Scan", "Index Only Scan"})
    ]


def list_faults(store: Store, name: str, **how: Any) -> dict[str, Any]:
    """Return what is wrong with the plans of a list, for each value of `archived`.

    Where a profile is large, the planner may find it cheap enough to walk a wider list and filter.
    """
    indexed = sample.INDEXED[name]
    filters, index = indexed.filters, indexed.index
    found = {}
    for archived in (None, True, False):
        plan = nodes(store, lambda archived=archived: store.sessions.list(**filters, archived=archived, **how))
        used = {node.get("Index Name") for node in plan if node.get("Alias") == "sessions"}
        if faults(plan) or not used <= {index, "ix_sessions_blank", "ix_sessions_list", "ix_sessions_list_profile"}:
            found[f"{archived=}"] = (faults(plan), used)
    return found


@pytest.mark.parametrize("pinned", [None, True, False])
@pytest.mark.parametrize("name", sample.INDEXED)
def test_the_first_page_of_a_list_comes_from_its_index(store: Store, name: str, pinned: bool | None) -> None:
    assert list_faults(store, name, pinned=pinned) == {}


@pytest.mark.parametrize("pinned", [None, True, False])
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_later_page_of_a_list_comes_from_its_index(store: Store, name: str, pinned: bool | None) -> None:
    after = write_cursor("sessions", pinned is not False, *sample.moment(SESSIONS, 0.5))
    assert list_faults(store, name, pinned=pinned, after=after) == {}


def test_the_list_of_deleted_sessions_comes_from_its_index(store: Store) -> None:
    for after in (None, store.sessions.list_deleted().next):
        plan = nodes(store, lambda after=after: store.sessions.list_deleted(after=after))
        assert faults(plan) == []
        assert "ix_sessions_deleted" in {node.get("Index Name") for node in plan}


def test_a_session_is_found_by_its_id(store: Store) -> None:
    plan = nodes(store, lambda: store.sessions.get("s7"))
    assert faults(plan) == []
    assert "uq_sessions_session_id" in {node.get("Index Name") for node in plan}
