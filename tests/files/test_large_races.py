"""Others who write to the same session between the parts of an import: what is to be done is decided at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.storage.part_writer import remove_left_over
from hermes_store.storage.turns import Turns
from tests.support.internals import database_of, writing
from tests.support.parts import before_parts, orphans, shrink_parts, staged_ids
from tests.support.state_dir import StateDir, by_name

pytestmark = pytest.mark.slow

#: More than any of these imports has.
TRANSACTIONS = 40


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_parts(monkeypatch)


def talk(count: int, version: int = 0) -> list[dict[str, Any]]:
    return [{"role": "user", "n": number, "version": version, "text": "x" * 50} for number in range(count)]


NEW, CHANGED = talk(22), talk(22, version=1)


@pytest.fixture
def meanwhile(new_store: Callable[[], Store], state: StateDir) -> Callable[..., Iterator[tuple[Store, Any]]]:
    """Run an import again and again, with another program's write before each of its transactions in turn.

    Yields the store and the report on the file, for each of them.
    """

    def run(write: Callable[[Store], object], *, exists: bool, **options: Any) -> Iterator[tuple[Store, Any]]:
        for number in range(1, TRANSACTIONS):
            store = new_store()
            state.session("big", *NEW)
            if exists:
                import_directory(store, state.root)
                state.session("big", *CHANGED, age=1800.0)
            transactions = 0
            path = database_of(store).dialect.path
            assert path is not None
            with Store.open(path, durability="normal") as other:

                def intervene(other: Store = other, number: int = number) -> None:
                    nonlocal transactions
                    transactions += 1
                    if transactions == number:
                        write(other)

                with before_parts(intervene):
                    item = by_name(import_directory(store, state.root, **options))["big.json"]
            assert (staged_ids(store), orphans(store)) == ([], 0)
            if transactions < number:
                assert number > 5
                store.close()
                return
            yield store, item
            store.close()
        raise AssertionError("it has too many transactions")

    return run


Meanwhile = Callable[..., Iterator[tuple[Store, Any]]]


def test_a_session_that_others_create_meanwhile_is_kept(meanwhile: Meanwhile) -> None:
    def create(other: Store) -> None:
        if not other.sessions.exists("big"):
            other.sessions.create(session_id="big", title="Theirs")
            other.messages.extend("big", ["mine"] * 15)

    outcomes = set()
    for store, item in meanwhile(create, exists=False):
        outcomes.add(item.outcome)
        expected = ["mine"] * 15 if item.outcome == "conflict" else NEW
        assert store.messages.read("big") == expected
    assert outcomes == {"conflict"}


def test_a_file_others_import_meanwhile_is_stored_once(meanwhile: Meanwhile, state: StateDir) -> None:
    for exists in (False, True):
        for store, item in meanwhile(lambda other: import_directory(other, state.root), exists=exists):
            assert item.outcome in {"unchanged", "updated" if exists else "imported"}
            assert store.messages.read("big") == (CHANGED if exists else NEW)
            assert store.sessions.count() == 1


def test_a_session_that_others_purge_meanwhile_stays_purged(meanwhile: Meanwhile) -> None:
    def purge(other: Store) -> None:
        if not other.sessions.exists("big"):
            other.sessions.create(session_id="big", title="Theirs")
        other.sessions.delete("big")
        other.sessions.purge("big")

    for exists in (False, True):
        for store, item in meanwhile(purge, exists=exists):
            assert item.outcome in {"skipped", "updated" if exists else "imported"}
            assert not store.sessions.exists("big")
            assert store.sessions.count(include_empty=True) == 0


def test_a_session_that_others_delete_meanwhile_stays_deleted(meanwhile: Meanwhile) -> None:
    for store, item in meanwhile(lambda other: other.sessions.delete("big"), exists=True):
        assert item.outcome in {"skipped", "updated"}
        assert [row.session_id for row in store.sessions.list_deleted().items] == ["big"]
        store.sessions.restore("big")
        assert store.messages.read("big") == (NEW if item.outcome == "skipped" else CHANGED)


@pytest.mark.parametrize("prefer", ["store", "files"])
def test_a_message_added_meanwhile_is_kept_or_replaced(meanwhile: Meanwhile, prefer: str) -> None:
    seen: list[Any] = []  # what the session had when the message was added

    def add(other: Store) -> None:
        seen[:] = other.messages.read("big")
        other.messages.append("big", "mine")

    ends = set()
    for store, item in meanwhile(add, exists=True, prefer=prefer):
        was_replaced = seen == CHANGED
        ends.add((item.outcome.value, was_replaced))
        found = store.messages.read("big")
        if item.outcome == "updated" and not was_replaced:  # the file was preferred to the message
            assert found == CHANGED
        else:
            assert found == [*seen, "mine"]
            assert was_replaced or seen == NEW
        assert store.sessions.get("big").message_count == len(found)
    before = "conflict" if prefer == "store" else "updated"
    assert ends == {(before, False), ("updated", True)}


def test_a_session_renamed_meanwhile_keeps_its_new_id(meanwhile: Meanwhile) -> None:
    for store, item in meanwhile(lambda other: other.sessions.change_id("big", "renamed"), exists=True):
        assert item.outcome in {"updated", "conflict"}
        assert store.messages.read("renamed") == (CHANGED if item.outcome == "updated" else NEW)
        assert not store.sessions.exists("big")


def test_preferring_files_overwrites_a_constantly_changing_session(
    sqlite_store: Store, sqlite_path: Path, state: StateDir
) -> None:
    state.session("big", *NEW)
    import_directory(sqlite_store, state.root)
    state.session("big", *CHANGED, age=1800.0)
    with (
        Store.open(sqlite_path, durability="normal") as other,
        before_parts(lambda: other.messages.append("big", "mine")),
    ):
        item = by_name(import_directory(sqlite_store, state.root, prefer="files"))["big.json"]
    assert item.outcome == "updated"
    found = sqlite_store.messages.read("big")
    assert found[: len(CHANGED)] == CHANGED
    assert set(found[len(CHANGED) :]) <= {"mine"}
    assert (staged_ids(sqlite_store), orphans(sqlite_store)) == ([], 0)


@pytest.mark.parametrize("exists", [False, True])
def test_parts_removed_by_another_import_are_written_again(meanwhile: Meanwhile, exists: bool) -> None:
    taken = 0

    def remove(other: Store) -> None:
        nonlocal taken
        taken += len(staged_ids(other))
        with writing(other) as connection:
            connection.exec_driver_sql("UPDATE sessions SET updated_at = 0 WHERE message_count < 0")
        remove_left_over(database_of(other), Turns(database_of(other)))
        assert (staged_ids(other), orphans(other)) == ([], 0)

    for store, item in meanwhile(remove, exists=exists):
        assert item.outcome == ("updated" if exists else "imported")
        assert store.messages.read("big") == (CHANGED if exists else NEW)
    assert taken > 3
