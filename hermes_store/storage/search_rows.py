"""The index of words: written by those who write messages and titles, in the same transaction.

Which database it is in, and how, is its dialect's: see `word_index`. One that is batched does not have the messages and
titles that were inserted last: these are pending, and a search reads them. When they are too many, the transaction that
inserted the last one adds all of them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from ..errors import DatabaseCorruptError
from ..records import UNTITLED
from ..transcripts import json_codec
from ..words.folding import Words, words_of
from ..words.message_text import text_of
from . import search_state
from .row_types import Row
from .schema import message_blob_table, message_table, session_table
from .search_state import MOST_PENDING, MOST_PENDING_BYTES, State
from .statement import Statement, one_of
from .types import RowIdList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork
from .word_index import Document

logger = logging.getLogger("hermes_store")

#: How many bytes of messages, at most, are read at once to be removed, unless a single one is larger.
_PART_BYTES: Final = 1 << 20
_PART_ROWS: Final = 500


def words_and_text(payload: bytes) -> tuple[Words, str] | None:
    """Return the words of a message's payload, and its text; None if it has no words, or is damaged."""
    try:
        text = text_of(json_codec.decode(payload))
    except (ValueError, TypeError, AttributeError):
        return None
    words = words_of(text)
    return None if words.text.isspace() or not words.text else (words, text)


def _documents(messages: Iterable[tuple[int, bytes]]) -> list[Document]:
    found = ((row_id, words_and_text(payload)) for row_id, payload in messages)
    return [Document(row_id, one[0]) for row_id, one in found if one is not None]


@contextlib.contextmanager
def _begun_anew(unit: UnitOfWork) -> Iterator[None]:
    """Empty the index if what the block does in it fails because it is damaged: it must not keep messages from being
    written. (Another program wrote to the tables, for example.) Searches read the messages then, until it is filled."""
    try:
        yield
    except DRIVER_ERRORS as error:
        if not unit.dialect.word_index.is_damage(error):
            raise
        logger.warning("The index of words is damaged, and was emptied; the next opening fills it: %s", error)
        if unit.is_lost:  # each statement after this one would be a transaction of its own
            unit.write_apart(search_state.begin_anew)
            raise DatabaseCorruptError(
                "The index of words was damaged, and SQLite ended the transaction: nothing of it was written. The "
                "index was emptied, and the next opening of the database fills it. Do the same again."
            ) from error
        search_state.begin_anew(unit)


def add(unit: UnitOfWork, messages: Sequence[tuple[int, bytes]]) -> None:
    """Add messages that were inserted: their row ids, which follow each other, and payloads."""
    if not search_state.is_written(unit):
        return
    if not unit.dialect.word_index.is_batched:
        _add(unit, messages)
        return
    known = unit.pending_words
    last, size = messages[-1][0], known.size + sum(len(payload) for _, payload in messages)
    if last - known.messages_from < MOST_PENDING and size < MOST_PENDING_BYTES:
        unit.pending_words = known._replace(size=size)
        return
    first = search_state.read(unit).pending_from
    if first is None:
        return
    if last - first < MOST_PENDING and size < MOST_PENDING_BYTES:
        unit.pending_words = known._replace(messages_from=first, size=size)
    else:
        _add_pending(unit, first, messages, last + 1)


def _add(unit: UnitOfWork, messages: Iterable[tuple[int, bytes]]) -> None:
    if documents := _documents(messages):
        with _begun_anew(unit):
            unit.dialect.word_index.add_messages(unit, documents)


_pending_sizes: Final = Statement(
    select(message_blob_table.c.message_id, func.length(message_blob_table.c.payload).label("size"))
    .where(message_blob_table.c.message_id >= bindparam("first"), message_blob_table.c.message_id < bindparam("end"))
    .order_by(message_blob_table.c.message_id)
    .limit(bindparam("most")),
    checked=False,
)


def _add_pending(unit: UnitOfWork, first: int, written: Sequence[tuple[int, bytes]], end: int) -> None:
    """Add the messages that are pending.

    Args:
        first, end: the row ids from which they are pending, and from which they will be.
        written: the last ones of them.
    """
    search_state.write_pending(unit, end)
    before = written[0][0] if written else end
    with _begun_anew(unit):
        while first < before:
            sizes = unit.rows(_pending_sizes, {"first": first, "end": before, "most": _PART_ROWS})
            for part in parts((row_id, size) for row_id, size in sizes):
                add_rows(unit, part)
            if len(sizes) < _PART_ROWS:
                break
            first = sizes[-1][0] + 1
        if documents := _documents(written):
            unit.dialect.word_index.add_messages(unit, documents)


