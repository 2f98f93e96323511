"""Profiles are walls: no verb of a profile's view sees or changes a row of another profile.

Every public verb of every collection is found by introspection and needs its attacks here; a verb that is
added without one fails the suite. Each attack is also made from the store itself, where it must succeed:
so an attack that could not hurt anybody does not count as one.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import inspect as inspect_database

from hermes_store import (
    WITHOUT,
    HermesStoreError,
    InvalidIdError,
    InvalidInputError,
    NotFoundError,
    ProfileView,
    ProjectExistsError,
    SessionExistsError,
    ShareExistsError,
    Store,
    View,
)
from hermes_store.collection import Collection
from hermes_store.files import import_directory
from hermes_store.storage.schema import SEARCH_NAMES
from hermes_store.validation import SessionChanges
from tests.support.internals import reading_in
from tests.support.state_dir import StateDir

SECRET = "secret-of-default"
LONG_AGO = 1000.0

Attack = Callable[[View], Any]


COLLECTIONS = ("sessions", "messages", "documents", "projects", "shares", "usage", "imports")
# The victims are of profile "default", so that a verb without a profile would hit them.
VICTIMS = ("alive", "deleted", "blank", "spoken", "former")
SPOKEN_REVISION = 3
TOKEN = "shared"


@pytest.fixture
def walled(store: Store, tmp_path: Path) -> Store:
    """Rows of two profiles: full of secrets in "default", and one session with one project in "work"."""
    state = StateDir(tmp_path / "webui")
    state.session(SECRET, {"role": "user", "content": SECRET})
    import_directory(store, state.root)
    store.sessions.change_id(SECRET, "imported")
    with store.transaction() as tx:
        tx.projects.create(name=SECRET, project_id="victims")
        tx.projects.create(name=SECRET, project_id="victims2")
        for name in VICTIMS:
            text: dict[str, Any] = {} if name == "blank" else {"title": SECRET, "project_id": "victims"}
            tx.sessions.create(session_id=name, model=SECRET, updated_at=LONG_AGO, **text)
        tx.messages.extend("spoken", [SECRET, {"role": "user", "content": SECRET}])
        tx.documents.put("spoken", {"draft": SECRET})
        tx.shares.create("spoken", {"title": SECRET}, token=TOKEN)
        tx.usage.record("spoken", model=SECRET, input_tokens=1, at=LONG_AGO)
        tx.sessions.create(session_id="cut", title=SECRET, updated_at=LONG_AGO)
        tx.messages.extend("cut", [SECRET])
        tx.messages.truncate("cut", keep=0, expected_revision=2)
        tx.sessions.create(session_id="child", title=SECRET, parent_id="spoken", updated_at=LONG_AGO)
        tx.sessions.delete("deleted")
        tx.sessions.change_id("former", f"{SECRET}-now")
        tx.projects.create(name="Mine", project_id="mine", profile="work")
        tx.sessions.create(session_id="own", profile="work", title="Own", updated_at=LONG_AGO)
        tx.sessions.create(session_id="own-blank", profile="work", updated_at=LONG_AGO)
        tx.messages.extend("own", ["one", "two"])
    return store


#: By verb: ways to reach another profile's rows. Each either raises one of ours or returns nothing of theirs.
def linked(view: View, values: dict[str, Any]) -> str | None:
    """Create a session with a link, and return the secret if the link was made."""
    made = view.sessions.create_from_json(values)
    view.sessions.delete(made.session_id)
    return SECRET if made.parent_id or made.project_id else None


ATTACKS: dict[str, list[Attack]] = {
    # The first, because others leave deleted sessions of their own.
    "sessions.purge_deleted": [
        lambda view: view.sessions.purge_deleted(older_than=0),
        lambda view: view.sessions.purge_deleted(older_than=0, profile="default"),
    ],
    "sessions.create": [
        lambda view: view.sessions.create(parent_id="spoken"),
        lambda view: view.sessions.create(project_id="victims"),
        lambda view: view.sessions.create(profile="default", title="intruder"),
    ],
    "sessions.get": [lambda view: view.sessions.get("spoken"), lambda view: view.sessions.get("former")],
    "sessions.as_json": [lambda view: view.sessions.as_json("spoken"), lambda view: view.sessions.as_json("former")],
    "sessions.create_from_json": [
        lambda view: view.sessions.create_from_json({"session_id": "new", "profile": "default", "title": "intruder"}),
        lambda view: linked(view, {"session_id": "fork", "parent_session_id": "spoken"}),
        lambda view: linked(view, {"session_id": "member", "project_id": "victims"}),
    ],
    "sessions.get_many": [lambda view: view.sessions.get_many(["spoken", "own", "former"])],
    "sessions.find": [lambda view: SECRET if view.sessions.find("s") + view.sessions.find(SECRET) else None],
    "sessions.exists": [lambda view: view.sessions.exists("spoken") and SECRET],
    "sessions.list": [
        lambda view: view.sessions.list(),
        lambda view: view.sessions.list(include_empty=True, limit=1000),
        lambda view: view.sessions.list(profile="default"),
        lambda view: view.sessions.list(project_id="victims"),
        lambda view: view.sessions.list(project_id=WITHOUT, include_empty=True),
        lambda view: view.sessions.list(source=WITHOUT, include_empty=True),
        lambda view: SECRET if view.sessions.list(include_empty=True, total=True).total != 2 else None,
    ],
    "sessions.iterate": [
        lambda view: list(view.sessions.iterate()),
        lambda view: list(view.sessions.iterate(profile="default")),
        lambda view: list(view.sessions.iterate(project_id="victims")),
    ],
    "sessions.list_deleted": [
        lambda view: view.sessions.list_deleted(),
        lambda view: view.sessions.list_deleted(profile="default"),
    ],
    "sessions.count": [
        lambda view: SECRET if view.sessions.count(include_empty=True) != 2 else None,
        lambda view: view.sessions.count(profile="default") and SECRET,
        lambda view: view.sessions.count(project_id="victims") and SECRET,
    ],
    "sessions.update": [
        lambda view: view.sessions.update("spoken", title="defaced"),
        lambda view: view.sessions.update("spoken", profile="work"),
        lambda view: view.sessions.update("own", profile="default", title="pushed across"),
    ],
    "sessions.change_id": [
        lambda view: view.sessions.change_id("spoken", "stolen"),
        lambda view: view.sessions.change_id("former", "stolen"),
    ],
    "sessions.delete": [lambda view: view.sessions.delete("spoken")],
    "sessions.restore": [lambda view: view.sessions.restore("deleted"), lambda view: view.sessions.restore("spoken")],
    "sessions.purge": [lambda view: view.sessions.purge("spoken"), lambda view: view.sessions.purge("deleted")],
    "sessions.delete_inactive": [
        lambda view: view.sessions.delete_inactive(older_than=-60),
        lambda view: view.sessions.delete_inactive(older_than=-60, profile="default"),
    ],
    "sessions.delete_empty": [
        lambda view: view.sessions.delete_empty(),
        lambda view: view.sessions.delete_empty(untitled_only=False),
        lambda view: view.sessions.delete_empty(profile="default"),
    ],
    "sessions.fork": [
        lambda view: view.sessions.fork("spoken"),
        lambda view: view.sessions.fork("spoken", at=0, title="stolen"),
        lambda view: view.sessions.fork("former"),
    ],
    "sessions.duplicate": [lambda view: view.sessions.duplicate("spoken", title="stolen")],
    "sessions.children": [lambda view: view.sessions.children("spoken")],
    "sessions.lineage": [lambda view: view.sessions.lineage("spoken")],
    "messages.append": [lambda view: view.messages.append("spoken", "intruder")],
    "messages.extend": [lambda view: view.messages.extend("spoken", ["intruder"])],
    "messages.read": [lambda view: view.messages.read("spoken")],
    "messages.count": [lambda view: view.messages.count("spoken") and SECRET],
    "messages.tail": [lambda view: view.messages.tail("spoken")],
    "messages.page": [lambda view: view.messages.page("spoken")],
    "messages.window": [lambda view: view.messages.window("spoken")],
    "messages.stream": [lambda view: view.messages.stream("spoken", {"role": "intruder"}).__enter__()],
    "messages.replace": [lambda view: view.messages.replace("spoken", [], expected_revision=SPOKEN_REVISION)],
    "messages.update": [lambda view: view.messages.update("spoken", 0, "x", expected_revision=SPOKEN_REVISION)],
    "messages.truncate": [lambda view: view.messages.truncate("spoken", keep=0, expected_revision=SPOKEN_REVISION)],
    "messages.clear": [lambda view: view.messages.clear("spoken", expected_revision=SPOKEN_REVISION)],
    "messages.history": [lambda view: view.messages.history("cut") and SECRET],
    "messages.undo": [lambda view: view.messages.undo("cut")],
    "messages.purge_history": [lambda view: view.messages.purge_history("cut")],
    "messages.prune_history": [
        lambda view: view.messages.prune_history(older_than=-60),
        lambda view: view.messages.prune_history(older_than=-60, profile="default"),
    ],
    "documents.read": [
        lambda view: view.documents.read("spoken"),
        lambda view: view.documents.read("spoken", "draft"),
    ],
    "messages.changes": [lambda view: view.messages.changes("spoken", since=0).items],
    "documents.put": [lambda view: view.documents.put("spoken", {"draft": "defaced"})],
    "documents.remove": [lambda view: view.documents.remove("spoken", "draft")],
    "shares.create": [
        lambda view: view.shares.create("spoken"),
        lambda view: view.shares.create("spoken", {"title": "intruder"}, token="new"),
    ],
    "shares.refresh": [lambda view: view.shares.refresh(TOKEN, {"title": "defaced"})],
    "shares.get": [lambda view: view.shares.get(TOKEN).payload],
    "shares.list": [
        lambda view: view.shares.list().items and SECRET,
        lambda view: view.shares.list(session_id="spoken").items and SECRET,
        lambda view: view.shares.list(profile="default").items and SECRET,
    ],
    "shares.revoke": [lambda view: view.shares.revoke(TOKEN).session_id],
    "shares.delete": [lambda view: view.shares.delete(TOKEN)],
    "usage.record": [lambda view: view.usage.record("spoken", model="intruder")],
    "usage.list": [lambda view: view.usage.list("spoken")],
    "usage.totals": [
        lambda view: view.usage.totals(["day", "model"]),
        lambda view: view.usage.totals(["session", "model"], profile="default"),
        lambda view: view.usage.totals()[0].records and SECRET,
    ],
    "imports.records": [lambda view: view.imports.records()],
    "imports.of_session": [lambda view: view.imports.of_session("imported")],
    "projects.create": [lambda view: view.projects.create(name="intruder", profile="default")],
    "projects.get": [lambda view: view.projects.get("victims")],
    "projects.list": [lambda view: view.projects.list(), lambda view: view.projects.list(profile="default")],
    "projects.rename": [lambda view: view.projects.rename("victims", "defaced")],
    "projects.update": [lambda view: view.projects.update("victims", color="#000")],
    "projects.reorder": [
        lambda view: view.projects.reorder(["victims2", "victims"]),
        lambda view: view.projects.reorder(["victims2", "victims"], profile="default"),
    ],
    "projects.delete": [lambda view: view.projects.delete("victims")],
}

#: What the same verbs do when the other profile's rows only stand in the way: ids are unique in the whole store.
COLLISIONS: list[tuple[Attack, type[HermesStoreError]]] = [
    (lambda view: view.sessions.create(session_id="spoken"), SessionExistsError),
    (lambda view: view.sessions.create(session_id="deleted"), SessionExistsError),
    (lambda view: view.sessions.create(session_id="former"), SessionExistsError),
    (lambda view: view.sessions.create_from_json({"session_id": "spoken"}), SessionExistsError),
    (lambda view: view.sessions.create_from_json({"session_id": "deleted"}), SessionExistsError),
    (lambda view: view.sessions.create_from_json({"session_id": "former"}), SessionExistsError),
    (lambda view: view.sessions.change_id("own", "spoken"), SessionExistsError),
    (lambda view: view.sessions.change_id("own", "former"), SessionExistsError),
    (lambda view: view.sessions.fork("own", new_id="spoken"), SessionExistsError),
    (lambda view: view.sessions.fork("own", new_id="former"), SessionExistsError),
    (lambda view: view.sessions.duplicate("own", new_id="deleted"), SessionExistsError),
    (lambda view: view.sessions.update("own", parent_id="spoken"), NotFoundError),
    (lambda view: view.sessions.update("own", project_id="victims"), NotFoundError),
    (lambda view: view.projects.create(name="x", project_id="victims"), ProjectExistsError),
    (lambda view: view.shares.create("own", token=TOKEN), ShareExistsError),
    (lambda view: view.projects.reorder(["mine", "victims"]), InvalidInputError),
]


def collections_of(view: View) -> dict[str, Collection]:
    return {name: value for name, value in vars(view).items() if not name.startswith("_") and name != "name"}


def verbs_of(view: View) -> dict[str, Callable[..., Any]]:
    """Every public verb of every collection, by "collection.verb"."""
    return {
        f"{name}.{verb}": function
        for name, collection in collections_of(view).items()
        for verb, function in inspect.getmembers(collection, callable)
        if not verb.startswith("_")
    }


def foreign_rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that do not belong to profile "work", raw."""
    mine = "SELECT id FROM sessions WHERE profile = 'work'"
    conditions = {
        "sessions": "profile <> 'work'",
        "projects": "profile <> 'work'",
        "messages": f"session_id NOT IN ({mine})",
        "message_blobs": f"message_id NOT IN (SELECT id FROM messages WHERE session_id IN ({mine}))",
        "message_cuts": f"session_id NOT IN ({mine})",
        "kept_messages": f"cut_id NOT IN (SELECT id FROM message_cuts WHERE session_id IN ({mine}))",
        "session_documents": f"session_id NOT IN ({mine})",
        "session_extras": f"session_id NOT IN ({mine})",
        "shares": f"session_id NOT IN ({mine})",
        "share_payloads": f"share_id NOT IN (SELECT id FROM shares WHERE session_id IN ({mine}))",
        "usage": "profile <> 'work'",
        "retired_ids": f"successor_id NOT IN ({mine}) OR successor_id IS NULL",
        "import_items": "1 = 1",
        "gone_ids": "profile <> 'work'",
    }
    tables = set(inspect_database(connection).get_table_names()) - {"hermes_store_version"}
    # The index of words has what is in the other tables; its state, and that of changes, are the whole store's.
    tables -= {*SEARCH_NAMES, "search_state", "change_state"}
    assert tables == set(conditions), "a table was added: say which of its rows are behind the wall"
    return {
        table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {where} ORDER BY 1, 2")]
        for table, where in conditions.items()
    }


