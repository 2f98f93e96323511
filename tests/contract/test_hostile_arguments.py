"""Every public verb with every hostile value in every argument: a result, or an error of this library's."""

from __future__ import annotations

import contextlib
import inspect
import types
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hermes_store import HermesStoreError, MessageStream, Store
from hermes_store.quoting import number_of
from hermes_store.store import View
from hermes_store.transcripts import json_codec
from hermes_store.validation import ProjectChanges, SessionChanges
from tests.support.hostile_values import EVERYWHERE, HOSTILE, some_of
from tests.support.internals import writing
from tests.support.tables import all_rows

pytestmark = pytest.mark.slow

COLLECTIONS = ("sessions", "messages", "documents", "projects", "shares", "usage", "imports")
#: Methods of a store that make another view of it.
VIEWS = {"transaction", "snapshot", "close"}


@dataclass
class Scene:
    """A store with something in it, and good arguments for every verb."""

    store: Store
    session_id: str = field(init=False)
    project_id: str = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.project_id = self.store.projects.create(name="p").project_id
        self.session_id = self.store.sessions.create(title="t").session_id
        self.store.messages.extend(self.session_id, ["a", {"b": 1}, "c"])
        self.store.documents.put(self.session_id, {"k": 1})
        self.token = self.store.shares.create(self.session_id).token

    def good(self, verb: str, name: str) -> Any:
        return {
            "session_id": None if verb in {"sessions.create", "projects.create"} else self.session_id,
            "token": self.token,
            "session_ids": [self.session_id],
            "new_id": uuid.uuid4().hex,
            "project_id": self.project_id if verb.startswith("projects") and not verb.endswith(".create") else None,
            "project_ids": [one.project_id for one in self.store.projects.list(profile="default").items],
            "prefix": "a",
            "name": "default" if verb == "profile" else "n",
            "message": {"m": 1},
            "messages": ["a", "z"],
            "position": 0,
            "keep": 1,
            "older_than": 1e9,
            "values": {"session_id": uuid.uuid4().hex} if verb.endswith(".create_from_json") else {"k": 2},
            "keys": "k",
            "title": "T",
            "words": "a b",
            "model": "m",
            "since": 0,
            "expected_revision": self.store.sessions.get(self.session_id).revision,
        }[name]


def verbs_of(view: View) -> dict[str, Callable[..., Any]]:
    """Return the public methods of a view and of its collections by name."""
    owners = {"": view, **{f"{name}.": getattr(view, name) for name in COLLECTIONS}}
    return {
        prefix + name: method
        for prefix, owner in owners.items()
        for name, method in inspect.getmembers(owner, inspect.ismethod)
        if not name.startswith("_") and name not in VIEWS | {"open"}
    }


def verb_of(view: View, verb: str) -> Callable[..., Any]:
    """Return one of them."""
    collection, _, name = verb.rpartition(".")
    found: Callable[..., Any] = getattr(getattr(view, collection) if collection else view, name)
    return found


def arguments_of(verb: str, method: Callable[..., Any]) -> list[str]:
    """Return the names of all arguments that a verb takes; those of ``**changes`` are the fields."""
    names = []
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            kinds = ProjectChanges if verb.startswith("projects") else SessionChanges
            names += [one for one in kinds.__annotations__ if one not in names]
        else:
            names.append(name)
    return names


