"""Saving a session of which a version was read: what differs from it is written, and merged with what others wrote."""

from __future__ import annotations

import time
from typing import Any

from ..errors import InvalidInputError
from ..storage.engine import Database
from ..storage.row_locks import RowLock
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from . import saving
from .field_policy import UPDATED
from .state import find_current
from .tokens import Adopted, Token
from .versions import Base, Local, compared_keys


def create(
    database: Database, session_id: str, values: dict[str, Any], messages: list[Any] | None, *, touch: bool
) -> tuple[Token, Adopted]:
    """Write a new session, and return what a save returns.

    Args:
        values: its values by key; with `touch`, ``updated_at`` is put among them.
    """
    if touch:
        values[UPDATED] = time.time()
    local = Local(session_id, values, messages or [], None, touched=touch)
    with database.write() as unit:
        saved = saving.write(unit, None, local)
    return Token(saved.base, database), Adopted.of(saved, local)


def change(
    database: Database,
    token: Token,
    session_id: str,
    values: dict[str, Any],
    messages: list[Any] | None,
    *,
    only: set[str] | None,
    touch: bool,
) -> tuple[Token, Adopted]:
    """Write what differs from the version of a token, and return what a save returns.

    Args:
        values: the session's values by key; with `touch`, ``updated_at`` is put among them.
        messages: the whole transcript; None if it is not to be saved.
        only: the keys to write; all when None.

    Raises:
        StaleSessionError: others changed the same messages, too. Everything else was written.
        SessionDeletedError, SessionNotFoundError: it was deleted.
        InvalidInputError: the token is of another session, or of a version without what is saved.
    """
    version = token.base_in(database)
    token.require_read(values.keys() | (only or set()), messages=messages is not None)
    if touch:
        values[UPDATED] = time.time()
    compared = None if only is None else compared_keys(only, touch=touch)
    base = token.for_save(compared, messages=messages is not None)
    local = Local(session_id, values, messages, base, touched=touch)
    if compared is not None:
        local.watch_stream(base)
    base.attempt = token.attempted(base, local)
    try:
        with database.write() as unit:
            find(unit, version, session_id, lock=None)  # `write` locks it, after what it may reserve
            saved = saving.write(unit, base, local)
    except BaseException:  # it may have been committed all the same
        token.note_attempt(base.attempt)
        raise
    saved.log_lost()
    conflict = saved.conflict()
    if conflict is not None:
        raise conflict
    return token.after(saved, base), Adopted.of(saved, local)


def find(unit: UnitOfWork, base: Base, session_id: str, *, lock: RowLock | None) -> SessionKey:
    """Return the session that a version is of.

    Args:
        lock: what others cannot do to its row until the transaction ends.

    Raises:
        SessionNotFoundError, SessionDeletedError: it is no longer there.
        InvalidInputError: this is not its id, nor was it then.
    """
    key = find_current(unit, base.row_id, base.session_id, lock=lock)
    if session_id not in (base.session_id, key.session_id):
        raise InvalidInputError(
            f"The token is of session {base.session_id!r}, not of {session_id!r}. Nothing was written; `copy_as` makes "
            "a copy under another id, and `rename_id` gives the session another one."
        )
    return key
