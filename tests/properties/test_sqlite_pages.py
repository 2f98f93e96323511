"""The pages of any SQLite file are read as SQLite reads them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store.storage.dialects.sqlite_pages import PageFile
from hermes_store.storage.dialects.sqlite_trees import Trees

INTEGERS = st.integers(-(2**63), 2**63 - 1)
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.builds(lambda text, times: text * times, st.text(CHARACTERS), st.sampled_from([1, 40, 900]))
BYTES = st.one_of(st.binary(), st.integers(0, 300).map(lambda times: b"x" * times * 50))
VALUES = st.one_of(st.none(), INTEGERS, st.floats(allow_nan=False), TEXTS, BYTES)
ROWS = st.dictionaries(INTEGERS, st.tuples(VALUES, VALUES), max_size=40)


@settings(max_examples=25)
@given(ROWS, st.sampled_from([512, 1_024, 4_096, 65_536]), st.booleans())
def test_pages_are_read_as_sqlite_reads_them(
    tmp_path_factory: Any, rows: dict[int, tuple[Any, Any]], page_size: int, in_log: bool
) -> None:
    path = tmp_path_factory.mktemp("pages") / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute(f"PRAGMA journal_mode = {'WAL' if in_log else 'DELETE'}")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, a, b)")
        connection.execute("CREATE INDEX by_a ON rows (a)")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", [(key, *values) for key, values in rows.items()])
        connection.execute("DELETE FROM rows WHERE id % 3 = 0")
        expected = connection.execute("SELECT id, a, b FROM rows ORDER BY id").fetchall()
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
        found, entries, strays = read(path, roots)
    assert found == expected
    assert sorted(map(repr, entries)) == sorted(repr((a, key)) for key, a, _ in expected)
    assert strays == []


def read(path: Path, roots: dict[str, int]) -> tuple[list[Any], list[Any], list[Any]]:
    with PageFile(path) as file:
        trees = Trees(file, lambda _: None)
        assert trees.free_is_whole
        assert {entry.name: entry.root for entry in trees.schema()} == roots
        rows = [(row.rowid, *row.values[1:]) for leaf in trees.leaves("rows", roots["rows"]) for row in leaf.rows]
        entries = list(trees.entries(roots["by_a"]))
        assert not any(trees.gaps.values())
        return rows, entries, [row for leaf in trees.stray_leaves() for row in leaf.rows]
