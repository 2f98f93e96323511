"""Revision 0007: what is kept of former messages goes with a downgrade, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes_store import Store
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of


@pytest.mark.slow
def test_a_downgrade_loses_only_what_is_kept(new_database: Callable[[], str]) -> None:
    target = new_database()
    with Store.open(target) as store:
        store.sessions.create(session_id="trip", title="Trip")
        added = store.messages.extend("trip", ["a", "b", "c"])
        store.messages.truncate("trip", keep=2, expected_revision=added.revision)
        store.messages.append("trip", "d")
        before = store.sessions.get("trip")
    output(alembic("-x", f"url={target}", "downgrade", "0006"))
    assert not {"message_cuts", "kept_messages"} & schema_of(target).keys()
    with Store.open(target) as store:
        assert store.sessions.get("trip") == before
        assert store.messages.read("trip") == ["a", "b", "d"]
        assert store.messages.history("trip") == []
        store.messages.clear("trip", expected_revision=before.revision)
        store.messages.undo("trip")
        assert store.messages.read("trip") == ["a", "b", "d"]
