"""Whatever value a caller passes to a verb, on every backend: it is stored, or refused by an error of this library."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import HermesStoreError, MessageStream, Store, View
from hermes_store.validation import ProjectChanges, SessionChanges
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
    "a deep list": lambda: nested("arrays", 10_000),
    "a deep object": lambda: nested("both", 10_000),
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

#: By verb: arguments that fit, one of which at a time is replaced by a hostile one.
FITTING: dict[str, dict[str, Any]] = {
    "sessions.create": {"session_id": "new"},
    "sessions.get": {"session_id": "s"},
    "sessions.get_many": {"session_ids": ["s"]},
    "sessions.exists": {"session_id": "s"},
    "sessions.find": {"prefix": "s", "limit": 5},
    "sessions.list": {},
    "sessions.iterate": {},
    "sessions.list_deleted": {},
    "sessions.count": {},
    "sessions.update": {"session_id": "s", "title": "Rome"},
    "sessions.change_id": {"session_id": "s", "new_id": "renamed"},
    "sessions.delete": {"session_id": "s"},
    "sessions.restore": {"session_id": "s"},
    "sessions.purge": {"session_id": "s"},
    "sessions.delete_empty": {},
    "messages.append": {"session_id": "s", "message": "hi"},
    "messages.extend": {"session_id": "s", "messages": ["hi"]},
    "messages.read": {"session_id": "s"},
    "messages.count": {"session_id": "s"},
    "messages.tail": {"session_id": "s"},
    "messages.page": {"session_id": "s"},
    "messages.window": {"session_id": "s"},
    "messages.stream": {"session_id": "s", "message": {}},
    "messages.replace": {"session_id": "s", "messages": ["hi"], "expected_revision": 2},
    "messages.update": {"session_id": "s", "position": 0, "message": "hi", "expected_revision": 2},
    "messages.truncate": {"session_id": "s", "keep": 0, "expected_revision": 2},
    "documents.read": {"session_id": "s"},
    "documents.put": {"session_id": "s", "values": {"draft": 1}},
    "documents.remove": {"session_id": "s"},
    "projects.create": {"name": "Work"},
    "projects.get": {"project_id": "p"},
    "projects.list": {},
    "projects.rename": {"project_id": "p", "name": "Play"},
    "projects.update": {"project_id": "p", "name": "Play"},
    "projects.reorder": {"project_ids": ["p"]},
    "projects.delete": {"project_id": "p"},
}
#: Keyword arguments that a signature does not name.
MORE = {
    "sessions.create": SessionChanges.__annotations__,
    "sessions.update": SessionChanges.__annotations__,
    "projects.update": ProjectChanges.__annotations__,
}


class Undo(Exception):  # noqa: N818 - nothing went wrong
    """Leaves a trial, so that the next finds everything as it was."""


@pytest.fixture
def filled(store: Store) -> Store:
    store.projects.create(name="Work", project_id="p")
    store.sessions.create(session_id="s", title="Trip", project_id="p")
    store.messages.append("s", {"role": "user"})
    store.documents.put("s", {"draft": "hi"})
    return store


@contextlib.contextmanager
def trial(store: Store) -> Iterator[View]:
    with contextlib.suppress(Undo), store.transaction() as view:
        yield view
        raise Undo


def verb_of(view: View, name: str) -> Callable[..., Any]:
    collection, verb = name.split(".")
    found: Callable[..., Any] = getattr(getattr(view, collection), verb)
    return found


def calls(view: View, name: str) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
    """Yield the calls of a verb with one hostile argument: its name, that of the value, and what to pass."""
    parameters = inspect.signature(verb_of(view, name)).parameters
    kinds = {parameter.name: parameter.kind for parameter in parameters.values()}
    for argument in [*(key for key in kinds if kinds[key] != inspect.Parameter.VAR_KEYWORD), *MORE.get(name, ())]:
        for value_name, make in HOSTILE.items():
            if kinds.get(argument) == inspect.Parameter.VAR_POSITIONAL:
                yield argument, value_name, ["s", make()], {}
            else:
                yield argument, value_name, [], {**FITTING[name], argument: make()}


def test_every_verb_is_called_with_hostile_values(store: Store) -> None:
    verbs = {
        f"{name}.{verb}"
        for name in ("sessions", "messages", "documents", "projects")
        for verb, _ in inspect.getmembers(getattr(store, name), callable)
        if not verb.startswith("_")
    }
    assert verbs == set(FITTING), "a new verb: say what fits it"


@pytest.mark.parametrize("name", FITTING)
def test_a_hostile_argument_is_refused_by_an_error_of_ours_or_stored(filled: Store, name: str) -> None:
    with trial(filled) as view:
        plans = list(calls(view, name))
    for argument, value_name, args, kwargs in plans:
        with trial(filled) as view:
            try:
                outcome = verb_of(view, name)(*args, **kwargs)
                if inspect.isgenerator(outcome):
                    list(outcome)
                if isinstance(outcome, MessageStream):
                    with outcome:
                        pass
            except HermesStoreError as error:
                if not str(error):
                    pytest.fail(f"{name}({argument}={value_name}) does not say what is wrong")
            except Exception as error:
                pytest.fail(f"{name}({argument}={value_name}) raises {error!r}", pytrace=True)
    # The store goes on as before.
    assert filled.messages.read("s") == [{"role": "user"}]
    assert filled.sessions.get("s").title == "Trip"


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
def test_a_store_opens_with_a_hostile_argument_or_refuses_it(
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
def test_a_view_of_a_hostile_profile_is_refused_or_works(store: Store, value_name: str) -> None:
    try:
        view = store.profile(HOSTILE[value_name]())
    except HermesStoreError:
        return
    made = view.sessions.create(title="Trip")
    assert view.sessions.list().items == [made]
    assert view.stats().sessions == 1