class Rollback(Exception):  # noqa: N818 - nothing went wrong
    """Leaves a trial, so that the next finds everything as it was."""


@contextlib.contextmanager
def trial(owner: Store | ProfileView) -> Iterator[View]:
    """Give a view in a transaction that is rolled back at the end."""
    with contextlib.suppress(Rollback), owner.transaction() as view:
        yield view
        raise Rollback


def look(view: View) -> dict[str, list[tuple[Any, ...]]]:
    """The foreign rows as the view's own connection finds them."""
    with reading_in(view) as connection:
        return foreign_rows(connection)


def attacks_on(collection: str) -> list[tuple[str, int, Attack]]:
    """The attacks through one collection: verb, number, attack."""
    return [
        (verb, number, attack)
        for verb, attacks in ATTACKS.items()
        if verb.split(".")[0] == collection
        for number, attack in enumerate(attacks)
    ]


def outcome(attack: Attack, view: View) -> str:
    """What the attacker learns, as text; a refusal in our own words counts."""
    try:
        return repr(attack(view))
    except HermesStoreError as error:
        return f"{type(error).__name__}: {error}"


# ── the wall ──────────────────────────────────────────────────────────────────────────────────────


def test_every_verb_of_a_view_has_its_attacks(walled: Store) -> None:
    views: list[View] = [walled.profile("work")]
    with walled.profile("work").transaction() as tx:
        views.append(tx)
    for view in views:
        assert all(isinstance(collection, Collection) for collection in collections_of(view).values())
        assert set(verbs_of(view)) == set(ATTACKS), "a verb without attacks (or attacks on none): add them to ATTACKS"
    own = {name for name in dir(views[0]) if not name.startswith("_")}
    assert own == {*COLLECTIONS, "name", "transaction", "stats", "search", "changes", "watch"}


