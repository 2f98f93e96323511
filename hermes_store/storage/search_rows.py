"""The index of words: written by those who write messages and titles, in the same transaction.

Which database it is in, and how, is its dialect's: see `word_index`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select, update

from ..records import UNTITLED
from ..transcripts import json_codec
from ..words.folding import Words, words_of
from ..words.message_text import text_of
from .schema import Message, MessageBlob, SearchState, Session
from .statement import Statement, one_of
from .types import RowIdList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork
from .word_index import Document

logger = logging.getLogger("hermes_store")

#: How many bytes of messages, at most, are read at once to be removed, unless a single one is larger.
_PART_BYTES: Final = 1 << 20
_PART_ROWS: Final = 500


class State(NamedTuple):
    """How far the index is; see `SearchState`."""

    indexed_from: int | None
    titles_from: int | None
    cursor_key: bytes

    @property
    def is_enabled(self) -> bool:
        """Whether there is an index."""
        return self.indexed_from is not None and self.titles_from is not None

    @property
    def is_complete(self) -> bool:
        """Whether everything is in it."""
        return self.is_enabled and not self.indexed_from and not self.titles_from


_select_state: Final = select(SearchState.indexed_from, SearchState.titles_from, SearchState.cursor_key)
_state: Final = Statement(_select_state)
_state_locked: Final = Statement(_select_state.with_for_update())
_set_state: Final = Statement(
    update(SearchState).values(indexed_from=bindparam("new_from"), titles_from=bindparam("new_titles"))
)


def state(unit: UnitOfWork, *, lock: bool = False) -> State:
    """Return how far the index is.

    Args:
        lock: keep others from moving it before the transaction ends.
    """
    row = unit.row(_state_locked if lock else _state)
    return State(None, None, b"") if row is None else State._make(row)


def set_state(unit: UnitOfWork, indexed_from: int | None, titles_from: int | None) -> None:
    """Note how far the index is; None for both: there is none."""
    unit.execute(_set_state, {"new_from": indexed_from, "new_titles": titles_from})


_count_before: Final = Statement(
    select(func.count()).select_from(Message).where(Message.id < select(SearchState.indexed_from).scalar_subquery())
)


def count_before(unit: UnitOfWork) -> int:
    """Return how many messages are not in the index yet."""
    found: int = unit.value(_count_before)
    return found


def _is_written(unit: UnitOfWork) -> bool:
    # One that had none may have got one since: another process made it.
    return unit.has_word_index or state(unit).is_enabled


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
        begin_anew(unit)


_last_message: Final = Statement(select(func.max(Message.id)))
_last_session: Final = Statement(select(func.max(Session.id)))


def begin_anew(unit: UnitOfWork) -> None:
    """Empty the index; what is written from now on is put into it, and what is there already has to be."""
    unit.dialect.word_index.clear(unit)
    set_state(unit, (unit.value(_last_message) or 0) + 1, (unit.value(_last_session) or 0) + 1)


def add(unit: UnitOfWork, messages: Iterable[tuple[int, bytes]]) -> None:
    """Add messages that were inserted: their row ids and payloads."""
    if _is_written(unit) and (documents := _documents(messages)):
        with _begun_anew(unit):
            unit.dialect.word_index.add_messages(unit, documents)


#: Less, and more, than every position.
_FIRST: Final = -(2**62)
_LAST: Final = 2**63 - 1


def add_session(unit: UnitOfWork, session: int, first: int = _FIRST, last: int = _LAST) -> None:
    """Add the messages of a session that were copied inside the database: those between two positions."""
    if _is_written(unit):
        for part in _session_parts(unit, session, first, last):
            add_rows(unit, part)


def add_rows(unit: UnitOfWork, row_ids: Sequence[int]) -> None:
    """Add messages by row id."""
    if documents := _documents(payloads(unit, row_ids)):
        unit.dialect.word_index.add_messages(unit, documents)


def payload_before(unit: UnitOfWork, row_id: int) -> bytes | None:
    """Return the payload of a message that is about to be overwritten, for `replace`; None if that does not need it."""
    found = payloads(unit, [row_id]) if _needs_words(unit) else []
    return found[0][1] if found else None


def replace(unit: UnitOfWork, row_id: int, before: bytes | None, payload: bytes) -> None:
    """Write the words of a message that was overwritten.

    Args:
        before: what `payload_before` returned.
        payload: the one that it has now.
    """
    if _is_written(unit):
        had = None if before is None else words_and_text(before)
        has = words_and_text(payload)
        with _begun_anew(unit):
            unit.dialect.word_index.replace_message(unit, row_id, had and had[0], has and has[0])


def _needs_words(unit: UnitOfWork) -> bool:
    return unit.dialect.word_index.needs_removed_words and _is_written(unit)


_sizes: Final = Statement(
    select(Message.id, Message.position, func.length(MessageBlob.payload).label("size"))
    .join(MessageBlob, MessageBlob.message_id == Message.id)
    .where(Message.session_id == bindparam("session"), Message.position.between(bindparam("first"), bindparam("last")))
    .order_by(Message.position)
    .limit(bindparam("most")),
    checked=False,
)
_stored: Final = select(Message.id, Message.digest, MessageBlob.payload).join(
    MessageBlob, MessageBlob.message_id == Message.id
)
_payloads: Final = Statement(_stored.where(one_of(Message.id, bindparam("rows", type_=RowIdList))), checked=False)


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
    if documents := _documents(payloads(unit, row_ids)):
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


#: One message in this number is checked for its words.
_SAMPLE: Final = 8


def missing(unit: UnitOfWork, state: State, messages: Mapping[int, bytes]) -> tuple[int, set[int]]:
    """Return how many of some messages the index has to have, and those of them that are missing, as far as is looked.

    Args:
        messages: payloads by row id.
    """
    reached = state.indexed_from
    if reached is None:
        return 0, set()
    documents = _documents((row_id, payload) for row_id, payload in messages.items() if row_id >= reached)
    index = unit.dialect.word_index
    sample = [document for document in documents if document.row_id % _SAMPLE == 0 or document is documents[-1]]
    return len(documents), {document.row_id for document in sample if not index.holds(unit, document)}


def is_title_reached(state: State, session: int) -> bool:
    """Whether the index reaches the title of a session, by row id."""
    return state.titles_from is not None and session >= state.titles_from


def has_words(title: Any) -> bool:
    """Whether a session's title is in the index."""
    return isinstance(title, str) and title != UNTITLED and words_of(title).text.strip() != ""


def counts(unit: UnitOfWork) -> tuple[int, int]:
    """Return how many messages and titles are in the index."""
    index = unit.dialect.word_index
    return index.count(unit, "messages"), index.count(unit, "titles")


def put_title(unit: UnitOfWork, session: int, title: Any) -> None:
    """Write the words of a session's title. The title of those without one is none."""
    if not _is_written(unit):
        return
    if has_words(title):
        unit.dialect.word_index.put_title(unit, Document(session, words_of(title)))
    else:
        unit.dialect.word_index.remove_title(unit, session)


def add_title(unit: UnitOfWork, session: int, title: Any) -> None:
    """Write the words of the title of a session that was inserted."""
    if title != UNTITLED:
        put_title(unit, session, title)


def remove_session(unit: UnitOfWork, session: int) -> None:
    """Remove the title and the messages of a session that is about to be removed."""
    remove_from(unit, session)
    if _needs_words(unit):
        unit.dialect.word_index.remove_title(unit, session)
