"""The schema: every table, constraint and index, and for each index the query that it serves.

Alembic compares these classes with the migrations. The library itself runs `select`, `insert` and `update` statements
on their columns; nothing loads entities. All tables are imported from here; those of sessions, of messages and of the
index of words are declared in `schema_sessions`, `schema_messages` and `schema_search`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .schema_base import Base
from .schema_messages import KeptMessage, Message, MessageBlob, MessageCut
from .schema_search import SEARCH_NAMES, SEARCH_TABLES, SearchState
from .schema_sessions import (
    BLANK,
    DELETED,
    EMPTY,
    GROUPS,
    NOT_STAGED,
    ORDER_TIMES,
    STAGED_COUNT,
    STAGED_PREFIX,
    VISIBLE,
    Project,
    Session,
    SessionDocument,
    SessionExtras,
)
from .types import PublicId, RowId

__all__ = [
    "BLANK",
    "DELETED",
    "EMPTY",
    "GROUPS",
    "NOT_STAGED",
    "ORDER_TIMES",
    "SEARCH_NAMES",
    "SEARCH_TABLES",
    "STAGED_COUNT",
    "STAGED_PREFIX",
    "VISIBLE",
    "Base",
    "ChangeState",
    "GoneId",
    "ImportItem",
    "KeptMessage",
    "Message",
    "MessageBlob",
    "MessageCut",
    "Project",
    "RetiredId",
    "SearchState",
    "Session",
    "SessionDocument",
    "SessionExtras",
    "Share",
    "SharePayload",
    "UsageRow",
    "metadata",
]


class Share(Base):
    """A frozen copy of a conversation that others may read under a token: what lists of shares read of it."""

    __tablename__ = "shares"
    __table_args__ = (
        # shares.list()
        Index("ix_shares_list", "created_at", "token"),
        # shares.list(session_id=…), and purging a session.
        Index("ix_shares_session_id", "session_id", "created_at", "token"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: What is in the link; also the name of hermes-webui's file.
    token: Mapped[str] = mapped_column(PublicId, unique=True)
    session_id: Mapped[int] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Mapped[float]
    #: When the copy was made.
    updated_at: Mapped[float]
    revoked_at: Mapped[float | None]
    #: Of the payload; see `json_codec.digest`.
    digest: Mapped[bytes]


class SharePayload(Base):
    """The copy itself: the JSON object of hermes-webui's file, as it was when the copy was made."""

    __tablename__ = "share_payloads"

    share_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    payload: Mapped[bytes]


class UsageRow(Base):
    """What a session used at one time: tokens of a model, and their cost."""

    __tablename__ = "usage"
    __table_args__ = (
        # usage.totals()
        Index("ix_usage_at", "at"),
        # usage.totals(profile=…)
        Index("ix_usage_profile", "profile", "at"),
        # usage.list(), and purging a session.
        Index("ix_usage_session_id", "session_id", "at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: Null once the session was purged: what it cost still counts.
    session_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="SET NULL"))
    #: The session's profile.
    profile: Mapped[str]
    model: Mapped[str | None]
    provider: Mapped[str | None]
    #: "record", "total" or "copy": see `records.UsageKind`.
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    input_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    cache_read_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    cache_write_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    reasoning_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    #: In billionths of the unit that `Session.estimated_cost` is in, so that sums are exact. Null if it is not known.
    cost: Mapped[int | None]


class RetiredId(Base):
    """A public session id that is not used any more, and must never mean another session."""

    __tablename__ = "retired_ids"
    # sessions.purge() of the session that now has another id.
    __table_args__ = (Index("ix_retired_ids_successor_id", "successor_id"),)

    session_id: Mapped[str] = mapped_column(Text, primary_key=True)
    #: The session that was renamed away from it; null when it was purged.
    successor_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="SET NULL"))
    retired_at: Mapped[float]


class GoneId(Base):
    """A public id under which a session or a project is not found any more (in its profile): it was purged or deleted,
    got another id, or moved to another profile. `changes` tells of it for some time."""

    __tablename__ = "gone_ids"
    __table_args__ = (
        UniqueConstraint("kind", "public_id", "profile"),
        # store.changes()
        Index("ix_gone_ids_change_number", "change_number", "id"),
        # Removing the oldest ones.
        Index("ix_gone_ids_gone_at", "gone_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: "session" or "project". In further rows, which are no ids: "removed", with the number of the last one of this
    #: profile that was removed here; "staged", with that of the last staged row that was removed.
    kind: Mapped[str] = mapped_column(Text)
    profile: Mapped[str]
    public_id: Mapped[str]
    #: The row that it had, which nothing refers to.
    row_id: Mapped[int]
    #: See `Session.change_number`.
    change_number: Mapped[int]
    gone_at: Mapped[float]


class ChangeState(Base):
    """What numbers and cursors of changes depend on, in one row."""

    __tablename__ = "change_state"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    #: Cursors of changes are encrypted with it.
    cursor_key: Mapped[bytes]
    #: On a server, which copy of the database this is. A restored dump is another one.
    place: Mapped[str] = mapped_column(Text, server_default=text("''"))
    #: On a server, the number of a change is this and the number of its transaction.
    base: Mapped[int] = mapped_column(server_default=text("0"))


class ImportItem(Base):
    """What was imported from where, so that a second import is cheap and a changed source is noticed."""

    __tablename__ = "import_items"
    __table_args__ = (
        UniqueConstraint("kind", "origin", "item"),
        # sessions.purge(): the rows whose foreign key is set to null.
        Index("ix_import_items_session_id", "session_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: "webui-session", "webui-project", …
    kind: Mapped[str] = mapped_column(Text)
    #: The directory or database it came from.
    origin: Mapped[str]
    #: Its name there.
    item: Mapped[str]
    #: Null once the session was purged, and for what is no session.
    session_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="SET NULL"))
    #: Of the source's bytes.
    digest: Mapped[bytes]
    #: The source's size and modification time: while they are the same, it need not be read.
    size: Mapped[int | None]
    mtime_ns: Mapped[int | None]
    #: The session's revision after the import: another one now means that it was changed here since.
    revision: Mapped[int | None]
    imported_at: Mapped[float]
    #: Notes on it, as a list of texts; of the agent's sessions, what the next import needs.
    notes: Mapped[Any | None]


def metadata() -> MetaData:
    """Return the tables for what compares or creates them: with the conditions of partial indexes for PostgreSQL, too.

    SQLAlchemy imports a dialect for a keyword of it. A program that has its sessions in SQLite need not wait for that.
    """
    for index in Base.metadata.tables[Session.__tablename__].indexes:
        where = index.dialect_kwargs["sqlite_where"]
        if where is not None:
            index.dialect_kwargs["postgresql_where"] = where
    return Base.metadata
