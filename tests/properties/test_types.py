"""The column types keep what the databases would refuse or change, and SQL still compares it rightly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hermes_store.storage.types import JsonBytes, LosslessText
from tests.support.json_values import any_text, json_values, same

DIALECT = sa.create_engine("sqlite://").dialect

_table = sa.Table(
    "kept",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", LosslessText),
    sa.Column("value", JsonBytes),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to a database in which `_table` is, and whose every change is taken back at the end."""
    is_sqlite = request.param == "sqlite"
    engine = sa.create_engine(
        "sqlite://" if is_sqlite else request.getfixturevalue("make_postgres_database")(empty=True)
    )
    with engine.connect() as connection:
        _table.create(connection)
        yield connection
        connection.rollback()
    engine.dispose()


def _stored(value: str | None) -> str | None:
    return LosslessText().bind_processor(DIALECT)(value)


def _loaded(stored: str | None) -> str | None:
    return LosslessText().result_processor(DIALECT, None)(stored)


@given(any_text)
def test_any_text_is_stored_as_text_databases_accept(text: str) -> None:
    stored = _stored(text)
    assert stored is not None
    assert "\x00" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert _loaded(stored) == text


@given(any_text, any_text)
def test_different_texts_are_stored_differently(one: str, other: str) -> None:
    assert (_stored(one) == _stored(other)) == (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x10")))
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    assert _stored(text) == text


@given(st.lists(any_text, max_size=3))
def test_an_escaped_text_can_be_escaped_again(texts: list[str]) -> None:
    """Text that looks like an escape is no escape."""
    for text in texts:
        stored = _stored(text)
        assert _loaded(_stored(stored)) == stored


@pytest.mark.parametrize("stored", ["\x10", "\x10zzzz", "end \x10", "\x1000"])
def test_text_stored_by_others_is_read_unchanged(stored: str) -> None:
    assert _loaded(stored) == stored


def test_null_stays_null(connection: sa.Connection) -> None:
    with connection.begin_nested() as savepoint:
        connection.execute(sa.insert(_table), {"id": 1, "text": None, "value": None})
        raw = connection.exec_driver_sql("SELECT text IS NULL, value IS NULL FROM kept").one()
        assert [bool(is_null) for is_null in raw] == [True, True]
        assert connection.execute(sa.select(_table.c.text, _table.c.value)).one() == (None, None)
        savepoint.rollback()


@given(texts=st.lists(any_text, min_size=1, max_size=5, unique=True))
def test_a_database_finds_exactly_the_given_text(connection: sa.Connection, texts: list[str]) -> None:
    with connection.begin_nested() as savepoint:
        connection.execute(
            sa.insert(_table), [{"id": index, "text": text, "value": None} for index, text in enumerate(texts)]
        )
        for text in texts:
            found = connection.execute(sa.select(_table.c.text).where(_table.c.text == text)).scalars().all()
            assert found == [text]
        savepoint.rollback()


@given(value=json_values)
def test_a_database_returns_any_json_value_unchanged(connection: sa.Connection, value: Any) -> None:
    with connection.begin_nested() as savepoint:
        connection.execute(sa.insert(_table), {"id": 1, "text": None, "value": value})
        assert same(connection.execute(sa.select(_table.c.value)).scalar_one(), value)
        savepoint.rollback()
