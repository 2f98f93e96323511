"""How far the index of words is: one row, and what this process knows of it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select, update

from .schema import message_table, search_state_table, session_table
from .statement import Statement
from .unit_of_work import UnitOfWork

#: After how many messages or titles, and bytes of messages, those that are pending are put into the index. A search
#: reads them all, so the more they are, the longer it takes: 1 or 2 ms for these.
MOST_PENDING: Final = 32
MOST_PENDING_BYTES: Final = 64 * 1024


class State(NamedTuple):
    """How far the index is; see `search_state_table`."""

    indexed_from: int | None
    titles_from: int | None
    cursor_key: bytes
    pending_from: int | None
    pending_titles_from: int | None

    @property
    def is_enabled(self) -> bool:
        """Whether there is an index."""
        return self.indexed_from is not None and self.titles_from is not None

    @property
    def is_complete(self) -> bool:
        """Whether everything is in it, except what is pending."""
        return self.is_enabled and not self.indexed_from and not self.titles_from

    def has_message(self, row_id: int) -> bool:
        """Whether a message has to be in it."""
        return _is_between(row_id, self.indexed_from, self.pending_from)

    def has_title(self, session: int) -> bool:
        """Whether the title of a session has to be in it, by the session's row id."""
        return _is_between(session, self.titles_from, self.pending_titles_from)


def _is_between(row_id: int, first: int | None, end: int | None) -> bool:
    return first is not None and row_id >= first and (end is None or row_id < end)


_select_state: Final = select(
    search_state_table.c.indexed_from,
    search_state_table.c.titles_from,
    search_state_table.c.cursor_key,
    search_state_table.c.pending_from,
    search_state_table.c.pending_titles_from,
)
_state: Final = Statement(_select_state)
_state_locked: Final = Statement(_select_state.with_for_update())
_set_state: Final = Statement(
    update(search_state_table).values(indexed_from=bindparam("new_from"), titles_from=bindparam("new_titles"))
)
_set_pending: Final = Statement(update(search_state_table).values(pending_from=bindparam("first")))
_set_pending_titles: Final = Statement(update(search_state_table).values(pending_titles_from=bindparam("first")))
_forget_pending: Final = Statement(update(search_state_table).values(pending_from=None, pending_titles_from=None))


def read(unit: UnitOfWork, *, lock: bool = False) -> State:
    """Return how far the index is.

    Args:
        lock: keep others from moving it before the transaction ends.
    """
    row = unit.row(_state_locked if lock else _state)
    return State(None, None, b"", None, None) if row is None else State._make(row)


def write(unit: UnitOfWork, indexed_from: int | None, titles_from: int | None) -> None:
    """Note from where on the index has what was there before; None for both: there is none."""
    unit.execute(_set_state, {"new_from": indexed_from, "new_titles": titles_from})


def write_pending(unit: UnitOfWork, first: int) -> None:
    """Note the row id from which messages are pending."""
    unit.execute(_set_pending, {"first": first})
    unit.pending_words = unit.pending_words._replace(messages_from=first, size=0)


def write_pending_titles(unit: UnitOfWork, first: int) -> None:
    """Note the row id of the session from which titles are pending."""
    unit.execute(_set_pending_titles, {"first": first})
    unit.pending_words = unit.pending_words._replace(titles_from=first)


def is_written(unit: UnitOfWork) -> bool:
    """Whether there is an index now, to which writers of messages and titles have to add them."""
    # One that had none may have got one since: another process made it.
    return unit.has_word_index or read(unit).is_enabled


_count_before: Final = Statement(
    select(func.count())
    .select_from(message_table)
    .where(message_table.c.id < select(search_state_table.c.indexed_from).scalar_subquery())
)


def count_before(unit: UnitOfWork) -> int:
    """Return how many messages are not in the index yet, and are not pending."""
    found: int = unit.value(_count_before)
    return found


_last_message: Final = Statement(select(func.max(message_table.c.id)))
_last_session: Final = Statement(select(func.max(session_table.c.id)))


def next_message(unit: UnitOfWork) -> int:
    """Return a row id that is larger than that of each message."""
    return (unit.value(_last_message) or 0) + 1


def begin_anew(unit: UnitOfWork) -> None:
    """Empty the index; what is written from now on is put into it, and what is there already has to be."""
    index = unit.dialect.word_index
    index.clear(unit)
    messages, titles = next_message(unit), (unit.value(_last_session) or 0) + 1
    write(unit, messages, titles)
    if index.is_batched:
        write_pending(unit, messages)
        write_pending_titles(unit, titles)
    else:  # rows that were copied from a database whose index is batched
        unit.execute(_forget_pending)
