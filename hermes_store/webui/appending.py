"""Adding messages to a session of which a version was read, without comparing its transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..storage import message_lookup, session_rows, session_writer
from ..storage.engine import Database
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from ..transcripts.encoding import Encoded
from .field_policy import UPDATED
from .state import read_messages
from .tokens import Addition, Adopted, Token
from .versions import Base


def append(
    unit: UnitOfWork, token: Token, key: SessionKey, added: Sequence[Encoded], database: Database, *, touch: bool
) -> tuple[Token, Adopted]:
    """Add messages at the end of a session, and return what a save returns.

    The whole transcript is read only if others changed it since the token's version.

    Args:
        key: the session, whose row is locked.
        touch: make this its last change.
    """
    base, count = token.base_in(database), key.message_count + len(added)
    added_digests = tuple(message.digest for message in added)
    earlier = token.earlier_append(added_digests)
    if earlier is not None and message_lookup.has_row(unit, key.id, earlier.last_row, added_digests[-1]):
        return _appended_before(unit, token, key, base)
    values: dict[str, Any] = {UPDATED: session_rows.next_time(key)} if touch else {}
    last_row, revision = session_writer.append(unit, key, added, values, touch=False)
    token.note_append(Addition(last_row, added_digests))
    messages, digests = None, base.messages
    if digests is not None and key.transcript_revision <= base.revision:
        digests = [*digests, *(message.digest for message in added)]
    elif digests is not None:
        messages, digests = read_messages(unit, key.id, key.session_id, count)
    new = token.appended(
        # Fields that others changed since are not in this version.
        revision=revision if key.revision == base.revision else base.revision,
        session_id=key.session_id,
        message_count=count,
        values=values,
        messages=digests,
    )
    return new, Adopted(session_id=key.session_id, values=values, messages=messages)


def _appended_before(unit: UnitOfWork, token: Token, key: SessionKey, base: Base) -> tuple[Token, Adopted]:
    """Return what an append returns that was committed, though its connection broke before it knew."""
    messages, digests = None, base.messages
    if digests is not None:
        messages, digests = read_messages(unit, key.id, key.session_id, key.message_count)
    new = token.appended(
        revision=base.revision,
        session_id=key.session_id,
        message_count=key.message_count,
        values={},
        messages=digests,
    )
    return new, Adopted(session_id=key.session_id, values={}, messages=messages)
