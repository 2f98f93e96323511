"""`changes`: what was written to since a cursor."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_store import CursorExpiredError, InvalidCursorError, Store, TransactionError, View
from hermes_store.storage import change_rows, session_rows, staged_rows
from tests.support.internals import database_of


def follow(view: View, cursor: str | None = None, limit: int = 100) -> tuple[list[tuple[str, str, str]], str]:
    """Return the kind, id and state of every change after a cursor, and the cursor after them."""
    found: list[tuple[str, str, str]] = []
    while True:
        page = view.changes(after=cursor, limit=limit)
        found += [(change.kind, change.id, change.state) for change in page.items]
        cursor = page.cursor
        if not page.has_more:
            return found, cursor


def test_each_change_comes_once_as_it_is_now(store: Store) -> None:
    _, cursor = follow(store)
    project = store.projects.create(name="p").project_id
    for name in ("a", "b", "c", "d"):
        store.sessions.create(session_id=name, title=name)
    store.messages.extend("a", ["x", "y"])
    store.sessions.delete("b")
    store.sessions.change_id("c", "e")
    store.sessions.purge("d")
    found, after = follow(store, cursor, limit=2)
    assert found == follow(store, cursor)[0]
    assert sorted(found) == [
        ("project", project, "present"),
        ("session", "a", "present"),
        ("session", "b", "deleted"),
        ("session", "c", "gone"),
        ("session", "d", "gone"),
        ("session", "e", "present"),
    ]
    assert follow(store, after)[0] == []
    store.sessions.restore("b")
    [change] = store.changes(after=after).items
    assert (change.state, change.session) == ("present", store.sessions.get("b"))


def test_moved_sessions_are_gone_from_their_old_profile(store: Store) -> None:
    store.sessions.create(session_id="s", profile="home")
    home, work = store.profile("home"), store.profile("work")
    cursors = [follow(view)[1] for view in (home, work, store)]
    store.sessions.update("s", profile="work")
    expected = [("session", "s", "gone")], [("session", "s", "present")], [("session", "s", "present")]
    for view, cursor, found in zip((home, work, store), cursors, expected, strict=True):
        assert follow(view, cursor)[0] == found
    store.sessions.update("s", profile="home")
    store.sessions.purge("s")
    assert [follow(view, cursor)[0] for view, cursor in zip((home, work, store), cursors, strict=True)] == [
        [("session", "s", "gone")]
    ] * 3
    assert follow(work)[0] == [("session", "s", "gone")]
    assert follow(store.profile("other"))[0] == []


def test_an_id_that_is_used_again_is_present(store: Store, session_id: str) -> None:
    _, cursor = follow(store)
    store.sessions.change_id(session_id, "new")
    store.sessions.change_id("new", session_id)
    project = store.projects.create(name="a", project_id="p").project_id
    store.projects.delete(project)
    store.projects.create(name="b", project_id="p")
    expected = {("project", "p", "present"), ("session", "new", "gone"), ("session", session_id, "present")}
    found, _ = follow(store, cursor)
    assert (set(found), len(found)) == (expected, 3)


def test_a_cursor_of_other_changes_is_refused(store: Store, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other.db") as other:
        cursor = other.changes().cursor
    for wrong in (cursor, store.search("x").next or "", "", 5):
        with pytest.raises(InvalidCursorError):
            store.changes(after=wrong)  # type: ignore[arg-type]


def test_what_is_gone_is_told_for_thirty_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        store.sessions.create(session_id=name, profile="home" if name == "a" else "work")
    other = store.profile("work").changes().cursor
    _, early = follow(store)
    store.sessions.purge("a")
    _, late = follow(store)
    monkeypatch.setattr(change_rows, "KEPT_SECONDS", -1.0)
    store.sessions.purge("b")
    monkeypatch.undo()
    store.sessions.purge("c")
    assert follow(store)[0] == [("session", "c", "gone")]
    for view, cursor in ((store, early), (store, late), (store.profile("work"), other)):
        with pytest.raises(CursorExpiredError, match="too old"):
            view.changes(after=cursor)
    assert follow(store.profile("other"), early)[0] == []


def test_changes_are_not_read_inside_a_transaction(store: Store) -> None:
    with store.transaction() as tx, pytest.raises(TransactionError, match="snapshot"):
        tx.changes()
    with store.snapshot() as snapshot:
        assert snapshot.changes().items == []


def test_a_number_is_never_given_twice(store: Store) -> None:
    """What has the largest number is removed, and the next change has to come after it."""
    store.sessions.create(session_id="a", title="a")
    project = store.projects.create(name="p").project_id
    for remove, left in (
        (lambda: store.projects.delete(project), ("project", project, "gone")),
        (lambda: store.sessions.purge("a"), ("session", "a", "gone")),
    ):
        _, cursor = follow(store)
        remove()
        found, cursor = follow(store, cursor)
        assert found == [left]
    owner = staged_rows.Owner()
    with database_of(store).write() as unit:
        row = staged_rows.add(unit, owner)
    _, cursor = follow(store)
    with database_of(store).write() as unit:
        session_rows.remove_row(unit, row)
    store.sessions.create(session_id="next")
    assert follow(store, cursor)[0] == [("session", "next", "present")]


def test_profiles_of_any_name_learn_of_purged_sessions(store: Store) -> None:
    profile = "\ud83d\x10\0 é"
    view = store.profile(profile)
    session = view.sessions.create(title="Trip").session_id
    cursor = view.changes().cursor
    store.sessions.purge(session)
    assert [(change.id, change.state) for change in view.changes(after=cursor).items] == [(session, "gone")]
