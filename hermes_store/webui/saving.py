"""Saving a live session: what differs from the state it was read at, over what others wrote since.

Each value and each message is compared three ways: as it was read, as it is here, as the store has it now. What
only one side changed is taken from that side; what both changed differently is refused, and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from .. import collection, rows, transcript
from ..collection import SessionKey
from ..errors import SessionExistsError, SessionNotFoundError, StaleSessionError
from ..files import image
from ..tables import Session
from . import placing
from .merge import MergeConflictError, merge
from .state import (
    ROW_KEYS,
    State,
    current_id,
    digests_of,
    message_digests,
    read_digests,
    read_document,
    read_messages,
    read_row,
    read_values,
    read_whole,
)

_UPDATED: Final = "updated_at"


@dataclass
class Base:
    """What a live session was when it was read or saved: digests, to tell what changed since."""

    row_id: int
    session_id: str
    revision: int
    message_count: int
    values: dict[str, bytes]
    #: Whether those are all; else others may be in the store, but for the `absent` ones.
    complete: bool
    absent: set[str] = field(default_factory=set)
    messages: list[bytes] | None = None

    @classmethod
    def of(cls, state: State) -> Base:
        """Return the base of a session that was just read."""
        return cls(
            row_id=state.row_id,
            session_id=state.session_id,
            revision=state.revision,
            message_count=state.message_count,
            values=digests_of(state.values),
            complete=state.complete,
            messages=state.message_digests,
        )

    def changed(self, digests: Mapping[str, bytes]) -> set[str]:
        """Return the keys whose values are others now, are new, or are gone."""
        return {key for key in self.values.keys() | digests.keys() if self.values.get(key) != digests.get(key)}


@dataclass
class Mine:
    """A live session at the moment of saving."""

    session_id: str
    values: dict[str, Any]
    #: None where they were not read.
    messages: list[Any] | None
    digests: dict[str, bytes] = field(init=False)
    message_digests: list[bytes] | None = field(init=False)

    def __post_init__(self) -> None:
        self.digests = digests_of(self.values)
        self.message_digests = None if self.messages is None else message_digests(self.messages)


@dataclass
class Saved:
    """What a save made."""

    base: Base
    #: What others wrote meanwhile, where this session had nothing of its own.
    adopted: dict[str, Any] = field(default_factory=dict)
    #: The values that others removed.
    gone: set[str] = field(default_factory=set)
    #: The transcript with the others' messages in it; None where it is the one that was saved.
    messages: list[Any] | None = None


def create(connection: Connection, mine: Mine) -> Saved:
    """Write a session that is new.

    Raises:
        SessionExistsError: another one has the id.
        SessionDeletedError: a deleted one had it.
    """
    try:
        collection.require_free(connection, mine.session_id)
    except SessionExistsError:
        base = _same(connection, mine)
        if base is None:
            raise
        return change(connection, base, mine)
    messages = transcript.encode(mine.messages or [])
    made = image.from_json(dict(mine.values), messages, written_at=time.time())
    links = placing.links(connection, made.columns["profile"], mine.values)
    columns = {**made.columns, **links.columns, "session_id": mine.session_id}
    try:
        row_id = connection.execute(_insert, columns).scalar_one()
    except IntegrityError as error:  # another process took the id since it was found free
        raise SessionExistsError(mine.session_id) from error
    rows.insert_messages(connection, row_id, dict(enumerate(messages)))
    kept = {key: body for key, body in made.documents.items() if key not in links.gone}
    rows.insert_documents(connection, row_id, {**kept, **links.documents})
    base = Base(row_id, mine.session_id, 1, len(messages), mine.digests, complete=True)
    base.messages = [message.digest for message in messages]
    return Saved(base)


_insert: Final = insert(Session).returning(Session.id)


def _same(connection: Connection, mine: Mine) -> Base | None:
    """Return the base of the stored session if it says the same: then it was saved already, by whomever."""
    try:
        base = Base.of(read_whole(connection, mine.session_id))
    except SessionNotFoundError:
        return None  # it is the former id of another session
    same = base.changed(mine.digests) <= {_UPDATED} and base.messages == (mine.message_digests or [])
    return base if same else None


def change(connection: Connection, base: Base, mine: Mine) -> Saved:
    """Write what differs from a session's base.

    Raises:
        SessionNotFoundError, SessionDeletedError: it is no longer there.
        StaleSessionError: others changed the same part since.
    """
    name = current_id(connection, base.row_id, base.session_id)
    key = collection.live(collection.find(connection, name, None, lock=True))
    saved = Saved(
        Base(
            row_id=key.id,
            session_id=key.session_id,
            revision=key.revision,
            message_count=key.message_count,
            values=dict(mine.digests),
            complete=base.complete,
            absent=base.absent - mine.values.keys(),
            messages=mine.message_digests,
        )
    )
    written = base.changed(mine.digests)
    if key.revision != base.revision:
        written = _reconcile(connection, base, mine, key, saved, written)
    now = {name: value for name, value in {**mine.values, **saved.adopted}.items() if name not in saved.gone}
    placed = placing.values(connection, key, now, written)
    placed.columns |= _write_messages(connection, base, mine, key, saved)
    if placed.documents:
        rows.write_documents(connection, key.id, placed.documents)
    if placed.gone:
        rows.remove_documents(connection, key.id, placed.gone)
    if written or placed.columns:
        if "profile" in placed.columns and placed.columns["profile"] != key.profile:
            connection.execute(update(Session).where(Session.parent_id == key.id).values(parent_id=None))
        columns = {_UPDATED: key.updated_at, **placed.columns}
        saved.base.revision = collection.touch(connection, key, **columns)
    return saved


def _reconcile(  # noqa: PLR0917 - three versions, and what becomes of them
    connection: Connection, base: Base, mine: Mine, key: SessionKey, saved: Saved, written: set[str]
) -> set[str]:
    """Take what others changed into `saved`, and return which of the changes here are still to be written.

    Raises:
        StaleSessionError: the same values were changed to others.
    """
    theirs = _theirs(connection, base, key.session_id)
    digests = digests_of(theirs.values)
    others = base.changed(digests)
    both = (written & others) - {_UPDATED}
    if conflicts := sorted(name for name in both if mine.digests.get(name) != digests.get(name)):
        raise StaleSessionError(key.session_id, base.revision, key.revision, f"both changed {', '.join(conflicts)}")
    for name in others - written:
        if name in digests:
            saved.adopted[name] = theirs.values[name]
            saved.base.values[name] = digests[name]
        else:
            saved.gone.add(name)
            saved.base.values.pop(name, None)
    return written - both


def _theirs(connection: Connection, base: Base, session_id: str) -> State:
    """Read what the store has of those values that the base knows."""
    if base.complete:
        return read_values(connection, session_id)
    theirs = read_row(connection, session_id)
    for name in sorted((base.values.keys() | base.absent) - ROW_KEYS):
        read_document(connection, theirs, name)
    return theirs


def _write_messages(connection: Connection, base: Base, mine: Mine, key: SessionKey, saved: Saved) -> dict[str, Any]:
    """Write the transcript as far as it differs, and return what that makes of the session's row.

    Raises:
        StaleSessionError: others changed the same messages.
    """
    if mine.messages is None or mine.message_digests is None or base.messages is None:
        return {}
    stored = base.messages if key.revision == base.revision else read_digests(connection, key.id)
    if mine.message_digests == stored:
        return {}
    if stored == base.messages:
        return _write(connection, key, stored, mine.messages, mine.message_digests, saved)
    try:
        sources = merge(base.messages, mine.message_digests, stored)
    except MergeConflictError:
        raise StaleSessionError(key.session_id, base.revision, key.revision, "both changed the same messages") from None
    theirs = read_row(connection, key.session_id)
    read_messages(connection, theirs)
    bodies = {"mine": mine.messages, "theirs": theirs.messages or []}
    digests = {"mine": mine.message_digests, "theirs": stored}
    saved.messages = [bodies[source.side][source.position] for source in sources]
    merged = [digests[source.side][source.position] for source in sources]
    if merged == stored:
        saved.base.messages, saved.base.message_count = merged, len(merged)
        return {}
    return _write(connection, key, stored, saved.messages, merged, saved)


def _write(  # noqa: PLR0917 - a session, its transcript before and after
    connection: Connection,
    key: SessionKey,
    stored: list[bytes],
    messages: list[Any],
    digests: list[bytes],
    saved: Saved,
) -> dict[str, Any]:
    """Make the stored transcript be `messages`; of one that only grew, no more than its end is encoded."""
    saved.base.messages, saved.base.message_count = digests, len(digests)
    columns: dict[str, Any] = {"message_count": len(messages)}
    if digests[: len(stored)] == stored:
        added = transcript.encode(messages[len(stored) :])
        rows.insert_messages(connection, key.id, dict(enumerate(added, len(stored))))
        times = [message.timestamp for message in added if message.timestamp is not None]
        return columns | ({"last_message_at": times[-1]} if times else {})
    encoded = transcript.encode(messages)
    rows.write_transcript(connection, key.id, encoded)
    times = [message.timestamp for message in encoded if message.timestamp is not None]
    return columns | {"last_message_at": times[-1] if times else None}
