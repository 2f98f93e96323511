"""Ids that are retired without a session: what was deleted elsewhere is not created here."""

from __future__ import annotations

import pytest

from hermes_store import SessionDeletedError, Store
from hermes_store.storage import retired_ids, unused_ids
from tests.support.internals import database_of


def test_only_ids_that_nobody_had_are_retired(store: Store) -> None:
    for name in ("live", "deleted", "purged", "before"):
        store.sessions.create(session_id=name, title="Trip")
    store.sessions.delete("deleted")
    store.sessions.purge("purged")
    store.sessions.change_id("before", "after")
    ids = ["live", "deleted", "purged", "before", "after", "unused", "another"]
    with database_of(store).write() as unit:
        assert unused_ids.retire(unit, ids) == {"unused", "another"}
        assert retired_ids.removed_among(unit, ids) == {"deleted", "purged", "unused", "another"}
        assert unused_ids.retire(unit, ids) == set()
    with pytest.raises(SessionDeletedError):
        store.sessions.create(session_id="unused")
    assert store.sessions.get("after").title == store.sessions.get("live").title == "Trip"
