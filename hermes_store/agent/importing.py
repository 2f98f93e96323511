"""Taking the agent's conversations into the store, again and again as they grow.

Each run compares three states: what the agent has now, what was taken in last time, and what the store has. The
agent's news are written where the store's copy is as it was taken in; whatever the user did to it stays.

A conversation is known by every session that was ever seen to be part of it, so it is known again when the agent
compressed it or cut off its beginning. One of their rows in the store's memory says what was taken in; the others
only point to the same copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from .. import payload, rows
from ..collection import descends, require_free
from ..database import Database
from ..errors import SessionDeletedError, SessionExistsError
from ..fields import SOURCE_LIMIT, TEXT_LIMIT, TITLE_LIMIT, is_id
from ..ledger import remember
from ..reports import ImportItem, ImportProgress, Outcome
from ..tables import DEFAULT_PROFILE, Message, Session
from ..tables import ImportItem as ItemRow
from ..transcript import Encoded
from .conversation import Conversation, digest_of
from .records import AgentSession

OnProgress = Callable[[ImportProgress], None]

KIND: Final = "agent-session"
#: Messages in one statement.
_CHUNK: Final = 1_000


# Made once: every conversation runs these, and building them takes longer than they do.
_remembered: Final = select(ItemRow.item, ItemRow.session_id).where(
    ItemRow.kind == KIND,
    ItemRow.origin == bindparam("of_origin"),
    ItemRow.item.in_(bindparam("members", expanding=True)),
)
_find_and_lock: Final = (
    select(
        Session.id,
        Session.session_id,
        Session.profile,
        Session.title,
        Session.input_tokens,
        Session.output_tokens,
        Session.estimated_cost,
        Session.parent_id,
        Session.revision,
        Session.deleted_at,
    )
    .where(Session.id == bindparam("row_id"))
    .with_for_update()
)
_notes: Final = select(ItemRow.item, ItemRow.digest, ItemRow.revision, ItemRow.notes).where(
    ItemRow.kind == KIND,
    ItemRow.origin == bindparam("of_origin"),
    ItemRow.session_id == bindparam("row_id"),
    ItemRow.notes.is_not(None),
)
_insert: Final = insert(Session).returning(Session.id)


@dataclass(frozen=True)
class _Copy:
    """What the store has of a conversation, and what was taken in last time."""

    #: The session's row as it is now.
    row: Row[Any]
    #: The agent's session under which the rest of this is remembered.
    item: str
    #: The digest of the messages that were taken in, and the row's revision then.
    digest: bytes
    revision: int
    #: The agent's ids of these messages, and the chain then.
    message_ids: list[int]
    chain: list[str]
    #: The columns that follow the agent, as they were last written: one that differs now is the user's.
    written: dict[str, Any]


class AgentImporter:
    """Brings the store up to the agent's conversations, one by one."""

    def __init__(self, database: Database, *, origin: str, profile: str | None) -> None:
        self._database = database
        self._origin = origin
        self._profile = profile or DEFAULT_PROFILE

    def import_conversation(self, conversation: Conversation) -> ImportItem:
        """Bring the store up to a conversation, as far as that is right, and say how it ended."""
        with self._database.write() as connection:
            try:
                with self._database.savepoint(connection):
                    return self._import(connection, conversation)
            except IntegrityError:  # another process took it in, or took its id, since it was found to be new
                return self._import(connection, conversation)
            except DataError as error:
                return _item(conversation, Outcome.FAILED, f"the database refused it: {error.orig}")

    def _import(self, connection: Connection, conversation: Conversation) -> ImportItem:
        known = self._known(connection, conversation.session.chain)
        if not known:
            return self._create(connection, conversation)
        session = next(known[member] for member in conversation.session.chain if member in known)
        row = None if session is None else self._lock(connection, session)
        self._point(connection, (one for one in conversation.session.chain if one not in known), row and row.id)
        if row is None:
            return _item(conversation, Outcome.SKIPPED, "it was purged from the store")
        if row.deleted_at is not None:
            return _item(conversation, Outcome.SKIPPED, "it is deleted in the store", row.session_id)
        return self._update(connection, conversation, self._copy(connection, row))

    def _known(self, connection: Connection, chain: tuple[str, ...]) -> dict[str, int | None]:
        """Return the sessions of a chain that are remembered, with the row of the copy; None where that was purged."""
        found = connection.execute(_remembered, {"of_origin": self._origin, "members": chain})
        return {row.item: row.session_id for row in found}

    def _lock(self, connection: Connection, session: int) -> Row[Any] | None:
        """Return the copy's row, which nobody else changes before this transaction ends."""
        return connection.execute(_find_and_lock, {"row_id": session}).one_or_none()  # type: ignore[return-value]

    def _copy(self, connection: Connection, row: Row[Any]) -> _Copy:
        """Return what is remembered of a copy. To be asked when its row is locked, as another import writes both."""
        item = connection.execute(_notes, {"of_origin": self._origin, "row_id": row.id}).one()
        return _Copy(row, item.item, item.digest, item.revision, **item.notes)

    def _create(self, connection: Connection, conversation: Conversation) -> ImportItem:
        session = conversation.session
        if not is_id(session.session_id):
            return _item(conversation, Outcome.FAILED, f"its id {session.session_id!r} cannot be a session's here")
        try:
            for member in filter(is_id, session.chain):
                require_free(connection, member)
        except SessionExistsError:
            if self._known(connection, session.chain):  # another process took it in just now
                return self._import(connection, conversation)
            return _item(
                conversation, Outcome.CONFLICT, "the store's session of this id is from elsewhere, and was kept"
            )
        except SessionDeletedError:
            return _item(conversation, Outcome.SKIPPED, "it is deleted in the store")
        created = session.started_at if session.started_at is not None else session.last_active
        written = {**_following(session), "parent_id": self._parent(connection, session, self._profile)}
        row_id = connection.execute(
            _insert,
            {
                "session_id": session.session_id,
                "profile": self._profile,
                "workspace": _short(session.cwd, TEXT_LIMIT),
                "model": _short(session.model, TEXT_LIMIT),
                "source": _short(session.source, SOURCE_LIMIT),
                "created_at": created,
                "updated_at": session.last_active,
                "archived": session.archived,
                "message_count": len(conversation.messages),
                "last_message_at": _last_time(conversation.messages),
                **written,
            },
        ).scalar_one()
        for start in range(0, len(conversation.messages), _CHUNK):
            chunk = conversation.messages[start : start + _CHUNK]
            rows.insert_messages(connection, row_id, dict(enumerate(chunk, start)))
        rows.insert_documents(connection, row_id, _documents(session))
        self._remember(
            connection, conversation, item=conversation.root, session=row_id, revision=1, written=written, new=True
        )
        self._point(connection, session.chain[1:], row_id)
        return _item(conversation, Outcome.IMPORTED)

    def _update(self, connection: Connection, conversation: Conversation, copy: _Copy) -> ImportItem:
        untouched = copy.row.revision == copy.revision
        ours = copy.digest if untouched else self._content(connection, copy.row.id)
        following = self._followed(connection, conversation.session, copy)
        if conversation.digest in (copy.digest, ours):
            return self._follow(connection, conversation, copy, following, as_taken=conversation.digest == ours)
        if reason := self._conflict(connection, conversation, copy, ours):
            return _item(conversation, Outcome.CONFLICT, f"{reason}; the store's copy was kept", copy.row.session_id)
        rows.write_transcript(connection, copy.row.id, conversation.messages)
        values = {
            **following,
            "message_count": len(conversation.messages),
            "last_message_at": _last_time(conversation.messages),
            "updated_at": conversation.session.last_active,
        }
        self._write(connection, conversation, copy, values, following, as_taken=True)
        return _item(conversation, Outcome.UPDATED, _news(copy, conversation), copy.row.session_id)

    def _follow(
        self, connection: Connection, conversation: Conversation, copy: _Copy, values: dict[str, Any], *, as_taken: bool
    ) -> ImportItem:
        """Take in what else the agent changed, where there is nothing to do about the messages."""
        if not values and conversation.digest == copy.digest:
            return _item(conversation, Outcome.UNCHANGED, "", copy.row.session_id)
        self._write(connection, conversation, copy, values, values, as_taken=as_taken)
        if not values:  # both sides came to the same messages
            return _item(conversation, Outcome.UNCHANGED, "", copy.row.session_id)
        reason = ", ".join(dict.fromkeys(_NAMES[name] for name in values))
        return _item(conversation, Outcome.UPDATED, reason, copy.row.session_id)

    def _write(
        self,
        connection: Connection,
        conversation: Conversation,
        copy: _Copy,
        values: dict[str, Any],
        following: dict[str, Any],
        *,
        as_taken: bool,
    ) -> None:
        """Write columns of the copy's row, and remember what was taken in.

        Args:
            as_taken: the messages are the agent's; else what the user did to them must still be seen the next time.
        """
        revision = copy.row.revision + bool(values)
        if values:
            changes = {**values, "revision": revision}
            connection.execute(update(Session).where(Session.id == copy.row.id).values(changes))
        seen = revision if as_taken else copy.revision
        written = {**copy.written, **following}
        self._remember(
            connection, conversation, item=copy.item, session=copy.row.id, revision=seen, written=written, new=False
        )

    def _followed(self, connection: Connection, session: AgentSession, copy: _Copy) -> dict[str, Any]:
        """Return what the agent changed of the columns that follow it, but for those that the user changed."""
        values = _following(session)
        parent = self._parent(connection, session, copy.row.profile)
        if parent not in (None, copy.row.parent_id) and not descends(connection, parent, copy.row.id):
            values["parent_id"] = parent
        now = copy.row._mapping
        return {
            name: value
            for name, value in values.items()
            if now[name] != value and name in copy.written and now[name] == copy.written[name]
        }

    def _conflict(self, connection: Connection, conversation: Conversation, copy: _Copy, ours: bytes) -> str:
        """Say why the agent's messages cannot be written over the copy's; empty if they can."""
        marks = conversation.marks()
        gone = sum(message_id not in marks for message_id in copy.message_ids)
        if gone:
            return (
                f"{gone} of its messages are gone from the agent's file (it was pruned, or cut, or replaced by another)"
            )
        if ours != copy.digest:
            return "its messages were changed here and by the agent"
        # Of a message the agent never changes the role and the time.
        query = select(Message.role, Message.timestamp).where(Message.session_id == copy.row.id)
        then = connection.execute(query.order_by(Message.position))
        for message_id, mark in zip(copy.message_ids, then, strict=True):
            if marks[message_id] != tuple(mark):
                return "other messages have their ids in the agent's file (it was replaced)"
        return ""

    def _content(self, connection: Connection, session: int) -> bytes:
        query = select(Message.digest).where(Message.session_id == session).order_by(Message.position)
        return digest_of(list(connection.execute(query).scalars()))

    def _parent(self, connection: Connection, session: AgentSession, profile: str) -> int | None:
        """Return the row of what a session came from: its copy, else the store's session of that id."""
        if not is_id(session.parent_id):
            return None
        query = select(Session.id).where(Session.profile == profile, Session.deleted_at.is_(None))
        copies = select(ItemRow.session_id).where(
            ItemRow.kind == KIND, ItemRow.origin == self._origin, ItemRow.item == session.parent_id
        )
        copy: int | None = connection.execute(query.where(Session.id.in_(copies))).scalar()
        if copy is not None:
            return copy
        return connection.execute(query.where(Session.session_id == session.parent_id)).scalar()

    def _remember(
        self,
        connection: Connection,
        conversation: Conversation,
        *,
        item: str,
        session: int,
        revision: int,
        written: dict[str, Any],
        new: bool,
    ) -> None:
        notes = {
            "chain": list(conversation.session.chain),
            "message_ids": conversation.message_ids,
            "written": written,
        }
        remember(
            connection,
            KIND,
            self._origin,
            item,
            new=new,
            session_id=session,
            digest=conversation.digest,
            revision=revision,
            notes=notes,
        )

    def _point(self, connection: Connection, members: Iterable[str], session: int | None) -> None:
        """Remember that sessions are part of a conversation that is known already."""
        for member in members:
            remember(connection, KIND, self._origin, member, new=True, digest=b"", session_id=session)