def test_every_parameter_that_names_something_is_attacked(walled: Store) -> None:
    """A verb that gets a `profile=` or a `project_id=` needs an attack through that as well."""
    reaching = {"session_id", "new_id", "project_id", "project_ids", "parent_id", "profile"}
    expected: set[str] = set()
    attacked: set[str] = set()

    def watched(verb: str, function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        names = set(signature.parameters)
        if verb in ("sessions.create", "sessions.update"):
            names |= set(SessionChanges.__annotations__)
        expected.update((verb, name) for name in names & reaching)

        def call(*args: Any, **kwargs: Any) -> Any:
            attacked.update((verb, name) for name in {*signature.bind(*args, **kwargs).arguments, *kwargs})
            return function(*args, **kwargs)

        return call

    with trial(walled.profile("work")) as view:
        for verb, function in verbs_of(view).items():
            collection, name = verb.split(".")
            setattr(getattr(view, collection), name, watched(verb, function))
        for attack in [*(attack for attacks in ATTACKS.values() for attack in attacks), *(a for a, _ in COLLISIONS)]:
            outcome(attack, view)
    assert expected - attacked == set()


@pytest.mark.slow
@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("inside", [False, True], ids=["view", "transaction"])
def test_no_verb_sees_or_changes_another_profiles_rows(walled: Store, collection: str, inside: bool) -> None:
    owner = walled.profile("work")
    with trial(owner) if inside else contextlib.nullcontext(owner) as view:
        before = look(view)
        for verb, number, attack in attacks_on(collection):
            learned = outcome(attack, view)
            assert SECRET not in learned, f"attack {number} of {verb} sees: {learned}"
            assert look(view) == before, f"attack {number} of {verb} changed something"


SEARCHES: list[Attack] = [
    lambda view: view.search(SECRET),
    lambda view: view.search("secret*", order="recent", role="user"),
    lambda view: view.search(SECRET, profile="default"),
    lambda view: view.search(SECRET, project_id="victims"),
]


@pytest.mark.parametrize("attack", SEARCHES)
def test_no_search_sees_another_profiles_texts(walled: Store, attack: Attack) -> None:
    assert SECRET in outcome(attack, walled)
    assert SECRET not in outcome(attack, walled.profile("work"))
    with walled.profile("work").transaction() as view:
        assert SECRET not in outcome(attack, view)


@pytest.mark.slow
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_attack_succeeds_where_there_is_no_wall(walled: Store, collection: str) -> None:
    for verb, number, attack in attacks_on(collection):
        with trial(walled) as view:
            before = look(view)
            learned = outcome(attack, view)
            assert SECRET in learned or look(view) != before, f"attack {number} of {verb} is harmless: {learned}"


def test_refusing_a_taken_id_reveals_no_other_profile(walled: Store) -> None:
    for attack, error in COLLISIONS:
        with trial(walled.profile("work")) as view:
            before = look(view)
            with pytest.raises(error) as refused:
                attack(view)
            assert SECRET not in str(refused.value)
            assert "default" not in str(refused.value)
            assert look(view) == before


# ── what a view is for ────────────────────────────────────────────────────────────────────────────


def test_a_view_sees_and_changes_its_own_rows(walled: Store) -> None:
    view = walled.profile("work")
    assert view.name == "work"
    assert [s.session_id for s in view.sessions.list(total=True).items] == ["own"]
    assert view.sessions.create().profile == view.projects.create(name="x").profile == "work"
    assert view.sessions.create(profile="work", parent_id="own", project_id="mine").parent_id == "own"
    assert view.messages.append("own", "three").message_count == 3
    assert view.messages.read("own") == ["one", "two", "three"]
    view.documents.put("own", {"draft": 1})
    assert view.documents.read("own") == {"draft": 1}
    assert view.sessions.delete_empty() == ["own-blank"]
    assert [s.session_id for s in view.sessions.list_deleted().items] == ["own-blank"]
    assert view.sessions.change_id("own", "renamed").session_id == "renamed"
    with view.transaction() as tx:
        tx.sessions.update("renamed", title="In one commit")
        tx.projects.delete("mine")
    assert walled.sessions.get("renamed").title == "In one commit"
    view.sessions.purge("renamed")
    assert not walled.sessions.exists("renamed")


@pytest.mark.parametrize("name", ["", "x" * 256, 5, None, b"work"], ids=lambda name: repr(name)[:10])
def test_views_and_lists_refuse_invalid_profile_names(sqlite_store: Store, name: Any) -> None:
    with pytest.raises(InvalidIdError):
        sqlite_store.profile(name)
    for verb in (sqlite_store.sessions.list, sqlite_store.sessions.count, sqlite_store.projects.list):
        if name is not None:
            with pytest.raises(InvalidIdError):
                verb(profile=name)


def test_profiles_differ_by_case_and_by_every_character(store: Store) -> None:
    profiles = [
        "work",
        "Work",
        "wörk",
        "wo\u0308rk",
        "work ",
        "wor_",
        "wor%",
        "half \ud83d",
        "half \ud83e",
        "w\x00",
        "*",
    ]
    for profile in profiles:
        store.profile(profile).sessions.create(title=profile)
        store.projects.create(name=profile, profile=profile)
    for profile in profiles:
        assert [s.title for s in store.profile(profile).sessions.list().items] == [profile]
        assert [p.name for p in store.profile(profile).projects.list().items] == [profile]
        assert store.sessions.count(profile=profile) == 1
    assert store.sessions.count() == len(profiles)
