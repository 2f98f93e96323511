"""Whatever value a caller passes to a verb, on every backend: it is stored, or refused by an error of this library."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import HermesStoreError, Store
from tests.support.json_values import nested, same

pytestmark = pytest.mark.slow


class Unprintable:
    """An object that cannot even be named in a message."""

    def __repr__(self) -> str:
        raise RuntimeError("no name")

    __str__ = __repr__


HOSTILE: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "an object": object,
    "an unprintable object": Unprintable,
    "bytes": lambda: b"\xff bytes",
    "a surrogate": lambda: "half \ud83d",
    "both halves": lambda: "\ud83d\ude00",
    "NUL": lambda: "nul\x00",
    "empty text": lambda: "",
    "long text": lambda: "x" * 100_000,
    "a huge number": lambda: 10**5000,
    "a negative huge number": lambda: -(10**5000),
    "2**63": lambda: 2**63,
    "a negative number": lambda: -1,
    "a fraction": lambda: 1.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "a complex number": lambda: 1j,
    "a deep list": lambda: nested("arrays", 3_000),
    "a deep object": lambda: nested("both", 3_000),
    "a generator": lambda: (number for number in range(3)),
    "a set": lambda: {1, 2},
    "an empty list": list,
    "a list of texts": lambda: ["a", "half \ud83d"],
    "a list of anything": lambda: [None, b"", object()],
    "an object with a key that is no text": lambda: {1: 2},
    "an object of texts": lambda: {"half \ud83d": "nul\x00"},
    "a class": lambda: dict,
    "a function": lambda: len,
}


@pytest.fixture
def filled(store: Store) -> Store:
    store.projects.create(name="Work", project_id="p")
    store.sessions.create(session_id="s", title="Trip", project_id="p")
    store.messages.append("s", {"role": "user"})
    store.documents.put("s", {"draft": "hi"})
    return store


JSON = ["None", "True", "a surrogate", "NUL", "empty text", "long text", "2**63", "NaN", "a deep list", "a deep object"]


@pytest.mark.parametrize("value_name", JSON)
def test_a_hostile_json_value_is_stored_and_equal(filled: Store, value_name: str) -> None:
    value = HOSTILE[value_name]()
    filled.messages.append("s", value)
    filled.messages.extend("s", [value])
    filled.documents.put("s", {"hostile": value})
    record = filled.sessions.update("s", compression_anchor_message_key=value)
    found = [
        *filled.messages.read("s")[1:],
        filled.documents.read("s", "hostile")["hostile"],
        record.compression_anchor_message_key,
    ]
    are_same = [same(one, value) for one in found]
    assert are_same == [True] * 4


@pytest.mark.parametrize("value_name", HOSTILE)
def test_open_accepts_or_refuses_any_hostile_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value_name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    value = HOSTILE[value_name]()
    attempts: list[dict[str, Any]] = [
        {"target": value},
        {"target": ":memory:", "busy_timeout": value},
        {"target": ":memory:", "durability": value},
    ]
    for attempt in attempts:
        with contextlib.suppress(HermesStoreError):
            Store.open(**attempt).close()


@pytest.mark.parametrize("value_name", HOSTILE)
def test_a_hostile_profile_name_is_refused_or_works(store: Store, value_name: str) -> None:
    try:
        view = store.profile(HOSTILE[value_name]())
    except HermesStoreError:
        return
    made = view.sessions.create(title="Trip")
    assert view.sessions.list().items == [made]
    assert view.stats().sessions == 1
