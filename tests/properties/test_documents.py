"""A session's documents against a plain dict: small and large values, under keys of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.storage.document_reading import SMALL
from hermes_store.transcripts import json_codec
from hermes_store.validation import COLUMN_KEYS, KEY_LIMIT
from tests.support.examples import examples
from tests.support.internals import reading
from tests.support.json_values import any_text, json_values, same

#: Ordinary keys, those of columns and links, and any text.
keys = st.one_of(
    st.sampled_from(
        ["draft", "tool_calls", "", "half \ud83d", "\ud83d\ude00", "😀", "nul\x00", "\x10d83d", "x" * KEY_LIMIT]
    ),
    st.sampled_from(sorted(COLUMN_KEYS)),
    any_text.filter(lambda key: len(key) <= KEY_LIMIT),
)
#: Texts whose JSON has about as many bytes as the largest value that is kept with others.
around_the_limit = st.integers(SMALL - 6, SMALL + 3).map(lambda length: "x" * length)
values = st.one_of(
    around_the_limit, around_the_limit.map(lambda text: "😀" + text[6:]), json_values, st.none(), st.just("x" * 10_000)
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(keys, values, max_size=4)),
        st.tuples(st.just("remove"), st.lists(keys, max_size=3)),
        st.tuples(st.just("again"), st.none()),
    ),
    max_size=8,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Store]:
    is_sqlite = request.param == "sqlite"
    target = ":memory:" if is_sqlite else request.getfixturevalue("make_postgres_database")()
    with Store.open(target, durability="normal") as store:
        yield store


@pytest.mark.slow
@settings(max_examples=examples(25))
@given(operations=operations)
def test_documents_are_a_dictionary_whatever_their_size(database: Store, operations: list[tuple[str, Any]]) -> None:
    session_id = database.sessions.create().session_id
    model: dict[str, Any] = {}
    for verb, argument in operations:
        before = dict(model)
        revision = database.sessions.get(session_id).revision
        if verb == "put":
            model |= argument
            result = database.documents.put(session_id, argument)
        elif verb == "remove":
            model = {key: value for key, value in model.items() if key not in argument}
            result = database.documents.remove(session_id, *argument)
        else:
            result = database.documents.put(session_id, model)
        is_changed = before.keys() != model.keys() or not all(same(before[key], model[key]) for key in model)
        assert (result.changed, result.revision) == (is_changed, revision + is_changed)
        found = database.documents.read(session_id)
        assert found.keys() == model.keys()
        assert all(same(found[key], model[key]) for key in model)
        for key in [*model, *before]:
            assert same(database.documents.read(session_id, key), {key: model[key]} if key in model else {})


@pytest.mark.parametrize("length", range(SMALL - 3, SMALL + 3))
def test_small_values_share_a_row_large_do_not(store: Store, length: int) -> None:
    value = "x" * (length - 2)
    assert len(json_codec.encode(value)) == length
    for session_id in (store.sessions.create().session_id, store.sessions.create().session_id):
        store.documents.put(session_id, {"one": value, "two": value, "three": 1})
        query = "SELECT count(*) FROM {} WHERE session_id = (SELECT id FROM sessions WHERE session_id = '{}')"
        with reading(store) as connection:
            counts = [
                connection.exec_driver_sql(query.format(table, session_id)).scalar_one()
                for table in ("session_extras", "session_documents")
            ]
        assert counts == [1, 0 if length <= SMALL else 2]
