"""Revision 0010: numbers of changes, which a downgrade takes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes_store import InvalidCursorError, Store
from tests.support.contents import contents
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of


def test_a_downgrade_takes_only_the_order_of_changes(new_database: Callable[[], str]) -> None:
    target = new_database()
    with Store.open(target) as store:
        for name in ("a", "b", "c"):
            store.sessions.create(session_id=name, title=name)
        store.messages.append("a", "x")
        store.projects.create(project_id="p", name="P")
        store.sessions.purge("c")
        before, cursor = contents(store), store.changes().cursor
    output(alembic("-x", f"url={target}", "downgrade", "0008"))
    assert not {"gone_ids", "change_state"} & schema_of(target).keys()
    with Store.open(target) as store:
        assert contents(store) == before
        with pytest.raises(InvalidCursorError):
            store.changes(after=cursor)
        page = store.changes(limit=2)
        assert [one.id for one in (*page.items, *store.changes(after=page.cursor).items)] == ["p", "a", "b"]
        end = store.changes(after=page.cursor).cursor
        store.messages.append("a", "y")
        assert [one.id for one in store.changes(after=end).items] == ["a"]
