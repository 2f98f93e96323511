"""Rows that SQLite packs into one text are those that it returns one after another."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store.agent.queries import Query, packed, packed_rows, rows

#: Texts with everything that JSON escapes, with NUL, and values at the ends of what SQLite holds.
TEXTS = st.text() | st.sampled_from(["", "\x00json:[1]", '"\\\u2028', "a\x00b\x7f"])
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.sampled_from([math.inf, -0.0, 5e-324])
VALUES = st.none() | TEXTS | NUMBERS | st.binary()


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_packed_rows_have_the_same_values(connection: sqlite3.Connection, values: list[tuple[object, object]]) -> None:
    query = " UNION ALL ".join(f"SELECT {number} AS n, ? AS a, ? AS b" for number in range(len(values)))
    parameters = [value for row in values for value in row]
    plain = rows(connection, f"SELECT a, b FROM ({query}) ORDER BY n DESC", parameters)
    packed = packed_rows(connection, 2, f"SELECT a, b FROM ({query}) ORDER BY n DESC", parameters)
    assert [_typed(row) for row in packed] == [_typed(row) for row in plain]


def _typed(row: Sequence[object]) -> list[tuple[type, object]]:
    return [(type(value), value) for value in row]


def test_packed_text_may_be_no_utf_8(connection: sqlite3.Connection) -> None:
    query = "SELECT CAST(x'6180ff' AS TEXT), CAST(x'eda080' AS TEXT)"
    assert packed_rows(connection, 2, query, ()) == [["a\udc80\udcff", "\udced\udca0\udc80"]]


def test_no_row_is_an_empty_list(connection: sqlite3.Connection) -> None:
    assert packed_rows(connection, 1, "SELECT 1 WHERE 0", ()) == []


def test_rows_too_long_to_pack_are_read_singly(connection: sqlite3.Connection) -> None:
    longest = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    try:
        values = Query(["c"], "VALUES (?), (?), (?)", ["x" * 400] * 3)
        found = packed(connection, {"r": values, "one": Query(["c"], "SELECT c FROM r LIMIT ?", [1])})
    finally:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
    assert [*map(tuple, found["r"])] == [("x" * 400,)] * 3
    assert [*map(tuple, found["one"])] == [("x" * 400,)]


def test_queries_read_from_those_before_them(connection: sqlite3.Connection) -> None:
    found = packed(
        connection,
        {
            "numbers": Query(["n", "name"], "VALUES (?, 'one'), (?, 'two')", [1, 2.0]),
            "names": Query(["name"], "SELECT name FROM numbers WHERE n > ? ORDER BY name DESC", [0]),
            "none": Query(["x"], "SELECT 1 WHERE 0"),
        },
    )
    assert found == {"numbers": [[1, "one"], [2.0, "two"]], "names": [["two"], ["one"]], "none": []}


def test_any_number_of_columns_is_packed(connection: sqlite3.Connection) -> None:
    columns = ", ".join(str(number) for number in range(300))
    assert packed_rows(connection, 300, f"SELECT {columns}", ()) == [list(range(300))]
