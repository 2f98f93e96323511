"""Saves through `SessionStorage` that were committed and did not return, and threads that share a token."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import SessionStorage, session_storage
from tests.support.threads import all_well, together
from tests.support.webui.sessions import said


@pytest.fixture
def storage(sqlite_store: Store) -> SessionStorage:
    return SessionStorage(sqlite_store)


def interrupted(storage: SessionStorage, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **others: Any) -> None:
    """Save, with an exception after the commit and before the return."""

    class Unit:
        def __init__(self, unit: Any) -> None:
            self.unit = unit

        def __enter__(self) -> Any:
            return self.unit.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.unit.__exit__(*error)
            raise KeyboardInterrupt

    database = session_storage.SessionStorage._database(storage)
    original = database.write
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", lambda: Unit(original()))
        with pytest.raises(KeyboardInterrupt):
            storage.save(*arguments, **others)


@pytest.mark.parametrize("only", [None, {"input_tokens", "tool_calls"}])
def test_the_same_save_once_more_counts_nothing_twice(
    storage: SessionStorage, monkeypatch: pytest.MonkeyPatch, only: Any
) -> None:
    storage.save("s", {"input_tokens": 1}, said("a"), base=None)
    values, token = storage.load("s")
    values |= {"input_tokens": 11, "tool_calls": [{"name": "ls"}]}
    messages = said("a", "b")
    interrupted(storage, monkeypatch, "s", values, messages, base=token, only=only)
    _, other = storage.load("s")
    storage.append("s", said("of another"), base=other, touch=False)
    token, _ = storage.save("s", values, messages, base=token, only=only)
    loaded, _ = storage.load("s")
    assert (loaded["input_tokens"], loaded["tool_calls"]) == (11, [{"name": "ls"}])
    assert [message["content"] for message in loaded["messages"]] == ["a", "b", "of another"]
    assert token.revision == (storage.revision("s") if only is None else 1)  # it has no message of another


def test_another_save_with_the_same_token_is_merged(storage: SessionStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread that has the same version has none of what the first one wrote."""
    storage.save("s", {"input_tokens": 1, "title": "Trip"}, said("a"), base=None)
    values, token = storage.load("s")
    interrupted(storage, monkeypatch, "s", {**values, "title": "Rome", "input_tokens": 2}, said("a", "b"), base=token)
    storage.save("s", {**values, "input_tokens": 3}, said("a", "c"), base=token)
    loaded, _ = storage.load("s")
    assert (loaded["title"], loaded["input_tokens"]) == ("Rome", 4)
    assert [message["content"] for message in loaded["messages"]] == ["a", "b", "c"]


def test_threads_may_share_a_token(storage: SessionStorage) -> None:
    storage.save("s", {}, base=None)
    values, token = storage.load("s")

    def writer(name: int) -> Any:
        def write() -> None:
            message = {"role": "user", "id": f"{name}", "content": "x"}
            storage.save("s", {**values, f"x{name}": name, "input_tokens": 1}, [message], base=token)
            storage.append("s", [{"role": "user", "id": f"more {name}"}], base=token)

        return write

    all_well(together(*(writer(name) for name in range(6))))
    loaded, _ = storage.load("s")
    assert loaded["input_tokens"] == 6
    assert {f"x{name}" for name in range(6)} < loaded.keys()
    ids = sorted(message["id"] for message in loaded["messages"])
    assert ids == sorted([*(f"{name}" for name in range(6)), *(f"more {name}" for name in range(6))])
