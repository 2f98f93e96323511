"""`watch`: changes as they are committed."""

from __future__ import annotations

import threading

import pytest

from hermes_store import InvalidCursorError, InvalidInputError, Store


def test_a_watch_yields_what_is_written(store: Store, session_id: str) -> None:
    with store.watch(timeout=60) as watch, store.profile("work").watch(timeout=0) as work:
        store.sessions.update(session_id, title="a")
        change = next(watch)
        assert (change.id, change.session and change.session.title) == (session_id, "a")
        waited = threading.Timer(0.1, lambda: store.sessions.create(session_id="late", profile="work"))
        waited.start()
        assert next(watch).id == "late"
        waited.join()
        assert [change.id for change in work] == ["late"]
        cursor = watch.cursor
    assert list(watch) == []
    assert list(store.watch(after=cursor, timeout=0)) == []
    store.messages.append(session_id, "x")
    assert [change.id for change in store.watch(after=cursor, timeout=0)] == [session_id]


def test_a_watch_resumes_after_the_last_change_returned(store: Store) -> None:
    watch = store.watch(timeout=0)
    for name in ("a", "b", "c"):
        store.sessions.create(session_id=name)
    assert [next(watch).id, next(watch).id] == ["a", "b"]
    assert [change.id for change in store.watch(after=watch.cursor, timeout=0)] == ["c"]
    watch.close()


def test_closing_ends_a_watch_that_waits(store: Store) -> None:
    watch = store.watch()
    closing = threading.Timer(0.1, watch.close)
    closing.start()
    assert list(watch) == []
    closing.join()


def test_closing_the_store_ends_its_watches(target: str) -> None:
    store = Store.open(target)
    watch = store.watch()
    closing = threading.Timer(0.1, store.close)
    closing.start()
    assert list(watch) == []
    closing.join()


def test_wrong_arguments_of_a_watch_are_refused(store: Store) -> None:
    with pytest.raises(InvalidCursorError):
        store.watch(after="x")
    with pytest.raises(InvalidInputError):
        store.watch(timeout=-1)
