"""SQLite's index of words: FTS5 tables.

They get words that are separated by spaces. Their own tokenizer, `ascii`, has nothing to do but to find the spaces: the
words are of lower-case ASCII letters and digits, and of other characters, which it does not change.

The table of messages keeps no text (https://www.sqlite.org/fts5.html#contentless_tables), so that removing a message
takes the words that it had. (Tables that do without need SQLite 3.43, and older versions cannot open them.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from sqlalchemy import text

from ...errors import DatabaseCorruptError
from ...quoting import quoted
from ...words.folding import Words
from ...words.query import Phrase, Query, Term
from ..statement import RowStatement, Statement
from ..word_index import MOST_WORDS, Document, Kind, WordIndex
from .sqlite_word_levels import trim

if TYPE_CHECKING:
    from ..unit_of_work import UnitOfWork
    from .sqlite_unit import SQLiteUnitOfWork

_NAMES: Final = ("row_id", "words", "wholes")
_add_messages: Final = RowStatement(
    text("INSERT INTO message_search (rowid, words, wholes) VALUES (:row_id, :words, :wholes)"), _NAMES
)
# A condition takes longer than the insertion itself, so there is none where it is not needed.
_add_if_reached: Final = Statement(
    text(
        "INSERT INTO message_search (rowid, words, wholes) SELECT :row_id, :words, :wholes "
        "FROM search_state WHERE :row_id >= indexed_from AND :row_id < pending_from"
    )
)
_remove_if_reached: Final = Statement(
    text(
        "INSERT INTO message_search (message_search, rowid, words, wholes) SELECT 'delete', message, words, wholes "
        "FROM (SELECT :row_id AS message, :words AS words, :wholes AS wholes), search_state "
        "WHERE message >= indexed_from AND message < pending_from"
    )
)
_remove_messages: Final = RowStatement(
    text(
        "INSERT INTO message_search (message_search, rowid, words, wholes) VALUES ('delete', :row_id, :words, :wholes)"
    ),
    _NAMES,
)
_add_titles: Final = RowStatement(
    text("INSERT OR REPLACE INTO title_search (rowid, words, wholes) VALUES (:row_id, :words, :wholes)"), _NAMES
)
_put_title: Final = Statement(
    text(
        "INSERT OR REPLACE INTO title_search (rowid, words, wholes) SELECT :row_id, :words, :wholes "
        "FROM search_state WHERE :row_id >= titles_from AND :row_id < pending_titles_from"
    )
)
_remove_title: Final = Statement(text("DELETE FROM title_search WHERE rowid = :row_id"))
_find: Final = {
    table: Statement(
        text(
            f"SELECT rowid FROM {table} WHERE {table} MATCH :query AND rowid < :before "  # noqa: S608
            "ORDER BY rowid DESC LIMIT :most"
        )
    )
    for table in ("message_search", "title_search")
}
_clear: Final = (
    Statement(text("INSERT INTO message_search (message_search) VALUES ('delete-all')")),
    Statement(text("DELETE FROM title_search")),
)
#: What FTS5 counts: a variable-length integer at the beginning of this row, the number of rows.
_averages: Final = {
    "messages": Statement(text("SELECT block FROM message_search_data WHERE id = 1")),
    "titles": Statement(text("SELECT block FROM title_search_data WHERE id = 1")),
}
_holds: Final = Statement(text("SELECT 1 FROM message_search WHERE message_search MATCH :query AND rowid = :row_id"))
#: How many of a message's words are looked for.
_SAMPLE: Final = 8


#: How many pages a table of the index may have for `erase` to write it anew: 32 MiB.
_MOST_PAGES: Final = 8_000


def erase(connection: Any, *, always: bool = False) -> bool:
    """Leave nothing of removed words in the index, and return whether that was done.

    FTS5 notes what is removed; the words are in its tables until they are merged with that note. (An option of SQLite
    3.42 removes them at once, and makes the tables unreadable for older versions.)

    Args:
        connection: the driver's, in a transaction that writes.
        always: do it also where that takes long, since the index is large.
    """
    for table in ("message_search", "title_search"):
        # Each row is a page. (In the table of terms, a term of many pages is one row.)
        rows = f"SELECT 1 FROM {table}_data LIMIT {_MOST_PAGES + 1}"  # noqa: S608
        (pages,) = connection.execute(f"SELECT count(*) FROM ({rows})").fetchone()  # noqa: S608
        if pages > _MOST_PAGES and not always:
            return False
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608
        trim(connection, table)
    return True


class SQLiteWordIndex(WordIndex):
    """FTS5 tables."""

    needs_removed_words: ClassVar[bool] = True
    is_batched: ClassVar[bool] = True  # one message takes five times as long as one of 64

    def add_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute_many(_add_messages, [*map(_row, documents)])

    def replace_message(self, unit: UnitOfWork, row_id: int, before: Words | None, after: Words | None) -> None:
        if before is not None:
            unit.execute(_remove_if_reached, _parameters(Document(row_id, before)))
        if after is not None:
            unit.execute(_add_if_reached, _parameters(Document(row_id, after)))

    def remove_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute_many(_remove_messages, [*map(_row, documents)])

    def add_titles(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute_many(_add_titles, [*map(_row, documents)])

    def put_title(self, unit: UnitOfWork, document: Document) -> None:
        unit.execute(_put_title, _parameters(document))

    def remove_title(self, unit: UnitOfWork, session: int) -> None:
        unit.execute(_remove_title, {"row_id": session})

    def find(self, unit: UnitOfWork, kind: Kind, query: Query, before: int, limit: int) -> list[int]:
        table = "message_search" if kind == "messages" else "title_search"
        return unit.values(_find[table], {"query": _expression(query), "before": before, "most": limit})

    def is_damage(self, error: BaseException) -> bool:
        return getattr(error, "sqlite_errorname", None) == "SQLITE_CORRUPT_VTAB"

    def clear(self, unit: UnitOfWork) -> None:
        for table in ("message_search", "title_search"):
            trim(cast("SQLiteUnitOfWork", unit).raw, table)  # with too many levels, it cannot be emptied
        for statement in _clear:
            unit.execute(statement)

    def count(self, unit: UnitOfWork, kind: Kind) -> int:
        block = unit.value(_averages[kind])
        if not isinstance(block, bytes | None):
            raise DatabaseCorruptError(f"The index of words says {quoted(block)} in place of a number of {kind}.")
        return _varint(block) if block else 0

    def holds(self, unit: UnitOfWork, document: Document) -> bool:
        words = document.words.text.split()
        sample = words[:: max(1, len(words) // _SAMPLE)][:_SAMPLE]
        query = " AND ".join(f'words : "{word}"' for word in dict.fromkeys(sample))
        return unit.row(_holds, {"query": query, "row_id": document.row_id}) is not None


def _parameters(document: Document) -> dict[str, Any]:
    return {"row_id": document.row_id, "words": document.words.text, "wholes": document.words.wholes}


def _row(document: Document) -> tuple[Any, ...]:
    return document.row_id, document.words.text, document.words.wholes


def _expression(query: Query) -> str:
    """Return a query in FTS5's language. Words have neither quotes nor NUL in them."""
    wanted = " AND ".join(map(_term, query.terms))
    if not query.without:
        return wanted
    return f"({wanted}) NOT ({' OR '.join(map(_term, query.without))})"


def _term(term: Term) -> str:
    return f"({' OR '.join(map(_phrase, term))})"


def _phrase(phrase: Phrase) -> str:
    words = phrase.words[:MOST_WORDS]
    is_prefix = phrase.is_prefix and len(words) == len(phrase.words)
    return f'"{" ".join(words)}"{" *" if is_prefix else ""}'


def _varint(data: bytes) -> int:
    """Return SQLite's integer of variable length at the beginning of some bytes."""
    value = 0
    for index, byte in enumerate(data[:9]):
        if index == 8:
            return value << 8 | byte
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value
