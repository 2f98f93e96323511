"""What the verbs of `SessionStorage` cost, in statements and in instructions of SQLite's virtual machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from hermes_store import Store
from hermes_store.transcripts import json_codec
from hermes_store.webui import SessionStorage
from tests.support.encodings import encoded_by
from tests.support.statements import executed, rows_written, vm_steps, without_word_index
from tests.support.webui.sessions import said

Verb = Callable[[SessionStorage, str], Callable[[], object]]
FEW, MANY = 20, 2000


@pytest.fixture
def storage(sqlite_store: Store) -> SessionStorage:
    storage = SessionStorage(sqlite_store)
    for name, count in (("short", FEW), ("long", MANY)):
        values = {"title": "Trip", "composer_draft": {"text": ""}, "tool_calls": [{"x": "y" * 3000}]}
        storage.save(name, values, said(*map(str, range(count))), base=None)
    return storage


def draft(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    values, token = storage.load(session_id)
    texts = iter(["one", "two", "six"])
    return lambda: storage.save(
        session_id,
        {**values, "composer_draft": {"text": next(texts)}},
        base=token,
        only={"composer_draft"},
        touch=False,
    )


def pin(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    values, token = storage.load(session_id)
    return lambda: storage.save(session_id, {**values, "pinned": True}, base=token, only={"pinned"})


def rename(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    values, token = storage.load_metadata(session_id)
    titles = iter(["One", "Two", "Six"])
    return lambda: storage.save(session_id, {**values, "title": next(titles)}, base=token)


def append(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    tokens = [storage.load(session_id)[1]]

    def work() -> None:
        token, _ = storage.append(session_id, said("one more"), base=tokens[-1])
        tokens.append(token)

    return work


def append_whole(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    values, token = storage.load(session_id)
    tokens = [token]

    def work() -> None:
        values["messages"] += said("one more")
        tokens.append(storage.save(session_id, values, base=tokens[-1])[0])

    return work


def rename_whole(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    values, token = storage.load(session_id)
    tokens, titles = [token], iter(["One", "Two", "Six"])

    def work() -> None:
        values["title"] = next(titles)
        tokens.append(storage.save(session_id, values, base=tokens[-1])[0])

    return work


def metadata(storage: SessionStorage, session_id: str) -> Callable[[], object]:
    return lambda: storage.load_metadata(session_id)


@pytest.mark.parametrize("verb", [draft, pin, rename, append, metadata])
def test_a_verb_costs_the_same_whatever_the_length(storage: SessionStorage, sqlite_store: Store, verb: Verb) -> None:
    def cost(session_id: str) -> tuple[list[str], int]:
        work = verb(storage, session_id)
        return [text for text, _ in executed(sqlite_store, work)], vm_steps(sqlite_store, work)

    (short, few), (long, many) = cost("short"), cost("long")
    assert short == long
    assert many == pytest.approx(few, abs=3)  # where a row is in a page makes a step or two


@pytest.mark.parametrize("verb", [draft, pin, rename, metadata])
def test_no_message_is_read_for_a_value(storage: SessionStorage, sqlite_store: Store, verb: Verb) -> None:
    statements = [text for text, _ in executed(sqlite_store, verb(storage, "long"))]
    assert not [text for text in statements if " messages" in text or "message_blobs" in text]


@pytest.mark.parametrize("verb", [draft, pin, append, append_whole, rename_whole])
def test_no_message_is_encoded_for_a_change(storage: SessionStorage, verb: Verb) -> None:
    work = verb(storage, "long")
    for _ in range(2):
        assert 0 < len(encoded_by(work)) < 30  # the values, when they are compared first


def test_a_long_value_is_encoded_once(storage: SessionStorage) -> None:
    values, token = storage.load("long")
    values["context_messages"] = said(*map(str, range(MANY)))
    long = [len(data) for data in encoded_by(lambda: storage.save("long", values, base=token)) if len(data) > 10_000]
    assert len(long) <= 2  # to compare it, and to write it
    values, token = storage.load("long")
    values["context_messages"][-1]["content"] = "other"
    values["title"] = "Other"
    token, _ = storage.save("long", values, base=token)
    values["title"] = "Another"
    assert max(len(data) for data in encoded_by(lambda: storage.save("long", values, base=token))) < 10_000


def test_a_changed_value_is_a_row_or_two(storage: SessionStorage, sqlite_store: Store) -> None:
    assert rows_written(sqlite_store, draft(storage, "long")) == 2  # the small documents, and the revision
    assert rows_written(sqlite_store, pin(storage, "long")) == 1
    assert rows_written(sqlite_store, append(storage, "long")) == 3


def test_metadata_is_two_queries(storage: SessionStorage, sqlite_store: Store) -> None:
    assert len(executed(sqlite_store, lambda: storage.load_metadata("long"))) == 2


def test_absent_large_values_cost_no_statement(storage: SessionStorage, sqlite_store: Store) -> None:
    storage.save("small", {"title": "Trip", "composer_draft": {"text": ""}}, said("hello"), base=None)
    assert len(executed(sqlite_store, lambda: storage.load_metadata("small"))) == 1
    assert len(executed(sqlite_store, lambda: storage.load("small"))) == 2


def test_a_cache_asks_one_query(storage: SessionStorage, sqlite_store: Store) -> None:
    ids = ["short", "long", *(f"s{number}" for number in range(1000))]
    assert len(executed(sqlite_store, lambda: storage.revisions(ids))) == 1


def test_a_copy_reads_no_payload(storage: SessionStorage, sqlite_store: Store) -> None:
    with without_word_index():  # only its words are read
        statements = [text for text, _ in executed(sqlite_store, lambda: storage.copy_as("long", "copy"))]
    reads = [text for text in statements if text.startswith("SELECT") and "message_blobs" in text]
    assert all("SELECT messages.position, length(message_blobs.payload) AS size" in text for text in reads)
    assert storage.load("copy")[1].message_count == MANY


def test_rows_of_many_sessions_read_wanted_documents(storage: SessionStorage, sqlite_store: Store) -> None:
    for number in range(30):
        storage.save(f"s{number}", {"tool_calls": ["x" * 5000], "x": "y" * 5000}, base=None)
    read: list[Any] = []
    original = json_codec.decode

    def decode(payload: Any) -> Any:
        read.append(len(payload))
        return original(payload)

    with mock.patch.object(json_codec, "decode", decode):
        storage.rows(["title", "x"], where={"pinned": False})
    assert [size for size in read if size > 4000] == [5002] * 30


@pytest.mark.parametrize(
    "verb",
    [
        lambda storage: storage.children("short"),
        lambda storage: storage.revisions(["short", "long"]),
        lambda storage: storage.is_deleted("short"),
        lambda storage: storage.load_metadata("short"),
        lambda storage: storage.rows(["title", "composer_draft"], where={"session_id": ["short"]}),
    ],
)
def test_reading_by_id_costs_the_same_among_many(
    storage: SessionStorage, sqlite_store: Store, verb: Callable[[SessionStorage], object]
) -> None:
    few = vm_steps(sqlite_store, lambda: verb(storage))
    with sqlite_store.transaction() as tx:
        for number in range(300):
            tx.sessions.create(session_id=f"s{number}", title="Another")
    assert vm_steps(sqlite_store, lambda: verb(storage)) == pytest.approx(few, abs=3)
