"""Writes that leave a session where it is in lists, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes_store import InvalidInputError, Store

WRITES: dict[str, Callable[[Store, str, bool], object]] = {
    "update": lambda store, session_id, touch: store.sessions.update(session_id, touch=touch, pinned=True),
    "put": lambda store, session_id, touch: store.documents.put(session_id, {"draft": "new"}, touch=touch),
    "remove": lambda store, session_id, touch: store.documents.remove(session_id, "draft", touch=touch),
}


@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_moves_a_session_only_if_asked(store: Store, write: str, touch: bool) -> None:
    store.sessions.create(session_id="a", title="A", updated_at=1000.0)
    store.documents.put("a", {"draft": "old"}, touch=False)
    before = store.sessions.get("a")
    assert before.updated_at == 1000.0
    WRITES[write](store, "a", touch)
    after = store.sessions.get("a")
    assert (after.updated_at > 1000.0) == touch
    assert after.revision == after.fields_revision == before.revision + 1


@pytest.mark.parametrize("write", WRITES)
def test_touch_is_true_or_false(store: Store, session_id: str, write: str) -> None:
    with pytest.raises(InvalidInputError, match="touch"):
        WRITES[write](store, session_id, 1)  # type: ignore[arg-type]
