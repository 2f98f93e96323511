"""The index of words follows forks, cuts and undos."""

from __future__ import annotations

import pytest

from hermes_store import Store
from hermes_store.maintenance import verify

pytestmark = pytest.mark.usefixtures("few_pending")


def test_forks_and_undone_messages_are_found(store: Store, session_id: str) -> None:
    def found() -> set[tuple[str, int | None]]:
        return {(hit.session.session_id, hit.position) for hit in store.search("almond").items}

    store.messages.extend(session_id, ["walnut", "almond", "almond cake"])
    fork = store.sessions.fork(session_id, at=2).session_id
    assert found() == {(session_id, 1), (session_id, 2), (fork, 1)}
    revision = store.sessions.get(session_id).revision
    store.messages.replace(session_id, ["pecan", "walnut"], expected_revision=revision)
    assert found() == {(fork, 1)}
    store.messages.undo(session_id)
    assert found() == {(session_id, 1), (session_id, 2), (fork, 1)}
    assert {hit.session.session_id for hit in store.search("pecan").items} == set()
    assert store.search('"(fork)"').items != []
    assert not [one for one in verify(store).findings if one.kind in ("search", "history", "message")]
