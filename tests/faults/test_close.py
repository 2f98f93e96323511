"""A closed store: closing is final, may be said twice, and every use after it says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store, StoreClosedError, TransactionError

USES: dict[str, Callable[[Store], Any]] = {
    "sessions.create": lambda store: store.sessions.create(),
    "sessions.get": lambda store: store.sessions.get("abc"),
    "sessions.list": lambda store: store.sessions.list(),
    "sessions.iterate": lambda store: list(store.sessions.iterate()),
    "messages.append": lambda store: store.messages.append("abc", "new"),
    "messages.read": lambda store: store.messages.read("abc"),
    "documents.read": lambda store: store.documents.read("abc"),
    "projects.list": lambda store: store.projects.list(),
    "transaction": lambda store: store.transaction().__enter__(),
    "snapshot": lambda store: store.snapshot().__enter__(),
    "profile": lambda store: store.profile("work").sessions.list(),
    "profile.transaction": lambda store: store.profile("work").transaction().__enter__(),
    "info": lambda store: store.info(),
}


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgresql"])
def closed(request: pytest.FixtureRequest) -> Store:
    targets = {"sqlite-file": "sqlite_path", "postgresql": "postgres_url"}
    fixture = targets.get(request.param)
    store = Store.open(request.getfixturevalue(fixture) if fixture else ":memory:")
    store.sessions.create(session_id="abc")
    store.close()
    return store


@pytest.mark.slow
def test_closing_again_does_nothing(closed: Store) -> None:
    for _ in range(3):
        closed.close()
    with closed:
        pass
    assert closed.closed


def test_every_use_of_a_closed_store_is_refused(closed: Store) -> None:
    for name, use in USES.items():
        with pytest.raises(StoreClosedError, match="open it again"):
            pytest.fail(f"{name} gave {use(closed)!r}")


def test_closing_a_store_closes_its_views(sqlite_path: Path) -> None:
    store = Store.open(sqlite_path)
    view = store.profile("work")
    view.sessions.create()
    store.close()
    with pytest.raises(StoreClosedError):
        view.sessions.list()


def test_an_error_in_its_block_closes_the_store(sqlite_path: Path) -> None:
    with pytest.raises(KeyError), Store.open(sqlite_path) as store:
        raise KeyError
    with pytest.raises(StoreClosedError):
        store.info()
    assert [path.name for path in sqlite_path.parent.iterdir()] == [sqlite_path.name]


def test_another_store_on_the_same_file_stays_open(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as staying:
        Store.open(sqlite_path).close()
        session_id = staying.sessions.create().session_id
        staying.messages.append(session_id, "one")
        assert staying.messages.read(session_id) == ["one"]


@pytest.mark.parametrize("target", ["sqlite_path", "postgres_url"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_begun_transaction_ends_though_the_store_closed(
    request: pytest.FixtureRequest, target: str, fails: bool
) -> None:
    place = request.getfixturevalue(target)
    store = Store.open(place)
    store.sessions.create(session_id="abc")

    def work() -> None:
        with store.transaction() as tx:
            tx.messages.append("abc", "one")
            store.close()
            tx.messages.append("abc", "two")
            if fails:
                raise KeyError

    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        work()
    with pytest.raises(StoreClosedError):
        store.messages.append("abc", "three")
    with Store.open(place) as again:
        assert again.messages.read("abc") == ([] if fails else ["one", "two"])


def test_a_transaction_is_refused_after_its_end(sqlite_store: Store) -> None:
    with sqlite_store.transaction() as tx:
        session_id = tx.sessions.create().session_id
    for use in (lambda: tx.sessions.get(session_id), lambda: tx.messages.append(session_id, "late")):
        with pytest.raises(TransactionError, match="over"):
            use()
    assert sqlite_store.messages.read(session_id) == []
