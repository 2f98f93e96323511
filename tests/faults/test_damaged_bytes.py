"""Bytes of the file are flipped or zeroed: nothing wrong is read, nothing fails but by typed errors,
and `verify` finds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, Store
from tests.proofs import damage


@pytest.mark.slow
def test_damaged_bytes_give_right_values_or_errors() -> None:
    result = damage.prove(trials=200)
    assert result.problems == []
    assert result.figures["trials that touched data"] > 50


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        (b"workspace", lambda store: store.sessions.get("a")),
        (b"workspace", lambda store: store.sessions.create(workspace="/w")),
        (b"session_extras", lambda store: store.documents.read("a")),
        (b"session_extras", lambda store: store.documents.put("a", {"k": 1})),
    ],
)
def test_a_damaged_name_in_the_schema_is_damage(
    sqlite_path: Path, name: bytes, verb: Callable[[Store], object]
) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a")
    content = sqlite_path.read_bytes()
    assert name in content
    sqlite_path.write_bytes(content.replace(name, b"x" + name[1:]))
    with Store.open(sqlite_path) as store, pytest.raises(DatabaseCorruptError, match="its schema is damaged"):
        verb(store)
