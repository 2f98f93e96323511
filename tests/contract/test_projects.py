"""Projects, on every backend: names under which sessions are gathered, in an order of their own."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hermes_store import (
    WITHOUT,
    InvalidCursorError,
    InvalidIdError,
    InvalidInputError,
    ProjectDeletion,
    ProjectExistsError,
    ProjectNotFoundError,
    ProjectRecord,
    Store,
)
from hermes_store.projects import _RELEASED_AT_ONCE as BATCH
from hermes_store.storage import project_rows


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
def test_unknown_and_invalid_project_ids_are_refused(store: Store, work: ProjectRecord, verb: str) -> None:
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


def test_deleting_a_project_releases_only_its_sessions(store: Store, work: ProjectRecord) -> None:
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


def test_projects_created_by_parallel_threads_are_all_kept(store: Store) -> None:
    """The JSON store kept one of twenty."""
    wanted = [f"{number:02}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.projects.create(name=name), wanted))
    assert sorted(names(store)) == wanted


def test_pages_of_projects_have_their_session_counts(store: Store) -> None:
    made = []
    for number in range(7):
        profile = "home" if number % 3 == 0 else "default"
        made.append(store.projects.create(name=str(number), profile=profile))
        for _ in range(number):
            store.sessions.create(profile=profile, project_id=made[-1].project_id)
    deleted = store.sessions.list(project_id=made[6].project_id, include_empty=True).items[0]
    store.sessions.delete(deleted.session_id)  # does not count
    counts = {project.project_id: number for number, project in enumerate(made)} | {made[6].project_id: 5}
    for owner in (None, "default", "home"):
        expected = [project for project in made if owner in (None, project.profile)]
        expected.sort(key=lambda project: (project.profile, project.position))
        for limit in (1, 2, 3, 1000):
            found: list[ProjectRecord] = []
            after: str | None = None
            while True:
                page = store.projects.list(profile=owner, limit=limit, after=after)
                assert len(page.items) == limit or page.next is None
                found += page.items
                if (after := page.next) is None:
                    break
            assert [project.project_id for project in found] == [project.project_id for project in expected]
            assert all(project.session_count == counts[project.project_id] for project in found)
    assert store.projects.get(made[4].project_id).session_count == 4


def test_a_cursor_of_projects_is_refused_elsewhere(store: Store, work: ProjectRecord) -> None:
    store.projects.create(name="Home")
    cursor = store.projects.list(limit=1).next
    assert cursor is not None
    for verb in (store.sessions.list, store.sessions.list_deleted):
        with pytest.raises(InvalidCursorError):
            verb(after=cursor)
    for bad in ("", "x", 5, "bnVsbA"):
        with pytest.raises(InvalidCursorError):
            store.projects.list(after=bad)  # type: ignore[arg-type]
    for limit in (0, 1001, True, "5"):
        with pytest.raises(InvalidInputError, match="limit must be"):
            store.projects.list(limit=limit)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 5 * BATCH // 2])
def test_a_large_project_is_deleted_in_several_transactions(
    store: Store, work: ProjectRecord, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    _fill(store, count)
    transactions = 0
    write = store.database.write

    def counted() -> Any:
        nonlocal transactions
        transactions += 1
        return write()

    monkeypatch.setattr(store.database, "write", counted)
    assert store.projects.delete("work") == ProjectDeletion(project_id="work", released=count)
    assert transactions == count // BATCH + 1
    assert store.sessions.count(project_id=WITHOUT) == count
    assert store.projects.list().items == []


@pytest.mark.slow
def test_a_transaction_deletes_a_large_project_or_nothing(store: Store, work: ProjectRecord) -> None:
    _fill(store, 2100)
    with contextlib.suppress(ZeroDivisionError), store.transaction() as tx:
        assert tx.projects.delete("work").released == 2100
        raise ZeroDivisionError
    assert store.projects.get("work").session_count == 2100
    with store.transaction() as tx:
        assert tx.projects.delete("work").released == 2100
    assert store.sessions.count(project_id=WITHOUT) == 2100


@pytest.mark.slow
def test_an_interrupted_project_deletion_can_be_completed_later(
    store: Store, work: ProjectRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(store, 3 * BATCH // 2)
    with monkeypatch.context() as patch:
        patch.setattr(project_rows, "release_members", _interrupted_at_second(project_rows.release_members))
        with pytest.raises(KeyboardInterrupt):
            store.projects.delete("work")
    assert store.projects.get("work").session_count == BATCH // 2
    assert store.projects.delete("work").released == BATCH // 2
    assert store.sessions.count(project_id=WITHOUT) == 3 * BATCH // 2


def _fill(store: Store, count: int) -> None:
    with store.transaction() as tx:
        for number in range(count):
            tx.sessions.create(session_id=f"s{number}", title="Trip", project_id="work")


def _interrupted_at_second(function: Callable[..., int]) -> Callable[..., int]:
    calls = 0

    def call(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return function(*arguments)

    return call
