"""Putting what is in a database into the index of words: after an upgrade, or again.

It goes from the newest message to the oldest, in short transactions, while others read and write. Each notes how far it
came, so it can end at any point and go on later, in this process or another one. A search reads the messages that the
index does not reach.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import bindparam, func, select

from ..errors import DatabaseCorruptError, DatabaseLockedError, DatabaseReadOnlyError
from . import search_rows, search_state
from .engine import Database
from .schema import message_blob_table, session_table
from .search_state import State
from .statement import Statement
from .turns import Turns
from .unit_of_work import UnitOfWork

logger = logging.getLogger("hermes_store")

#: The most messages and titles that one transaction adds. (It adds at most 1 MiB of messages, or a single one.)
_ROWS: Final = 500
#: Seconds between two lines in the log.
_LOG_EVERY: Final = 3.0
#: Called with how many messages are done, and of how many.
OnFilled = Callable[[int, int], None]


def prepare(database: Database, *, is_new: bool) -> None:
    """After a database was opened: note whether it has an index, and fill it where that is to be done.

    Args:
        is_new: it was created a moment ago.
    """
    if is_new and not database.settings.search:
        with database.write() as unit:
            search_state.write(unit, None, None)
    with database.read() as unit:
        state = search_state.read(unit)
    database.has_word_index = state.is_enabled
    if state.is_enabled and not state.is_complete and not database.settings.read_only:
        try:
            fill(database)
        except DatabaseLockedError:  # somebody else is at it, or else the next opening goes on
            pass
        except DatabaseCorruptError as error:  # what can be read is read and written as without an index
            logger.warning("The index of words cannot be completed, and searches are slow: %s", error)


def rebuild(database: Database, on_filled: OnFilled = lambda _done, _total: None) -> int:
    """Make the index anew, or for the first time, and return how many messages were put into it.

    Others can read and write meanwhile. If it is interrupted, `fill` goes on.
    """
    if database.settings.read_only:
        raise DatabaseReadOnlyError("The store was opened with read_only=True. Nothing was written.")
    with database.write() as unit:
        search_state.read(unit, lock=True)
        search_state.begin_anew(unit)
    database.has_word_index = True
    return fill(database, on_filled)


def fill(database: Database, on_filled: OnFilled = lambda _done, _total: None) -> int:
    """Put what is not in the index yet into it, and return how many messages that were."""
    turns = Turns(database)
    with database.read() as unit:
        total = search_state.count_before(unit)
    done, logged = 0, time.monotonic()
    while True:
        turns.wait()
        with database.write() as unit:
            state = search_state.read(unit, lock=True)
            if not state.is_enabled or state.is_complete:
                break
            done += _fill_some(unit, state)
        on_filled(done, max(done, total))
        if time.monotonic() - logged >= _LOG_EVERY:
            logged = time.monotonic()
            logger.info("Index of words: %d of %d messages are done.", done, total)
    if done:
        logger.info("Index of words: all messages are in it.")
    return done


_sizes: Final = Statement(
    select(message_blob_table.c.message_id, func.length(message_blob_table.c.payload).label("size"))
    .where(message_blob_table.c.message_id < bindparam("before"))
    .order_by(message_blob_table.c.message_id.desc())
    .limit(bindparam("most")),
    checked=False,
)
_titles: Final = Statement(
    select(session_table.c.id, session_table.c.title)
    .where(session_table.c.id < bindparam("before"))
    .order_by(session_table.c.id.desc())
    .limit(bindparam("most"))
)


def _fill_some(unit: UnitOfWork, state: State) -> int:
    """Add titles, and when these are done messages; return how many messages that were."""
    if state.titles_from:
        titles = unit.rows(_titles, {"before": state.titles_from, "most": _ROWS})
        search_state.write(unit, state.indexed_from, titles[-1][0] if len(titles) == _ROWS else 0)
        search_rows.add_titles(unit, titles)
        return 0
    sizes = unit.rows(_sizes, {"before": state.indexed_from, "most": _ROWS})
    part = next(search_rows.parts((row_id, size) for row_id, size in sizes), [])
    is_last = len(part) == len(sizes) and len(sizes) < _ROWS
    search_state.write(unit, 0 if is_last else part[-1], 0)
    search_rows.add_rows(unit, part)
    return len(part)
