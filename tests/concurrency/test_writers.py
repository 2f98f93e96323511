"""Many writers at once: no error, nothing lost, no gap and no double in any session."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseLockedError, HermesStoreError, Store, errors
from tests.proofs import writers
from tests.support.appending import append_in_worker, append_rounds, begin_worker, require_all_there
from tests.support.statements import RollbackError
from tests.support.threads import all_well, together

pytestmark = pytest.mark.slow

SESSIONS = 3


@pytest.fixture
def session_ids(store: Store) -> list[str]:
    return [store.sessions.create(title=f"Session {number}").session_id for number in range(SESSIONS)]


def test_sixteen_threads_append_to_the_same_sessions(store: Store, session_ids: list[str]) -> None:
    outcomes = together(*(partial(append_rounds, store, worker, session_ids, 4) for worker in range(16)))
    acknowledged = list(itertools.chain.from_iterable(all_well(outcomes)))
    assert len(acknowledged) == 16 * 4 * SESSIONS
    require_all_there(store, acknowledged)


def test_sixteen_threads_append_to_sessions_of_their_own(store: Store) -> None:
    own = [store.sessions.create().session_id for _ in range(16)]
    outcomes = together(*(partial(append_rounds, store, index, [own[index]], 6) for index in range(16)))
    require_all_there(store, itertools.chain.from_iterable(all_well(outcomes)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_four_processes_append_to_shared_and_own_sessions(
    target: str, store: Store, session_ids: list[str], method: str
) -> None:
    """A forked process goes on with the store that it inherits; a spawned one opens its own."""
    context = multiprocessing.get_context(method)
    own = [store.sessions.create().session_id for _ in range(4)]
    given = store if method == "fork" else target
    with ProcessPoolExecutor(4, context, begin_worker, (given, context.Barrier(4))) as pool:
        futures = [pool.submit(append_in_worker, worker, [*session_ids, own[worker]], 6) for worker in range(4)]
        acknowledged = [done for future in futures for done in future.result(timeout=90)]
    assert len(acknowledged) == 4 * 6 * (SESSIONS + 1)
    require_all_there(store, acknowledged)


def test_mixed_verbs_of_many_threads_lose_nothing(target: str) -> None:
    result = writers.prove(seconds=2, processes=4, threads=4, target=target, busy_timeout=60)
    assert result.problems == []
    assert result.figures["threads"] == 16


def test_concurrent_sqlite_transactions_lose_no_increment(sqlite_store: Store) -> None:
    """No other writer comes between the reading and the writing."""
    session_id = sqlite_store.sessions.create().session_id
    sqlite_store.documents.put(session_id, {"counter": 0})

    def count_up() -> None:
        for _ in range(10):
            with sqlite_store.transaction() as tx:
                counter = tx.documents.read(session_id)["counter"]
                tx.documents.put(session_id, {"counter": counter + 1})

    all_well(together(*[count_up] * 8))
    assert sqlite_store.documents.read(session_id) == {"counter": 80}


def test_readers_see_whole_appends_and_whole_replacements_only(store: Store) -> None:
    appended, replaced = (store.sessions.create().session_id for _ in range(2))
    versions = {letter: [{letter: number} for number in range(size)] for letter, size in (("a", 3), ("b", 12))}
    revision = store.messages.extend(replaced, versions["a"]).revision
    writing = threading.Event()
    writing.set()

    def write() -> None:
        nonlocal revision
        try:
            for batch in range(30):
                store.messages.extend(appended, [{"batch": batch, "part": part} for part in range(4)])
                version = versions["ab"[(batch + 1) % 2]]
                revision = store.messages.replace(replaced, version, expected_revision=revision).revision
        finally:
            writing.clear()

    def read() -> int:
        seen = 0
        while writing.is_set():
            transcript = store.messages.read(appended)
            whole = [{"batch": n // 4, "part": n % 4} for n in range(len(transcript))]
            assert transcript == whole
            assert len(transcript) % 4 == 0
            assert len(transcript) >= seen, "what was seen once stays"
            seen = len(transcript)
            page = store.messages.tail(appended, limit=3)
            assert page.message_count % 4 == 0
            assert [item["part"] for item in page.items] == [1, 2, 3][: len(page.items)]
            found = store.messages.read(replaced)
            assert list(found) in versions.values()
        return seen

    all_well(together(write, read, read, read))
    assert store.messages.count(appended) == 120


def test_a_snapshot_sees_one_state_while_others_write(store: Store, session_ids: list[str]) -> None:
    writing = threading.Event()
    writing.set()

    def write() -> None:
        try:
            for number in range(25):
                with store.transaction() as tx:
                    for session_id in session_ids:
                        tx.messages.append(session_id, number)
        finally:
            writing.clear()

    def read() -> None:
        while writing.is_set():
            with store.snapshot() as snapshot:
                transcripts = [snapshot.messages.read(session_id) for session_id in session_ids]
                counts = [snapshot.sessions.get(session_id).message_count for session_id in session_ids]
            assert transcripts == [list(range(counts[0]))] * SESSIONS
            assert counts == [counts[0]] * SESSIONS

    all_well(together(write, read, read))
    assert [store.messages.count(session_id) for session_id in session_ids] == [25] * SESSIONS


def test_twenty_threads_that_create_projects_keep_twenty(store: Store) -> None:
    all_well(together(*(partial(store.projects.create, name=f"Project {number}") for number in range(20))))
    projects = store.projects.list().items
    assert {project.name for project in projects} == {f"Project {number}" for number in range(20)}
    assert len({project.project_id for project in projects}) == 20


def test_only_one_update_per_expected_revision_succeeds(store: Store) -> None:
    session = store.sessions.create()
    updates = [
        partial(store.sessions.update, session.session_id, title=f"Title {n}", expected_revision=session.revision)
        for n in range(8)
    ]
    outcomes = together(*updates)
    won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert [type(outcome) for outcome in outcomes].count(errors.StaleSessionError) == 7
    assert store.sessions.get(session.session_id) == won[0]


def test_only_one_creation_of_an_id_succeeds(store: Store) -> None:
    outcomes = together(*(partial(store.sessions.create, session_id="taken", title=str(n)) for n in range(8)))
    won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert [type(outcome) for outcome in outcomes].count(errors.SessionExistsError) == 7
    assert store.sessions.get("taken") == won[0]


@pytest.mark.parametrize("through_a_link", [False, True])
def test_two_stores_on_one_file_lose_no_append(sqlite_path: Path, through_a_link: bool) -> None:
    other_path = sqlite_path
    if through_a_link:
        other_path = sqlite_path.parent / "link.db"
        other_path.symlink_to(sqlite_path)
    with (
        Store.open(sqlite_path, durability="normal", busy_timeout=60) as one,
        Store.open(other_path, durability="normal", busy_timeout=60) as other,
    ):
        session_id = one.sessions.create().session_id
        outcomes = together(*(partial(append_rounds, (one, other)[n % 2], n, [session_id], 20) for n in range(6)))
        require_all_there(one, itertools.chain.from_iterable(all_well(outcomes)))


def test_a_thread_blocking_itself_gets_a_typed_error(sqlite_path: Path) -> None:
    """Two stores on one file in one thread: the second cannot write before the first is done."""
    with Store.open(sqlite_path) as one, Store.open(sqlite_path, busy_timeout=0.05) as other:
        session_id = one.sessions.create().session_id
        with one.transaction() as tx:
            tx.messages.append(session_id, "first")
            with pytest.raises(DatabaseLockedError, match="Nothing was written"):
                other.messages.append(session_id, "second")
        other.messages.append(session_id, "third")
        assert one.messages.read(session_id) == ["first", "third"]


def test_a_deadlock_ends_with_one_typed_error(postgres_url: str) -> None:
    with Store.open(postgres_url, busy_timeout=20) as store:
        pair = [store.sessions.create().session_id for _ in range(2)]
        halfway = threading.Barrier(2)

        def append_to(order: list[str], name: str) -> str:
            with store.transaction() as tx:
                tx.messages.append(order[0], name)
                halfway.wait(30)
                tx.messages.append(order[1], name)
            return name

        outcomes = together(partial(append_to, pair, "forth"), partial(append_to, pair[::-1], "back"))
        won = [outcome for outcome in outcomes if isinstance(outcome, str)]
        lost = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        assert (len(won), [type(error) for error in lost]) == (1, [DatabaseLockedError])
        assert [store.messages.read(session_id) for session_id in pair] == [won, won]


def _fail(error: HermesStoreError) -> Any:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        errors.StaleSessionError("abc", 1, 2),
        errors.InvalidPayloadError("is a set", "message 0"),
        errors.SessionNotFoundError("abc"),
        errors.SessionDeletedError("abc"),
        errors.SessionExistsError("abc"),
        errors.ProjectNotFoundError("abc"),
        errors.ProjectExistsError("abc"),
        errors.MessageNotFoundError("abc", 5, 3),
        errors.SchemaNewerError("a.db", "0009", "0001"),
        errors.SchemaOutdatedError("a.db", None, "0001"),
        errors.DatabaseLockedError("busy"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_unchanged_when_sent_between_processes(error: HermesStoreError) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        caught = pool.submit(_fail, error).exception(timeout=60)
    assert type(caught) is type(error)
    assert str(caught) == str(error)
    assert vars(caught).items() >= vars(error).items()


def test_a_transaction_reads_whole_transcripts_while_others_append(store: Store) -> None:
    """On PostgreSQL the statements of a transaction that writes may see different states of the data."""
    session_id = store.sessions.create(title="Trip").session_id
    over = threading.Event()

    def append() -> None:
        while not over.is_set():
            store.messages.append(session_id, "more")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        for _ in range(100):
            with contextlib.suppress(RollbackError), store.transaction() as tx:
                if tx.sessions.get(session_id).message_count:
                    assert set(tx.messages.read(session_id)) == {"more"}
                raise RollbackError
    finally:
        over.set()
        writer.join()