def call(scene: Scene, verb: str, method: Callable[..., Any], hostile: str, value: Any) -> Any:
    """Call a verb with good arguments but for one."""
    positional, named = [], {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.append(value if name == hostile else scene.good(verb, name))
        elif name == hostile:
            named[name] = value
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.setdefault(hostile, value)
        elif parameter.default is parameter.empty:
            named[name] = scene.good(verb, name)
    if positional:
        first = [named.pop(name) for name in inspect.signature(method).parameters if name == "session_id"]
        positional = [*first, *positional]
    result = method(*positional, **named)
    if isinstance(result, MessageStream):
        with result as stream:
            return stream.checkpoint({"text": "more"})
    return list(result) if isinstance(result, types.GeneratorType) else result


def is_of_the_call(error: TypeError) -> bool:
    """Whether Python itself refused the call: a keyword is missing or unknown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace is None


@contextlib.contextmanager
def whole_store(store: Store) -> Iterator[View]:
    yield store


@contextlib.contextmanager
def one_profile(store: Store) -> Iterator[View]:
    yield store.profile("default")


SURFACES: dict[str, Callable[[Store], contextlib.AbstractContextManager[View]]] = {
    "store": whole_store,
    "profile": one_profile,
    "transaction": Store.transaction,
    "snapshot": Store.snapshot,
}


def same(one: Any, other: Any) -> bool:
    return json_codec.encode(one) == json_codec.encode(other)


def require_stored(scene: Scene, view: View, verb: str, argument: str, value: Any) -> None:
    """Require that what a verb accepted is read back equal."""
    session_id = scene.session_id
    if verb in ("sessions.update", "sessions.create") and argument in SessionChanges.__annotations__:
        return  # its record is compared by the caller
    if verb == "messages.append":
        assert same(view.messages.read(session_id)[-1], value)
    elif verb == "messages.update" and argument == "message":
        assert same(view.messages.read(session_id)[0], value)
    elif verb == "messages.replace" and argument == "messages" and not isinstance(value, types.GeneratorType):
        assert same(view.messages.read(session_id), list(value))
    elif verb == "shares.refresh" and argument == "payload" and value is not None:
        assert same(view.shares.get(scene.token).payload, dict(value))
    elif verb == "documents.put" and argument == "values":
        read = view.documents.read(session_id)
        assert all(same(read[key], one) for key, one in value.items())


def clear(store: Store) -> None:
    """Remove everything, so that the next call finds few rows."""
    with writing(store) as connection:
        for table in ("sessions", "projects", "retired_ids"):
            connection.exec_driver_sql(f"DELETE FROM {table}")


def rows_of(store: Store) -> str:
    """Return all rows as text, in which NaN is equal to itself; another text each time if a value is nested deep."""
    try:
        return repr(all_rows(store))
    except RecursionError:
        return uuid.uuid4().hex


def require_usable(store: Store) -> None:
    """Require that everything goes on as before."""
    session_id = store.sessions.create(title="afterwards").session_id
    store.messages.append(session_id, "afterwards")
    assert store.messages.read(session_id) == ["afterwards"]
    store.sessions.purge(session_id)


def problem_of(scene: Scene, surface: str, verb: str, argument: str, name: str) -> tuple[str, bool]:
    """Make one call; return what was wrong with how it ended (empty if nothing was) and whether it was refused."""
    store, value = scene.store, HOSTILE[name]()
    refused = False
    try:
        with SURFACES[surface](store) as view:
            method = verb_of(view, verb)
            try:
                result = call(_Inside(scene, view), verb, method, argument, value)
            except HermesStoreError:
                refused = True
                view.sessions.get(scene.session_id)
            except RuntimeError as error:  # the caller's own
                if name != "raising generator" or "no more of it" not in str(error):
                    raise
                refused = True
            except TypeError as error:
                if not is_of_the_call(error):
                    raise
                refused = True
            else:
                if verb in ("sessions.create", "sessions.update") and argument in SessionChanges.__annotations__:
                    stored = getattr(result, argument)
                    assert stored == number_of(value) or same(stored, value)
                require_stored(scene, view, verb, argument, value)
    except Exception as error:  # the test's subject
        return f"{type(error).__name__}: {str(error)[:100]}", refused
    return "", refused


class _Inside(Scene):
    """The same, with reads inside of a transaction."""

    def __init__(self, scene: Scene, view: View) -> None:
        self.store = view  # type: ignore[assignment]
        self.session_id, self.project_id, self.token = scene.session_id, scene.project_id, scene.token


def all_verbs() -> list[str]:
    with Store.open(":memory:") as store:
        return sorted(verbs_of(store))


VERBS = all_verbs()


def problems_of(store: Store, surface: str, verb: str, names: Iterable[str], every: int) -> dict[tuple[str, str], str]:
    """Call a verb with hostile values, each in one of so many arguments, and return what was wrong."""
    with SURFACES[surface](store) as view:
        method = verbs_of(view).get(verb)
    if method is None:
        assert verb in ("profile", "info", "watch", "replica", "replica_lag")
        return {}
    problems = {}
    scene, rows = Scene(store), rows_of(store)
    for argument in arguments_of(verb, method):
        for name in some_of(names, verb + argument, every):
            problem, refused = problem_of(scene, surface, verb, argument, name)
            if wrote := rows_of(store) != rows:
                problem = problem or ("half written" if refused else "")
            if problem:
                problems[argument, name] = problem
            if wrote:  # otherwise the next call finds the same
                clear(store)
                scene, rows = Scene(store), rows_of(store)
    clear(store)
    return problems


#: Those of which each has found a fault of its own.
TELLING = ("10**5000", "nan", "surrogate", "a deep list", "raising object", "bytes")


@pytest.mark.parametrize("verb", VERBS)
def test_hostile_values_are_stored_or_refused(postgres_url: str, verb: str) -> None:
    with Store.open(postgres_url, durability="normal") as store:
        assert problems_of(store, "store", verb, TELLING, 2) == {}
        require_usable(store)


@pytest.mark.parametrize("surface", ["profile", "transaction", "snapshot"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_view_of_a_store_stores_or_refuses(surface: str, verb: str) -> None:
    with Store.open(":memory:") as store:
        names = HOSTILE if EVERYWHERE else ("10**5000", "raising object")
        assert problems_of(store, surface, verb, names, 1) == {}
        require_usable(store)


@pytest.mark.parametrize("verb", VERBS)
def test_each_hostile_value_is_stored_or_refused(verb: str) -> None:
    with Store.open(":memory:") as store:
        assert problems_of(store, "store", verb, HOSTILE, 6) == {}
        require_usable(store)