#: Less, and more, than every position.
_FIRST: Final = -(2**62)
_LAST: Final = 2**63 - 1


def add_session(unit: UnitOfWork, session: int, first: int = _FIRST, last: int = _LAST) -> None:
    """Add the messages of a session that were copied inside the database: those between two positions."""
    if not search_state.is_written(unit):
        return
    if not unit.dialect.word_index.is_batched:
        for part in _session_parts(unit, session, first, last):
            add_rows(unit, part)
    else:
        _add_pending_if_due(unit)


_pending_size: Final = Statement(
    select(func.sum(func.length(message_blob_table.c.payload))).where(
        message_blob_table.c.message_id >= bindparam("first")
    )
)


def _add_pending_if_due(unit: UnitOfWork) -> None:
    first, end = search_state.read(unit).pending_from, search_state.next_message(unit)
    if first is not None and (
        end - first > MOST_PENDING or (unit.value(_pending_size, {"first": first}) or 0) >= MOST_PENDING_BYTES
    ):
        _add_pending(unit, first, [], end)


def add_rows(unit: UnitOfWork, row_ids: Sequence[int]) -> None:
    """Add messages by row id."""
    if documents := _documents(payloads(unit, row_ids)):
        unit.dialect.word_index.add_messages(unit, documents)


def payload_before(unit: UnitOfWork, row_id: int) -> bytes | None:
    """Return the payload of a message that is about to be overwritten, for `replace`; None if that does not need it."""
    if not _needs_words(unit) or _is_pending(unit, row_id):
        return None
    found = payloads(unit, [row_id])
    return found[0][1] if found else None


def _is_pending(unit: UnitOfWork, row_id: int) -> bool:
    """Whether the index does not have a message because it is pending."""
    if not unit.dialect.word_index.is_batched or row_id < unit.pending_words.messages_from:
        return False
    first = search_state.read(unit).pending_from
    return first is not None and row_id >= first


def replace(unit: UnitOfWork, row_id: int, before: bytes | None, payload: bytes) -> None:
    """Write the words of a message that was overwritten.

    Args:
        before: what `payload_before` returned.
        payload: the one that it has now.
    """
    if search_state.is_written(unit) and not _is_pending(unit, row_id):
        had = None if before is None else words_and_text(before)
        has = words_and_text(payload)
        with _begun_anew(unit):
            unit.dialect.word_index.replace_message(unit, row_id, had and had[0], has and has[0])


def replace_all(unit: UnitOfWork, messages: Sequence[tuple[int, bytes]]) -> None:
    """Write the words of messages that were overwritten, in an index that does not need those that they had."""
    if search_state.is_written(unit):
        documents = _documents(messages)
        kept = {document.row_id for document in documents}
        wordless = [Document(row_id, words_of("")) for row_id, _ in messages if row_id not in kept]
        unit.dialect.word_index.remove_messages(unit, wordless)
        if documents:
            unit.dialect.word_index.add_messages(unit, documents)


def _needs_words(unit: UnitOfWork) -> bool:
    return unit.dialect.word_index.needs_removed_words and search_state.is_written(unit)


