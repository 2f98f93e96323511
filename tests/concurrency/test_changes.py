"""No committed change is missed, whatever the order in which transactions end."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Change, Store
from hermes_store.watching import Watch
from tests.support.internals import database_of, writing


def test_changes_wait_for_transactions_that_began_before(postgres_url: str) -> None:
    with Store.open(postgres_url) as slow, Store.open(postgres_url) as quick:
        cursor = quick.changes().cursor
        with slow.transaction() as tx:
            tx.sessions.create(session_id="first")
            quick.sessions.create(session_id="second")
            page = quick.changes(after=cursor)
            assert page.items == []
        found = quick.changes(after=page.cursor)
        assert [change.id for change in found.items] == ["first", "second"]


class _Rollback(Exception):  # noqa: N818 - nothing went wrong
    pass


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_commits_misses_a_change(postgres_url: str, seed: int) -> None:
    chance = random.Random(seed)
    followed: dict[str, str] = {}
    cursor = None
    with contextlib.ExitStack() as stores:
        reader, *writers = [stores.enter_context(Store.open(postgres_url)) for _ in range(5)]
        for name in "abcdefgh":
            reader.sessions.create(session_id=name)
        open_ones: dict[int, tuple[contextlib.ExitStack, object]] = {}
        for step in range(120):
            number = chance.randrange(len(writers))
            if number not in open_ones:
                stack = contextlib.ExitStack()
                open_ones[number] = (stack, stack.enter_context(writers[number].transaction()))
            stack, view = open_ones[number]
            if chance.random() < 0.4:
                del open_ones[number]
                with contextlib.suppress(_Rollback), stack:
                    if chance.random() < 0.3:
                        raise _Rollback
            else:
                # Each writer has sessions of its own, so that none waits for another.
                mine = "abcdefgh"[number * 2 + chance.randrange(2)]
                view.sessions.update(mine, title=f"{step}")  # type: ignore[attr-defined]
            page = reader.changes(after=cursor, limit=chance.randint(1, 4))
            assert len({change.id for change in page.items}) == len(page.items)
            followed |= {change.id: change.session.title for change in page.items if change.session}
            cursor = page.cursor
        for stack, _ in open_ones.values():
            stack.close()
        page = reader.changes(after=cursor)
        followed |= {change.id: change.session.title for change in page.items if change.session}
        assert followed == {one.session_id: one.title for one in reader.sessions.list(include_empty=True).items}
        assert reader.changes(after=page.cursor).items == []


def written_while_waiting(store: Store, watch: Watch, session_id: str) -> Change:
    """Return the change that a watch yields when a session is created while it waits."""
    late = threading.Timer(0.2, lambda: store.sessions.create(session_id=session_id))
    late.start()
    change = next(watch)
    late.join()
    return change


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_watch_goes_on_in_a_forked_child(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store, store.watch(timeout=60) as watch:
        assert written_while_waiting(store, watch, "a").id == "a"
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                store.sessions.create(session_id="of-the-child")
                code = 0 if next(watch).id == "of-the-child" else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert next(watch).id == "of-the-child"
        assert written_while_waiting(store, watch, "b").id == "b"


def test_a_watch_whose_connection_broke_misses_nothing(postgres_url: str) -> None:
    with Store.open(postgres_url) as store, store.watch(timeout=60) as watch:
        assert written_while_waiting(store, watch, "a").id == "a"
        with writing(store) as connection:
            ended = connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
            ).all()
            assert ended == [(True,)]
        store.sessions.create(session_id="b")
        assert next(watch).id == "b"
        assert written_while_waiting(store, watch, "c").id == "c"


def test_a_watch_closed_while_connecting_leaves_no_connection(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    with Store.open(postgres_url) as store:
        dialect: Any = database_of(store).dialect
        listen = dialect._listening

        def listen_too_late() -> Any:
            made.append(listen())
            watch.close()
            return made[0]

        monkeypatch.setattr(dialect, "_listening", listen_too_late)
        watch = store.watch(timeout=60)
        assert list(watch) == []
        assert made[0].closed
