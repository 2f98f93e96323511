"""Transactions, on every backend: several verbs, one commit; and what one must not do with them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hermes_store import (
    HermesStoreError,
    InvalidInputError,
    InvalidPayloadError,
    MessageNotFoundError,
    ProjectExistsError,
    ProjectNotFoundError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
    Store,
    StoreClosedError,
    TransactionError,
    View,
)
from tests.support.tables import all_rows


class Trouble(Exception):  # noqa: N818 - the user's own, of which the store knows nothing
    """What goes wrong in the middle."""


def in_thread(function: Callable[[], Any]) -> Any:
    """Call in another thread, and return or raise what it does."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_several_verbs_are_one_commit(store: Store) -> None:
    with store.transaction() as tx:
        project = tx.projects.create(name="Work").project_id
        session_id = tx.sessions.create(project_id=project).session_id
        tx.messages.extend(session_id, ["one", "two"])
        tx.documents.put(session_id, {"draft": "three"})
        changed = tx.sessions.update(session_id, title="Rome")
        # Inside, everything is there already …
        assert tx.messages.read(session_id) == ["one", "two"]
        assert [s.title for s in tx.sessions.list().items] == ["Rome"]
    # … and outside, all of it at once.
    assert store.sessions.get(session_id) == changed
    assert store.messages.read(session_id) == ["one", "two"]
    assert store.documents.read(session_id) == {"draft": "three"}


def test_nobody_sees_half_a_transaction(store: Store, target: str) -> None:
    if target == ":memory:":
        # One connection: another thread waits for the end of the transaction, and sees all of it.
        entered, seen = threading.Event(), []
        with store.transaction() as tx:
            tx.sessions.create(title="one")
            thread = threading.Thread(target=lambda: (entered.set(), seen.append(store.sessions.count())))
            thread.start()
            entered.wait()
            tx.sessions.create(title="two")
        thread.join()
        assert seen == [2]
        return
    with store.transaction() as tx:
        tx.sessions.create(title="one")
        assert in_thread(store.sessions.count) == 0
        tx.sessions.create(title="two")
        assert in_thread(store.sessions.count) == 0
    assert store.sessions.count() == 2


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [Trouble(), KeyboardInterrupt(), GeneratorExit(), StaleSessionError("x", 1, 2)], ids=repr
)
def test_an_exception_takes_everything_back(store: Store, session_id: str, error: BaseException) -> None:
    before = all_rows(store)

    def write_and_fail(tx: View) -> None:
        tx.projects.create(name="Work")
        tx.sessions.create()
        tx.messages.append(session_id, "lost")
        tx.documents.put(session_id, {"draft": "lost"})
        tx.sessions.delete(session_id)
        fail(error)

    for owner in (store, store.profile("default")):
        with pytest.raises(type(error)), owner.transaction() as tx:
            write_and_fail(tx)
    assert all_rows(store) == before
    assert store.messages.append(session_id, "kept").message_count == 1


FAILING: list[tuple[type[HermesStoreError], Callable[[View], Any]]] = [
    (SessionNotFoundError, lambda tx: tx.messages.append("nobody", "lost")),
    (SessionNotFoundError, lambda tx: tx.sessions.get("nobody")),
    (SessionNotFoundError, lambda tx: tx.messages.read("nobody")),
    (SessionExistsError, lambda tx: tx.sessions.create(session_id="taken", title="lost")),
    (SessionExistsError, lambda tx: tx.sessions.change_id("other", "taken")),
    (SessionDeletedError, lambda tx: tx.sessions.update("deleted", title="lost")),
    (ProjectExistsError, lambda tx: tx.projects.create(name="lost", project_id="project")),
    (ProjectNotFoundError, lambda tx: tx.sessions.create(project_id="nobody")),
    (ProjectNotFoundError, lambda tx: tx.sessions.update("taken", title="lost", project_id="nobody")),
    (StaleSessionError, lambda tx: tx.messages.replace("taken", ["lost"], expected_revision=99)),
    (StaleSessionError, lambda tx: tx.documents.put("taken", {"draft": "lost"}, expected_revision=99)),
    (MessageNotFoundError, lambda tx: tx.messages.update("taken", 9, "lost", expected_revision=1)),
    (InvalidInputError, lambda tx: tx.messages.truncate("taken", keep=9, expected_revision=1)),
    (InvalidInputError, lambda tx: tx.projects.reorder([])),
    # Moving to another profile first cuts the links of the children; here that is taken back.
    (ProjectNotFoundError, lambda tx: tx.sessions.update("taken", profile="home", project_id="project")),
    (InvalidPayloadError, lambda tx: tx.messages.extend("taken", ["fine", b"not"])),
]


