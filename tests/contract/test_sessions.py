"""Sessions, on every backend."""

from __future__ import annotations

from hermes_store import Store


def test_a_created_session_is_found(store: Store) -> None:
    made = store.sessions.create(title="Trip", workspace="~/code", model="claude")
    assert store.sessions.get(made.session_id) == made