class Progress:
    """Counts what is done and tells it."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._counts: Counter[Outcome] = Counter()
        self.items: list[ImportItem] = []

    def add(self, item: ImportItem) -> None:
        """Note how a conversation ended."""
        self.items.append(item)
        self._counts[item.outcome] += 1
        if self._on_progress is not None:
            self._on_progress(
                ImportProgress(done=len(self.items), total=self._total, path=item.path, counts=dict(self._counts))
            )


def _following(session: AgentSession) -> dict[str, Any]:
    """Return the columns that follow the agent for as long as the user leaves them alone."""
    return {
        "title": session.title[:TITLE_LIMIT],
        "input_tokens": session.input_tokens,
        "output_tokens": session.output_tokens,
        "estimated_cost": session.estimated_cost,
    }


#: What a report calls their changes.
_NAMES: Final = {
    "title": "another title",
    "input_tokens": "more tokens",
    "output_tokens": "more tokens",
    "estimated_cost": "another cost",
    "parent_id": "its parent is here now",
}


def _item(conversation: Conversation, outcome: Outcome, reason: str = "", public_id: str | None = None) -> ImportItem:
    session_id = conversation.session.session_id
    return ImportItem(
        path=session_id,
        outcome=outcome,
        id=public_id or session_id,
        reason=reason,
        messages=len(conversation.messages),
    )


def _documents(session: AgentSession) -> dict[str, bytes]:
    """Return what marks the session for the WebUI as the agent's."""
    values = {"is_cli_session": True, "source_tag": session.source_tag, "_cli_origin": session.session_id}
    return {key: payload.encode(value) for key, value in values.items()}


def _news(copy: _Copy, conversation: Conversation) -> str:
    before, now = set(copy.message_ids), set(conversation.message_ids)
    parts = []
    if now - before:
        parts.append(f"{len(now - before)} new messages")
    if before - now:
        parts.append(f"{len(before - now)} taken back")
    if list(conversation.session.chain) != copy.chain:
        parts.append("compressed since")
    return ", ".join(parts)


def _last_time(messages: list[Encoded]) -> float | None:
    return next((message.timestamp for message in reversed(messages) if message.timestamp is not None), None)


def _short(value: Any, limit: int) -> str | None:
    return value if isinstance(value, str) and len(value) <= limit else None