def test_a_caught_failure_in_a_transaction_writes_nothing(store: Store) -> None:
    store.projects.create(name="Work", project_id="project")
    for name in ("taken", "other", "deleted"):
        store.sessions.create(session_id=name, parent_id=None if name == "taken" else "taken")
    store.sessions.delete("deleted")
    before = all_rows(store)
    with store.transaction() as tx:
        for error, failing in FAILING:
            with pytest.raises(error):
                failing(tx)
    assert all_rows(store) == before
    with store.transaction() as tx:
        for number, (error, failing) in enumerate(FAILING):
            with pytest.raises(error):
                failing(tx)
            tx.messages.append("other", number)  # and the transaction goes on
    assert store.messages.read("other") == list(range(len(FAILING)))
    changed = {"sessions", "messages", "message_blobs"}
    assert {name: rows for name, rows in all_rows(store).items() if name not in changed} == {
        name: rows for name, rows in before.items() if name not in changed
    }


def test_a_store_is_refused_inside_its_own_transaction(store: Store, session_id: str) -> None:
    view = store.profile("work")
    started = store.sessions.iterate()
    uses: list[Callable[[], Any]] = [
        lambda: store.sessions.get(session_id),
        store.sessions.create,
        lambda: store.messages.append(session_id, "lost"),
        view.sessions.list,
        lambda: view.projects.create(name="lost"),
        lambda: store.profile("default").documents.read(session_id),
        store.info,
        lambda: next(started),
        lambda: store.transaction().__enter__(),
        lambda: view.transaction().__enter__(),
    ]
    with store.transaction() as tx:
        for use in uses:
            with pytest.raises(TransactionError, match="This thread is inside"):
                use()
        tx.messages.append(session_id, "kept")
    assert store.messages.read(session_id) == ["kept"]  # and afterwards it serves again
    assert view.sessions.count(include_empty=True) == 0
    assert store.projects.list().items == []


def test_a_transaction_serves_no_other_thread(store: Store, session_id: str) -> None:
    with store.transaction() as tx:
        for use in (
            lambda: tx.messages.append(session_id, "lost"),
            lambda: tx.messages.read(session_id),
            tx.sessions.list,
        ):
            with pytest.raises(TransactionError, match="belongs to the thread"):
                in_thread(use)
        tx.messages.append(session_id, "kept")
    assert store.messages.read(session_id) == ["kept"]


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_transaction_that_is_over_serves_nobody(store: Store, session_id: str, ending: str) -> None:
    before = all_rows(store)
    with contextlib.suppress(Trouble), store.transaction() as tx:
        if ending == "rollback":
            fail(Trouble())
    for use in (
        lambda: tx.messages.append(session_id, "lost"),
        lambda: tx.sessions.get(session_id),
        tx.projects.list,
    ):
        for call in (use, lambda: in_thread(use)):  # noqa: B023 - called at once
            with pytest.raises(TransactionError, match="is over"):
                call()
    assert all_rows(store) == before


def test_transactions_of_different_threads_take_turns(store: Store, session_id: str) -> None:
    def add(number: int) -> None:
        with store.transaction() as tx:
            count = tx.messages.append(session_id, number).message_count
            assert tx.messages.append(session_id, number).message_count == count + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    messages = store.messages.read(session_id)
    assert messages[::2] == messages[1::2]
    assert sorted(messages[::2]) == list(range(24))


def test_two_stores_do_not_mix_their_transactions(store: Store, session_id: str) -> None:
    with Store.open(":memory:") as other, store.transaction() as tx:
        made = other.sessions.create(title="elsewhere").session_id
        with other.transaction() as inner:
            inner.messages.append(made, "there")
            tx.messages.append(session_id, "here")
        assert other.messages.read(made) == ["there"]
        assert tx.messages.read(session_id) == ["here"]
    assert store.messages.read(session_id) == ["here"]


def test_a_closed_store_begins_no_transaction(store: Store, session_id: str) -> None:
    view = store.profile("work")
    store.close()
    store.close()
    for use in (
        lambda: store.transaction().__enter__(),
        lambda: store.sessions.get(session_id),
        view.sessions.create,
        store.info,
    ):
        with pytest.raises(StoreClosedError):
            use()
