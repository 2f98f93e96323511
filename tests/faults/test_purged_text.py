"""What a purge leaves of a session in the files of an SQLite database: nothing of its text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import Store
from tests.support.file_text import files_with
from tests.support.internals import writing

#: Small, with a page of its own, and with pages in a chain.
SIZES = (20, 900, 3_000, 30_000)
SECRET, OTHER = "sesame", "potato"


def text(word: str, size: int) -> str:
    return f"{word} " * (size // (len(word) + 1) + 1)


def fill(store: Store, word: str) -> str:
    """Create a session, and write, change and remove text in it in every way; return its id."""
    session_id = store.sessions.create(title=text(word, 300), workspace=text(word, 60)).session_id
    for size in SIZES:
        store.messages.append(session_id, {"role": "user", "content": text(word, size)})
        store.documents.put(session_id, {f"document-{size}": text(word, size), "composer_draft": text(word, size)})
    for position, size in enumerate(reversed(SIZES)):
        revision = store.sessions.get(session_id).revision
        store.messages.update(session_id, position, {"content": text(word, size)}, expected_revision=revision)
    with store.messages.stream(session_id, {"role": "assistant", "content": ""}) as answer:
        for size in SIZES:
            answer.checkpoint({"role": "assistant", "content": text(word, size)})
    last = store.messages.extend(session_id, [text(word, size) for size in SIZES])
    store.messages.truncate(session_id, keep=last.first_position, expected_revision=last.revision)
    for size in SIZES:
        token = store.shares.create(session_id, {"title": text(word, size)}).token
    store.shares.refresh(token, {"title": text(word, SIZES[-1])})
    store.documents.remove(session_id, f"document-{SIZES[-1]}")
    store.sessions.update(session_id, title=text(word, 200))
    return session_id


@contextlib.contextmanager
def filled(path: Path, **options: str) -> Iterator[tuple[Store, str, str]]:
    """Give a store with two sessions: the secret one's id, and the other's."""
    with Store.open(path, durability="normal", **options) as store:  # type: ignore[arg-type]
        others = [fill(store, OTHER)]
        secret = fill(store, SECRET)
        others.append(fill(store, OTHER))
        yield store, secret, others[0]


def purge(store: Store, session_id: str) -> bool:
    return store.sessions.purge(session_id).erased


def delete_and_purge(store: Store, session_id: str) -> bool:
    store.sessions.delete(session_id)
    return store.sessions.purge(session_id).erased


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("remove", [purge, delete_and_purge])
def test_a_purge_leaves_no_text(sqlite_path: Path, remove: Callable[[Store, str], bool], mode: str) -> None:
    with filled(sqlite_path, journal_mode=mode) as (store, secret, other):
        assert remove(store, secret)
        # While it is open: closing it would empty the log as well.
        assert files_with(sqlite_path, SECRET) == []
        assert sqlite_path.name in files_with(sqlite_path, OTHER)
        assert store.messages.read(other)[0] == {"content": text(OTHER, SIZES[-1])}


def test_a_purge_forgets_notes_of_imports(sqlite_path: Path) -> None:
    with filled(sqlite_path) as (store, secret, _):
        with writing(store) as connection:
            connection.exec_driver_sql(
                "INSERT INTO import_items (kind, origin, item, session_id, digest, imported_at, notes) SELECT "
                f"'agent-session', 'x', 'y', id, x'00', 1.0, '{{\"title\": \"{SECRET}\"}}' FROM sessions "
                f"WHERE session_id = '{secret}'"
            )
        assert store.sessions.purge(secret).erased
        assert files_with(sqlite_path, SECRET) == []


def test_a_purge_is_erased_with_its_transaction(sqlite_path: Path) -> None:
    with filled(sqlite_path) as (store, secret, _):
        with store.transaction() as tx:
            result = tx.sessions.purge(secret)
            assert not result.erased  # not yet
        assert files_with(sqlite_path, SECRET) == []


def test_a_reader_keeps_the_log_until_later(sqlite_path: Path) -> None:
    with filled(sqlite_path) as (store, secret, other), Store.open(sqlite_path) as reader:
        with reader.snapshot() as view:
            view.sessions.get(secret)
            assert not store.sessions.purge(secret).erased
            assert files_with(sqlite_path, SECRET) != []
            assert view.sessions.get(secret).session_id == secret
        assert store.sessions.purge(other).erased
        assert files_with(sqlite_path, SECRET) == []


def test_close_empties_the_log_that_a_reader_kept(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as reader:
        with filled(sqlite_path) as (store, secret, _), reader.snapshot() as view:
            view.sessions.get(secret)
            assert not store.sessions.purge(secret).erased
        reader.sessions.list()
        assert files_with(sqlite_path, SECRET) == []
