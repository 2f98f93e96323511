"""A store after a fork: the child works on, the parent is unharmed, and what either acknowledged stays."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.storage import migrations
from hermes_store.storage.dialects import Settings, dialect_for
from tests.support.other_process import forked


def test_a_child_can_use_the_store_it_inherits(store: Store) -> None:
    session_id = store.sessions.create().session_id
    store.messages.append(session_id, "parent, before")

    def work(connection: Any) -> Any:
        store.messages.append(session_id, "child")
        return list(store.messages.read(session_id))

    with forked(work) as child:
        assert child.said() == ["parent, before", "child"]
    store.messages.append(session_id, "parent, after")
    assert store.messages.read(session_id) == ["parent, before", "child", "parent, after"]


def test_child_writes_survive_closing_the_parent_store(target: str) -> None:
    """The parent believes to be the last on the file unless the child's locks are its own."""
    with Store.open(target) as store:
        session_id = store.sessions.create().session_id

        def work(connection: Any) -> Any:
            store.messages.append(session_id, "before the parent closed")
            connection.send("ready")
            connection.recv()
            store.messages.append(session_id, "after the parent closed")
            return list(store.messages.read(session_id))

        with forked(work) as child:
            assert child.said() == "ready"
            store.close()
            child.connection.send("closed")
            acknowledged = child.said()
    assert acknowledged == ["before the parent closed", "after the parent closed"]
    with Store.open(target) as store:
        assert store.messages.read(session_id) == acknowledged


def test_parent_writes_survive_closing_the_child_store(store: Store, target: str) -> None:
    session_id = store.sessions.create().session_id

    def work(connection: Any) -> Any:
        store.messages.append(session_id, "child")
        store.close()
        return "closed"

    with forked(work) as child:
        assert child.said() == "closed"
        store.messages.append(session_id, "parent")
    assert store.messages.read(session_id) == ["child", "parent"]
    with Store.open(target) as other:
        assert other.messages.read(session_id) == ["child", "parent"]


def test_a_fork_during_a_threads_transaction_loses_nothing(store: Store) -> None:
    session_id = store.sessions.create().session_id
    inside = threading.Event()

    def hold() -> None:
        with store.transaction() as tx:
            tx.messages.append(session_id, "thread of the parent")
            inside.set()
            time.sleep(0.3)  # not until an event: a fork may wait for the end of the transaction
            tx.messages.append(session_id, "thread of the parent again")

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(30)

    def work(connection: Any) -> Any:
        before = len(store.messages.read(session_id))
        position = store.messages.append(session_id, "child").first_position
        return before, store.messages.read(session_id)[position]

    with forked(work) as child:
        assert child.said() in ((0, "child"), (2, "child"))
    thread.join()
    messages = store.messages.read(session_id)
    assert sorted(messages) == ["child", "thread of the parent", "thread of the parent again"]
    assert store.sessions.get(session_id).message_count == 3


def test_forks_beside_reading_and_writing_threads_lose_nothing(sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal", busy_timeout=20) as store:
        session_id = store.sessions.create().session_id
        stop = threading.Event()
        written = 0

        def write() -> None:
            nonlocal written
            while not stop.is_set():
                store.messages.append(session_id, "parent")
                written += 1

        def read() -> None:
            while not stop.is_set():
                store.messages.read(session_id)

        threads = [threading.Thread(target=task) for task in (write, read)]
        for thread in threads:
            thread.start()
        try:
            for number in range(6):
                with forked(lambda connection, n=number: store.messages.append(session_id, n).first_position) as child:
                    assert child.said() >= number
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    with Store.open(sqlite_path) as store:
        messages = store.messages.read(session_id)
        assert messages.count("parent") == written
        assert [message for message in messages if message != "parent"] == list(range(6))
        assert store.sessions.get(session_id).message_count == len(messages)
    with sqlite3.connect(sqlite_path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_transaction_is_refused_in_a_forked_child(store: Store) -> None:
    session_id = store.sessions.create().session_id
    with store.transaction() as tx:
        tx.messages.append(session_id, "parent")
        with forked(lambda connection: tx.messages.append(session_id, "child")) as child:
            assert child.said().startswith("TransactionError: ")
        with forked(lambda connection: tx.messages.read(session_id)) as child:
            assert child.said().startswith("TransactionError: ")
        tx.messages.append(session_id, "parent again")
    assert store.messages.read(session_id) == ["parent", "parent again"]


def test_child_does_not_end_its_parent_s_transaction(store: Store) -> None:
    session_id = store.sessions.create().session_id
    leave = ConnectionAbortedError("the child leaves")

    def work(connection: Any) -> Any:
        manager.__exit__(type(leave), leave, None)

    manager = store.transaction()
    tx = manager.__enter__()
    tx.messages.append(session_id, "parent")
    with forked(work) as child:
        child.said()
    tx.messages.append(session_id, "parent again")
    manager.__exit__(None, None, None)
    assert store.messages.read(session_id) == ["parent", "parent again"]


def test_a_store_in_memory_does_not_survive_forks() -> None:
    with Store.open(":memory:") as store:
        session_id = store.sessions.create().session_id
        for verb in (lambda: store.messages.read(session_id), store.sessions.create, store.info):
            with forked(lambda connection, verb=verb: verb()) as child:
                assert child.said().startswith("StoreClosedError: A store in memory does not survive a fork")
        store.messages.append(session_id, "parent")
        assert store.messages.read(session_id) == ["parent"]


def test_a_closed_store_is_also_closed_in_children(target: str) -> None:
    store = Store.open(target)
    store.close()
    with forked(lambda connection: store.sessions.create()) as child:
        assert child.said().startswith("StoreClosedError: ")


def test_a_child_opens_a_store_during_an_upgrade(tmp_path: Path) -> None:
    inside, done = threading.Event(), threading.Event()

    def upgrade() -> None:
        with migrations._alembic_turn(dialect_for(":memory:", Settings())):
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=upgrade)
    thread.start()
    assert inside.wait(30)

    def work(connection: Any) -> Any:
        with Store.open(tmp_path / "child.db") as store:
            return store.info().schema_revision

    try:
        with forked(work) as child:
            assert child.said(10) == migrations.HEAD
    finally:
        done.set()
        thread.join()


def test_a_fork_of_a_fork_still_writes(store: Store) -> None:
    session_id = store.sessions.create().session_id

    def grandchild(connection: Any) -> Any:
        store.messages.append(session_id, f"grandchild {os.getppid() != parent}")
        return "done"

    def work(connection: Any) -> Any:
        store.messages.append(session_id, "child")
        pid = os.fork()
        if not pid:
            grandchild(connection)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    parent = os.getpid()
    with forked(work) as child:
        assert child.said() == 0
    assert store.messages.read(session_id) == ["child", "grandchild True"]
