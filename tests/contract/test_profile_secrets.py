"""No error and no cursor of a profile's view tells anything about another profile's rows, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import HermesStoreError, InvalidCursorError, ProfileView, SessionExistsError, Store, View
from hermes_store.pagination import read_cursor, write_cursor, write_row_cursor
from hermes_store.storage import retired_ids
from tests.support.internals import reading

#: What became of a session of another profile.
FATES: dict[str, Callable[[Store, str], Any]] = {
    "is there": lambda store, session_id: store.sessions.get(session_id),
    "is deleted": lambda store, session_id: store.sessions.delete(session_id),
    "was purged": lambda store, session_id: store.sessions.purge(session_id),
    "was renamed": lambda store, session_id: store.sessions.change_id(session_id, f"{session_id}-now"),
    "was renamed and purged": lambda store, session_id: store.sessions.purge(
        store.sessions.change_id(session_id, f"{session_id}-now").session_id
    ),
}
TAKING: dict[str, Callable[[View, str], Any]] = {
    "create": lambda view, session_id: view.sessions.create(session_id=session_id),
    "change_id": lambda view, session_id: view.sessions.change_id("own", session_id),
}


def refusal(view: View, take: Callable[[View, str], Any], session_id: str) -> tuple[type[HermesStoreError], str]:
    """Return how an id is refused, without the id itself."""
    with pytest.raises(HermesStoreError) as refused:
        take(view, session_id)
    return type(refused.value), str(refused.value).replace(session_id, "ID")


@pytest.mark.parametrize("inside", [False, True], ids=["view", "transaction"])
@pytest.mark.parametrize("taking", TAKING)
def test_taken_ids_are_refused_alike_whatever_their_state(store: Store, taking: str, inside: bool) -> None:
    store.sessions.create(session_id="own", profile="work")
    for number, fate in enumerate(FATES.values()):
        store.sessions.create(session_id=f"theirs{number}")
        fate(store, f"theirs{number}")
    work = store.profile("work")
    refusals = set()
    for number in range(len(FATES)):
        if inside:
            with work.transaction() as view:
                refusals.add(refusal(view, TAKING[taking], f"theirs{number}"))
        else:
            refusals.add(refusal(work, TAKING[taking], f"theirs{number}"))
    [(kind, _)] = refusals
    assert kind is SessionExistsError


def test_ids_taken_by_concurrent_writes_are_refused_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.sessions.create(session_id="own", profile="work")
    store.sessions.create(session_id="theirs")
    work = store.profile("work")
    expected = refusal(work, TAKING["create"], "theirs")
    monkeypatch.setattr(retired_ids, "require_free", lambda *_: None)  # as if it was taken after that
    assert {refusal(work, take, "theirs") for take in TAKING.values()} == {expected}


def test_a_profiles_own_ids_are_told_apart(store: Store) -> None:
    work = store.profile("work")
    for session_id in ("s1", "s2", "s3"):
        work.sessions.create(session_id=session_id)
    work.sessions.delete("s2")
    work.sessions.change_id("s3", "now")
    texts = [refusal(work, TAKING["create"], session_id)[1] for session_id in ("s1", "s2", "s3")]
    assert ["already" in texts[0], "is deleted" in texts[1], "former id" in texts[2]] == [True] * 3


LISTS: dict[str, Callable[[View, str | None], Any]] = {
    "sessions": lambda view, after: view.sessions.list(limit=2, include_empty=True, after=after),
    "deleted": lambda view, after: view.sessions.list_deleted(limit=2, after=after),
    "projects": lambda view, after: view.projects.list(limit=2, after=after),
}


def _fill(store: Store, others: int) -> ProfileView:
    """Fill profile "work", with rows of another profile before each of its own."""
    for number in range(5):
        for other in range(others):
            store.sessions.create(session_id=f"other{number}-{other}", title="x")
            store.projects.create(name="x")
        store.projects.create(name="Work", profile="work", project_id=f"p{number}")
        for kind in ("s", "d"):
            store.sessions.create(session_id=f"{kind}{number}", profile="work", title="x", updated_at=5.0)
    return store.profile("work")


@pytest.mark.parametrize("name", LISTS)
def test_cursors_are_the_same_whatever_others_have(
    store: Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def cursors(one: Store, others: int) -> list[str]:
        view, found, after = _fill(one, others), [], None
        monkeypatch.setattr("hermes_store.sessions.time.time", lambda: 1e9)
        for number in range(5):
            view.sessions.delete(f"d{number}")
        while (after := LISTS[name](view, after).next) is not None:
            found.append(after)
        return found

    with Store.open(tmp_path / "alone.db", durability="normal") as alone:
        assert cursors(store, 3) == cursors(alone, 0) != []


def test_another_profile_s_cursor_id_is_unknown(store: Store) -> None:
    work = _fill(store, 1)
    for name in ("sessions", "projects"):
        cursor = LISTS[name](work, None).next
        key = read_cursor(name, cursor, *((bool, float, str) if name == "sessions" else (str, int, str)))
        pages = [
            [getattr(item, f"{name[:-1]}_id") for item in LISTS[name](work, write_cursor(name, *key[:2], one)).items]
            for one in ("other1-0", store.projects.list(profile="default").items[0].project_id, "nobody")
        ]
        assert pages[0] == pages[1] == pages[2]


def test_a_row_id_cursor_reaches_no_other_profile(store: Store) -> None:
    work = _fill(store, 1)
    store.sessions.delete("other0-0")
    for name, table in (("sessions", "sessions"), ("deleted", "sessions"), ("projects", "projects")):
        with reading(store) as connection:
            theirs = connection.exec_driver_sql(f"SELECT min(id) FROM {table} WHERE profile <> 'work'").scalar_one()
        for row_id in (theirs, 10_000):
            with pytest.raises(InvalidCursorError):
                LISTS[name](work, write_row_cursor(name, row_id))


def test_a_cursor_works_after_its_session_is_renamed(store: Store) -> None:
    for number in range(6):
        store.sessions.create(session_id=f"s{number}", title="x", updated_at=5.0)
    page = store.sessions.list(limit=2)
    store.sessions.change_id(page.items[-1].session_id, "renamed")
    store.sessions.update("renamed", updated_at=5.0)
    rest = store.sessions.list(limit=10, after=page.next)
    assert [record.session_id for record in rest.items] == ["s3", "s2", "s1", "s0"]


def test_a_page_after_a_purged_session_skips_nothing(store: Store) -> None:
    for number in range(6):
        store.sessions.create(session_id=f"s{number}", title="x", updated_at=5.0 + number // 3)
    page = store.sessions.list(limit=2)
    store.sessions.purge(page.items[-1].session_id)
    rest = store.sessions.list(limit=10, after=page.next)
    # The one of the same moment comes again: what was purged cannot tell any more which of them it followed.
    assert [record.session_id for record in rest.items] == ["s5", "s3", "s2", "s1", "s0"]
