"""Projects, on every backend: names under which sessions are gathered, in an order of their own."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hermes_store import (
    InvalidIdError,
    InvalidInputError,
    ProjectDeletion,
    ProjectExistsError,
    ProjectNotFoundError,
    ProjectRecord,
    Store,
)


def names(store: Store, profile: str | None = None) -> list[str]:
    return [project.name for project in store.projects.list(profile=profile).items]


@pytest.fixture
def work(store: Store) -> ProjectRecord:
    return store.projects.create(name="Work", color="#7aa2f7", project_id="work", created_at=0)


def test_a_created_project_is_found(store: Store) -> None:
    before = time.time()
    made = store.projects.create(name="Work", color="#7aa2f7")
    assert before <= made.created_at <= time.time()
    assert re.fullmatch("[0-9a-f]{12}", made.project_id)
    assert (made.name, made.color, made.profile, made.position, made.extra, made.session_count) == (
        *("Work", "#7aa2f7", "default", 0, {}, 0),
    )
    assert store.projects.get(made.project_id) == made
    assert store.projects.list().items == [made]


def test_projects_stand_in_the_order_of_their_making(store: Store) -> None:
    for name in "cab":
        store.projects.create(name=name)
        store.projects.create(name=f"{name} home", profile="home")
    assert names(store, "default") == ["c", "a", "b"]
    assert names(store, "home") == ["c home", "a home", "b home"]
    assert names(store) == names(store, "default") + names(store, "home")
    assert names(store, "nobody's") == []
    store.projects.delete(store.projects.list(profile="default").items[1].project_id)
    assert store.projects.create(name="last").position > 2
    assert names(store, "default") == ["c", "b", "last"]


@pytest.mark.parametrize("color", ["#abc", "#ABCDEF12", None])
@pytest.mark.parametrize("name", ["x", "n" * 128, "half \ud83d" * 10, "\x00" * 128])
def test_names_and_colours_come_back(sqlite_store: Store, name: str, color: str | None) -> None:
    made = sqlite_store.projects.create(name=name, color=color)
    assert (made.name, made.color) == (name, color)
    assert sqlite_store.projects.get(made.project_id) == made


BAD_FIELDS: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "n" * 129},
    {"name": None},
    {"name": 5},
    {"color": "red"},
    {"color": "#ab"},
    {"color": "#123456789"},
    {"color": "#ab\n"},
    {"color": "#١٢٣"},
    {"color": 5},
]
BAD_AT_CREATION: list[dict[str, Any]] = [
    {"created_at": float("nan")},
    {"created_at": "yesterday"},
    {"created_at": 10**400},
    {"profile": ""},
    {"profile": 5},
    {"project_id": ""},
    {"project_id": "../evil"},
    {"project_id": "half \ud83d"},
]


@pytest.mark.parametrize("fields", [*BAD_FIELDS, *BAD_AT_CREATION], ids=lambda fields: ascii(fields)[:40])
def test_a_project_that_cannot_be_is_not_made(sqlite_store: Store, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"Nothing was written\."):
        sqlite_store.projects.create(**{"name": "fine", **fields})
    assert names(sqlite_store) == []


def test_a_project_id_is_given_once(store: Store, work: ProjectRecord) -> None:
    for profile in ("default", "home"):
        with pytest.raises(ProjectExistsError) as refused:
            store.projects.create(name="Other", project_id="work", profile=profile)
        assert refused.value.project_id == "work"
    assert store.projects.list().items == [work]


def test_an_update_changes_what_is_named(store: Store, work: ProjectRecord) -> None:
    session = store.sessions.create(project_id="work")
    work = work.model_copy(update={"session_count": 1})
    assert store.projects.rename("work", "Play") == work.model_copy(update={"name": "Play"})
    assert store.projects.update("work", color=None) == work.model_copy(update={"name": "Play", "color": None})
    both = store.projects.update("work", name="Rest", color="#fff")
    assert both == work.model_copy(update={"name": "Rest", "color": "#fff"}) == store.projects.get("work")
    assert store.sessions.get(session.session_id) == session  # no session is written


def test_an_update_that_does_not_fit_changes_nothing(store: Store, work: ProjectRecord) -> None:
    fields: Any
    for fields in [*BAD_FIELDS, {}, {"position": 5}, {"profile": "home"}]:
        with pytest.raises(InvalidInputError):
            store.projects.update("work", **fields)
    assert store.projects.get("work") == work


@pytest.mark.parametrize("verb", ["get", "rename", "update", "delete"])
def test_a_project_that_is_not_there_is_not_found(store: Store, work: ProjectRecord, verb: str) -> None:
    arguments: Any = {"rename": {"name": "x"}, "update": {"color": None}}.get(verb, {})
    with pytest.raises(ProjectNotFoundError) as refused:
        getattr(store.projects, verb)("nobody", **arguments)
    assert refused.value.project_id == "nobody"
    for bad in ("../evil", "half \ud83d", "nul\x00", "", 5):
        with pytest.raises(InvalidIdError):
            getattr(store.projects, verb)(bad, **arguments)
    assert store.projects.list().items == [work]


def test_projects_are_put_in_another_order(store: Store) -> None:
    ids = [store.projects.create(name=name).project_id for name in "abc"]
    other = store.projects.create(name="home", profile="home").project_id
    store.projects.reorder([ids[2], ids[0], ids[1]])
    assert names(store, "default") == ["c", "a", "b"]
    for wrong in ([], ids[:2], [*ids, ids[0]], [ids[0]] * 3, [*ids[:2], other], [*ids, other]):
        with pytest.raises(InvalidInputError, match="The order is as it was"):
            store.projects.reorder(wrong)
    with pytest.raises(InvalidIdError):
        store.projects.reorder([*ids[:2], "half \ud83d"])
    with pytest.raises(InvalidInputError):
        store.projects.reorder(ids, profile="home")
    assert names(store, "default") == ["c", "a", "b"]
    store.projects.reorder([other], profile="home")
    store.projects.reorder([], profile="nobody's")


def test_deleting_a_project_releases_its_sessions_and_nothing_else(store: Store, work: ProjectRecord) -> None:
    other = store.projects.create(name="Other")
    inside = [store.sessions.create(project_id="work", updated_at=5.0) for _ in range(3)]
    outside = [store.sessions.create(project_id=other.project_id), store.sessions.create()]
    store.sessions.delete(inside[2].session_id)
    assert store.projects.delete("work") == ProjectDeletion(project_id="work", released=3)
    for session in inside[:2]:
        revision = session.revision + 1
        new = {"project_id": None, "revision": revision, "fields_revision": revision}
        released = session.model_copy(update=new)
        assert store.sessions.get(session.session_id) == released  # its place in the list stays
    assert store.sessions.restore(inside[2].session_id).project_id is None
    assert [store.sessions.get(session.session_id) for session in outside] == outside
    assert store.projects.list().items == [other.model_copy(update={"session_count": 1})]
    assert store.projects.delete(other.project_id).released == 1
    assert store.projects.list().items == []


def test_projects_made_at_the_same_time_are_all_kept(store: Store) -> None:
    """The JSON store kept one of twenty."""
    wanted = [f"{number:02}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.projects.create(name=name), wanted))
    assert sorted(names(store)) == wanted
