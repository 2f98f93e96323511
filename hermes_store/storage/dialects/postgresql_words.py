"""PostgreSQL's index of words: tables of `tsvector`, with GIN indexes.

A `tsvector` has at most 255 places of a word, and places up to 16,383. What has more of them is marked by a word that
no text has: then phrases in it are not looked for, only their words.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import ColumnElement, func, literal_column, select, text

from ...words.folding import Words
from ...words.query import Phrase, Query, Term
from .. import search_rows, search_state
from ..message_inserts import INSERT_WITH_PAYLOAD
from ..statement import Bound, Parameters, RowStatement, Statement
from ..types import RowId
from ..word_index import MOST_WORDS, Document, Kind, WordIndex

if TYPE_CHECKING:
    from ..unit_of_work import UnitOfWork

_MOST_PLACES: Final = 255
_LAST_PLACE: Final = 16_383
_UNPLACED: Final = "+"
# Lists, so that many are one statement.
_put_messages: Final = Statement(
    text(
        "INSERT INTO message_search (message_id, document) SELECT row_id, CAST(document AS tsvector) "
        "FROM unnest(CAST(:row_ids AS bigint[]), CAST(:documents AS text[])) AS new (row_id, document) "
        "ON CONFLICT (message_id) DO UPDATE SET document = EXCLUDED.document"
    )
)
_remove: Final = text("DELETE FROM message_search WHERE message_id = :row_id")
_remove_message: Final = Statement(_remove)
_remove_messages: Final = RowStatement(_remove, ("row_id",))
_put_titles: Final = Statement(
    text(
        "INSERT INTO title_search (session_id, document) SELECT row_id, CAST(document AS tsvector) "
        "FROM unnest(CAST(:row_ids AS bigint[]), CAST(:documents AS text[])) AS new (row_id, document) "
        "ON CONFLICT (session_id) DO UPDATE SET document = EXCLUDED.document"
    )
)
_remove_title: Final = Statement(text("DELETE FROM title_search WHERE session_id = :row_id"))
_find: Final = {
    kind: Statement(
        text(
            f"SELECT {key} AS id FROM {table} WHERE document @@ CAST(:query AS tsquery) AND {key} < :before "  # noqa: S608
            f"ORDER BY {key} DESC LIMIT :most"
        )
    )
    for kind, table, key in (
        ("messages", "message_search", "message_id"),
        ("titles", "title_search", "session_id"),
    )
}
_clear: Final = (Statement(text("DELETE FROM message_search")), Statement(text("DELETE FROM title_search")))
_count: Final = {
    "messages": Statement(text("SELECT count(*) FROM message_search")),
    "titles": Statement(text("SELECT count(*) FROM title_search")),
}
_holds: Final = Statement(
    text("SELECT 1 FROM message_search WHERE message_id = :row_id AND document = CAST(:document AS tsvector)")
)


_added_words: Final = text(
    "INSERT INTO message_search (message_id, document) SELECT id, CAST(:document AS tsvector) FROM added "
    "RETURNING message_id AS id"
).columns(id=RowId)


@functools.cache
def _insert(then: Statement | None, *, has_words: bool) -> Statement:
    """Return the statement that inserts a message, and runs an UPDATE as well; how many rows that changed."""
    query = INSERT_WITH_PAYLOAD
    if has_words:
        query = query.add_cte(_added_words.cte("words"))
    count: ColumnElement[int] = literal_column("0")
    if then is not None:
        update: Any = then.clause
        changed = update.returning(literal_column("1").label("one")).cte("changed")
        count = select(func.count()).select_from(changed).scalar_subquery()
    return Statement(query.add_columns(count.label("changed_rows")))


def insert_at_once(unit: UnitOfWork, values: Parameters, payload: bytes, then: Bound | None) -> tuple[int, int]:
    """Insert a message by one statement; as `Dialect.insert_message`."""
    found = search_rows.words_and_text(payload) if search_state.is_written(unit) else None
    parameters = {**values, "payload": payload}
    if found is not None:
        parameters["document"] = _vector(found[0])
    if then is not None:
        parameters |= then.parameters
    statement = _insert(None if then is None else then.statement, has_words=found is not None)
    [(row_id, changed)] = unit.rows(statement, parameters)
    return row_id, changed


class PostgreSQLWordIndex(WordIndex):
    """Tables of `tsvector`."""

    needs_removed_words: ClassVar[bool] = False
    is_batched: ClassVar[bool] = False  # a GIN index has a list of what was added last itself

    def add_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute(_put_messages, _lists(documents))

    def replace_message(self, unit: UnitOfWork, row_id: int, before: Words | None, after: Words | None) -> None:
        if after is None:
            unit.execute(_remove_message, {"row_id": row_id})
        else:
            self.add_messages(unit, [Document(row_id, after)])

    def remove_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute_many(_remove_messages, [(document.row_id,) for document in documents])

    def add_titles(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        unit.execute(_put_titles, _lists(documents))

    def put_title(self, unit: UnitOfWork, document: Document) -> None:
        self.add_titles(unit, [document])

    def remove_title(self, unit: UnitOfWork, session: int) -> None:
        unit.execute(_remove_title, {"row_id": session})

    def find(self, unit: UnitOfWork, kind: Kind, query: Query, before: int, limit: int) -> list[int]:
        return unit.values(_find[kind], {"query": _expression(query), "before": before, "most": limit})

    def clear(self, unit: UnitOfWork) -> None:
        for statement in _clear:
            unit.execute(statement)

    def count(self, unit: UnitOfWork, kind: Kind) -> int:
        found: int = unit.value(_count[kind])
        return found

    def holds(self, unit: UnitOfWork, document: Document) -> bool:
        return unit.row(_holds, _parameters(document)) is not None


def _lists(documents: Sequence[Document]) -> dict[str, Any]:
    return {
        "row_ids": [document.row_id for document in documents],
        "documents": [_vector(document.words) for document in documents],
    }


def _parameters(document: Document) -> dict[str, Any]:
    return {"row_id": document.row_id, "document": _vector(document.words)}


def _vector(words: Words) -> str:
    """Return words as the text of a `tsvector`. They have neither quotes nor backslashes in them."""
    places: dict[str, list[str]] = {}
    found = words.text.split()
    for place, word in enumerate(found[:_LAST_PLACE], 1):
        places.setdefault(word, []).append(str(place))
    is_cut = len(found) > _LAST_PLACE or any(len(at) > _MOST_PLACES for at in places.values())
    entries = [f"'{word}':{','.join(at[:_MOST_PLACES])}" for word, at in places.items()]
    unplaced = {*words.wholes.split(), *found[_LAST_PLACE:], *([_UNPLACED] if is_cut else [])}
    return " ".join([*entries, *(f"'{word}'" for word in unplaced if word not in places)])


def _expression(query: Query) -> str:
    """Return a query as the text of a `tsquery`."""
    wanted = " & ".join(map(_term, query.terms))
    without = "".join(f" & !{_term(term)}" for term in query.without)
    words = " & ".join(f"({' | '.join(map(_words, term))})" for term in query.terms)
    return f"({wanted}{without}) | ('{_UNPLACED}' & {words})"


def _term(term: Term) -> str:
    return f"({' | '.join(map(_phrase, term))})"


def _phrase(phrase: Phrase) -> str:
    return f"({' <-> '.join(_asked(phrase))})"


def _words(phrase: Phrase) -> str:
    return f"({' & '.join(_asked(phrase))})"


def _asked(phrase: Phrase) -> list[str]:
    words = [f"'{word}'" for word in phrase.words[:MOST_WORDS]]
    if phrase.is_prefix and len(phrase.words) <= MOST_WORDS:
        words[-1] += ":*"
    return words