_sizes: Final = Statement(
    select(message_table.c.id, message_table.c.position, func.length(message_blob_table.c.payload).label("size"))
    .join(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(
        message_table.c.session_id == bindparam("session"),
        message_table.c.position.between(bindparam("first"), bindparam("last")),
    )
    .order_by(message_table.c.position)
    .limit(bindparam("most")),
    checked=False,
)
_stored: Final = select(message_table.c.id, message_table.c.digest, message_blob_table.c.payload).join(
    message_blob_table, message_blob_table.c.message_id == message_table.c.id
)
_payloads: Final = Statement(
    _stored.where(one_of(message_table.c.id, bindparam("rows", type_=RowIdList))), checked=False
)


def remove_from(unit: UnitOfWork, session: int, first: int = _FIRST, last: int = _LAST) -> None:
    """Remove the messages of a session that are about to be removed: those between two positions, which may be left
    out."""
    if _needs_words(unit):
        for part in _session_parts(unit, session, first, last):
            _remove(unit, part)


def _session_parts(unit: UnitOfWork, session: int, first: int, last: int = _LAST) -> Iterator[list[int]]:
    while True:
        rows = unit.rows(_sizes, {"session": session, "first": first, "last": last, "most": _PART_ROWS})
        yield from parts((row_id, size) for row_id, _, size in rows)
        if len(rows) < _PART_ROWS:
            return
        first = rows[-1][1] + 1


def remove(unit: UnitOfWork, row_ids: Sequence[int]) -> None:
    """Remove messages that are about to be removed, by row id."""
    if _needs_words(unit):
        for start in range(0, len(row_ids), _PART_ROWS):
            _remove(unit, row_ids[start : start + _PART_ROWS])


def _remove(unit: UnitOfWork, row_ids: Sequence[int]) -> None:
    state = search_state.read(unit)
    if documents := _documents(payloads(unit, [row_id for row_id in row_ids if state.has_message(row_id)])):
        with _begun_anew(unit):
            unit.dialect.word_index.remove_messages(unit, documents)


def payloads(unit: UnitOfWork, row_ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """Return the row ids and payloads of those of some messages that are as they were written.

    The words of a damaged one are not those that are in the index.
    """
    rows = unit.rows(_payloads, {"rows": list(row_ids)}) if row_ids else []
    return [
        (row_id, payload)
        for row_id, digest, payload in rows
        if type(payload) is bytes and json_codec.digest(payload) == digest
    ]


def parts(sizes: Iterable[tuple[int, Any]]) -> Iterator[list[int]]:
    """Yield row ids in parts that are small enough to be read at once, given the bytes of each."""
    part: list[int] = []
    total = 0
    for row_id, size in sizes:
        if part and total + (size or 0) > _PART_BYTES:
            yield part
            part, total = [], 0
        part.append(row_id)
        total += size or 0
    if part:
        yield part


#: One message in this number is checked for its words: that takes as long as to read sixty of them.
_SAMPLE: Final = 64


def missing(unit: UnitOfWork, state: State, messages: Mapping[int, bytes]) -> tuple[int, set[int]]:
    """Return how many of some messages the index has to have, and those of them that are missing, as far as is looked.

    Args:
        messages: payloads by row id.
    """
    documents = _documents((row_id, payload) for row_id, payload in messages.items() if state.has_message(row_id))
    index = unit.dialect.word_index
    sample = [document for document in documents if document.row_id % _SAMPLE == 0 or document is documents[-1]]
    return len(documents), {document.row_id for document in sample if not index.holds(unit, document)}


def has_words(title: Any) -> bool:
    """Whether a session's title is in the index."""
    return _words_of_title(title) is not None


def _words_of_title(title: Any) -> Words | None:
    """Return the words of a session's title; None if it is not in the index."""
    words = words_of(title) if isinstance(title, str) and title != UNTITLED else None
    return None if words is None or not words.text.strip() else words


def counts(unit: UnitOfWork) -> tuple[int, int]:
    """Return how many messages and titles are in the index."""
    index = unit.dialect.word_index
    return index.count(unit, "messages"), index.count(unit, "titles")


def put_title(unit: UnitOfWork, session: int, title: Any) -> None:
    """Write the words of a session's title, unless it is pending. The title of those without one is none."""
    if not search_state.is_written(unit):
        return
    words = _words_of_title(title)
    with _begun_anew(unit):
        if words is not None:
            unit.dialect.word_index.put_title(unit, Document(session, words))
        else:
            unit.dialect.word_index.remove_title(unit, session)


def add_titles(unit: UnitOfWork, titles: Iterable[Row]) -> None:
    """Add titles that the index does not have: row ids of sessions, with their titles."""
    found = ((row_id, _words_of_title(title)) for row_id, title in titles)
    documents = [Document(row_id, words) for row_id, words in found if words is not None]
    unit.dialect.word_index.add_titles(unit, documents)


def add_title(unit: UnitOfWork, session: int, title: Any) -> None:
    """Add the title of a session that was inserted."""
    if not unit.dialect.word_index.is_batched:
        if title != UNTITLED:
            put_title(unit, session, title)
        return
    known = unit.pending_words
    if session - known.titles_from < MOST_PENDING or not search_state.is_written(unit):
        return
    first = search_state.read(unit).pending_titles_from
    if first is None:
        return
    if session - first < MOST_PENDING:
        unit.pending_words = known._replace(titles_from=first)
        return
    search_state.write_pending_titles(unit, session + 1)
    with _begun_anew(unit):
        add_titles(unit, unit.rows(_titles, {"first": first, "end": session + 1}))


_titles: Final = Statement(
    select(session_table.c.id, session_table.c.title).where(
        session_table.c.id >= bindparam("first"), session_table.c.id < bindparam("end")
    )
)


def remove_session(unit: UnitOfWork, session: int) -> None:
    """Remove the title and the messages of a session that is about to be removed."""
    remove_from(unit, session)
    if _needs_words(unit):
        with _begun_anew(unit):
            unit.dialect.word_index.remove_title(unit, session)
