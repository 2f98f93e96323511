"""Taking the agent's conversations into the store, again and again as they grow.

A conversation is known by its first session. Each run compares three states: what the agent has now, what was
taken in last time, and what the store has. The agent's news are written where the store's copy is as it was
taken in; whatever the user did to it stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from .. import payload, rows, transcript
from ..collection import require_free
from ..database import Database
from ..errors import SessionDeletedError, SessionExistsError
from ..fields import PROFILE_LIMIT, SOURCE_LIMIT, TEXT_LIMIT, TITLE_LIMIT, is_id
from ..ledger import remember
from ..reports import ImportItem, ImportProgress, Outcome
from ..tables import DEFAULT_PROFILE, Message, Session
from ..tables import ImportItem as ItemRow
from ..transcript import Encoded
from .attach import Snapshot
from .listing import describe
from .messages import read_chain
from .records import AgentSession

KIND: Final = "agent-session"

OnProgress = Callable[[ImportProgress], None]


@dataclass(frozen=True)
class Conversation:
    """A conversation as the agent has it now."""

    session: AgentSession
    messages: list[Encoded]
    #: The agent's ids of the messages, in order.
    message_ids: list[int]
    #: The agent's ids of every message there is, taken back ones included.
    present: frozenset[int]

    @property
    def root(self) -> str:
        return self.session.chain[0]


def read_conversation(snapshot: Snapshot, session: AgentSession) -> Conversation:
    """Read all messages of a conversation."""
    found = read_chain(snapshot, session.chain, include_rewound=True)
    live = [message for message in found if not message.get("_rewound")]
    return Conversation(
        session=session,
        messages=transcript.encode(live),
        message_ids=[message["_state_db_row_id"] for message in live],
        present=frozenset(message["_state_db_row_id"] for message in found),
    )


def read_conversations(snapshot: Snapshot, session_ids: list[str]) -> list[Conversation]:
    """Read some conversations; those that are gone by now are left out."""
    return [read_conversation(snapshot, session) for session in describe(snapshot, session_ids)]


class AgentIntake:
    """Brings the store up to the agent's conversations, one by one."""

    def __init__(self, database: Database, *, origin: str, profile: str | None) -> None:
        self._database = database
        self._origin = origin
        self._profile = profile or DEFAULT_PROFILE

    def take_in(self, conversation: Conversation) -> ImportItem:
        """Bring the store up to a conversation, as far as that is right, and say how it ended."""
        with self._database.write() as connection:
            known = self._known(connection, conversation)
            if known is None:
                return self._create(connection, conversation)
            if known.session_id is None:
                return _item(conversation, Outcome.SKIPPED, "it was purged from the store")
            if known.deleted_at is not None:
                return _item(conversation, Outcome.SKIPPED, "it is deleted in the store", known.public_id)
            return self._update(connection, conversation, known)

    def _known(self, connection: Connection, conversation: Conversation) -> Any:
        """Return what was taken in of the conversation, by any session of its chain."""
        query = (
            select(
                ItemRow.session_id,
                ItemRow.digest,
                ItemRow.revision,
                ItemRow.notes,
                Session.session_id.label("public_id"),
                Session.title,
                Session.revision.label("current_revision"),
                Session.message_count,
                Session.deleted_at,
            )
            .outerjoin(Session, ItemRow.session_id == Session.id)
            .where(ItemRow.kind == KIND, ItemRow.origin == self._origin, ItemRow.item == conversation.root)
        )
        return connection.execute(query).one_or_none()

    def _create(self, connection: Connection, conversation: Conversation) -> ImportItem:
        session = conversation.session
        if not is_id(session.session_id):
            return _item(conversation, Outcome.FAILED, f"its id {session.session_id!r} cannot be a session's here")
        try:
            require_free(connection, session.session_id)
        except SessionExistsError:
            return _item(
                conversation, Outcome.CONFLICT, "the store's session of this id is from elsewhere, and was kept"
            )
        except SessionDeletedError:
            return _item(conversation, Outcome.SKIPPED, "it is deleted in the store")
        created = session.started_at if session.started_at is not None else session.last_active
        row_id = connection.execute(
            insert(Session)
            .values(
                session_id=session.session_id,
                profile=self._profile[:PROFILE_LIMIT],
                title=session.title[:TITLE_LIMIT],
                workspace=_short(session.cwd, TEXT_LIMIT),
                model=_short(session.model, TEXT_LIMIT),
                source=_short(session.source, SOURCE_LIMIT),
                created_at=created,
                updated_at=session.last_active,
                archived=session.archived,
                input_tokens=session.input_tokens,
                output_tokens=session.output_tokens,
                estimated_cost=session.estimated_cost,
                parent_id=self._parent(connection, session),
                message_count=len(conversation.messages),
                last_message_at=_last_time(conversation.messages),
            )
            .returning(Session.id)
        ).scalar_one()
        rows.insert_messages(connection, row_id, dict(enumerate(conversation.messages)))
        rows.insert_documents(connection, row_id, _documents(session))
        self._remember(connection, conversation, row_id, revision=1, new=True)
        return _item(conversation, Outcome.IMPORTED)

    def _update(self, connection: Connection, conversation: Conversation, known: Any) -> ImportItem:
        digest = _digest([message.digest for message in conversation.messages])
        taken = known.notes or {}
        if digest == known.digest:
            return self._retitle(connection, conversation, known, taken)
        gone = set(taken.get("message_ids", ())) - conversation.present
        if gone:
            reason = (
                f"{len(gone)} of its messages are gone from the agent's file (it was pruned, or replaced by another); "
                "the store's copy was kept"
            )
            return _item(conversation, Outcome.CONFLICT, reason, known.public_id)
        if known.revision != known.current_revision and self._content(connection, known.session_id) != known.digest:
            reason = "its messages were changed here and by the agent; the store's copy was kept"
            return _item(conversation, Outcome.CONFLICT, reason, known.public_id)
        if self._replaced(connection, conversation, known, taken):
            reason = "other messages have their ids in the agent's file (it was replaced); the store's copy was kept"
            return _item(conversation, Outcome.CONFLICT, reason, known.public_id)
        rows.write_transcript(connection, known.session_id, conversation.messages)
        session = conversation.session
        values: dict[str, Any] = {
            "message_count": len(conversation.messages),
            "last_message_at": _last_time(conversation.messages),
            "updated_at": session.last_active,
            "input_tokens": session.input_tokens,
            "output_tokens": session.output_tokens,
            "estimated_cost": session.estimated_cost,
            "revision": known.current_revision + 1,
        }
        if known.title == taken.get("title"):  # else the user gave it another
            values["title"] = session.title[:TITLE_LIMIT]
        connection.execute(update(Session).where(Session.id == known.session_id).values(values))
        # The rest of the row is the user's: what differs from the import stays so, and is no conflict next time.
        self._remember(connection, conversation, known.session_id, known.current_revision + 1, new=False)
        return _item(conversation, Outcome.UPDATED, _news(taken, conversation), known.public_id)

    def _retitle(
        self, connection: Connection, conversation: Conversation, known: Any, taken: dict[str, Any]
    ) -> ImportItem:
        """Take in the title that the agent gave since, where the messages are the same."""
        title = conversation.session.title[:TITLE_LIMIT]
        if title == known.title or known.title != taken.get("title"):
            return _item(conversation, Outcome.UNCHANGED, "", known.public_id)
        revision = known.current_revision + 1
        connection.execute(update(Session).where(Session.id == known.session_id).values(title=title, revision=revision))
        # What the user did to the messages must still be seen the next time.
        seen = revision if known.revision == known.current_revision else known.revision
        self._remember(connection, conversation, known.session_id, seen, new=False)
        return _item(conversation, Outcome.UPDATED, "another title", known.public_id)

    def _replaced(self, connection: Connection, conversation: Conversation, known: Any, taken: dict[str, Any]) -> bool:
        """Whether an id of the agent's is another message now: of another role, or another time.

        The agent never changes these. To be asked of a copy that is as it was taken in.
        """
        query = select(Message.role, Message.timestamp).where(Message.session_id == known.session_id)
        then = dict(
            zip(taken.get("message_ids", ()), connection.execute(query.order_by(Message.position)), strict=True)
        )
        now = zip(conversation.message_ids, conversation.messages, strict=True)
        return any(
            message_id in then and tuple(then[message_id]) != (message.role, message.timestamp)
            for message_id, message in now
        )

    def _content(self, connection: Connection, session: int) -> bytes:
        query = select(Message.digest).where(Message.session_id == session).order_by(Message.position)
        return _digest(list(connection.execute(query).scalars()))

    def _parent(self, connection: Connection, session: AgentSession) -> int | None:
        if not is_id(session.parent_id):
            return None
        query = select(Session.id).where(Session.session_id == session.parent_id, Session.profile == self._profile)
        return connection.execute(query).scalar()

    def _remember(
        self, connection: Connection, conversation: Conversation, session: int, revision: int, *, new: bool
    ) -> None:
        notes = {
            "chain": list(conversation.session.chain),
            "title": conversation.session.title[:TITLE_LIMIT],
            "message_ids": conversation.message_ids,
        }
        remember(
            connection,
            KIND,
            self._origin,
            conversation.root,
            new=new,
            session_id=session,
            digest=_digest([message.digest for message in conversation.messages]),
            revision=revision,
            notes=notes,
        )


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


def _news(taken: dict[str, Any], conversation: Conversation) -> str:
    before, now = set(taken.get("message_ids", ())), set(conversation.message_ids)
    parts = []
    if now - before:
        parts.append(f"{len(now - before)} new messages")
    if before - now:
        parts.append(f"{len(before - now)} taken back")
    if list(conversation.session.chain) != taken.get("chain"):
        parts.append("compressed since")
    return ", ".join(parts)


def _digest(digests: list[bytes]) -> bytes:
    return payload.digest(b"".join(digests))


def _last_time(messages: list[Encoded]) -> float | None:
    return next((message.timestamp for message in reversed(messages) if message.timestamp is not None), None)


def _short(value: Any, limit: int) -> str | None:
    return value if isinstance(value, str) and len(value) <= limit else None
