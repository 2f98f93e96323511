"""The tables of messages, and of those that were removed or overwritten; see `schema`."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .schema_base import Base
from .types import RowId


class Message(Base):
    """A message without its payload. The unique key serves read, page, tail, append, replace and truncate."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("session_id", "position"),
        {"sqlite_autoincrement": True},  # ids are never used twice
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    session_id: Mapped[int] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="CASCADE"))
    #: Dense, from 0: the order of the transcript.
    position: Mapped[int]
    role: Mapped[str | None]
    #: Epoch seconds, if the message has a plausible time. Nothing is ordered by it.
    timestamp: Mapped[float | None]
    #: Of the payload; see `json_codec.digest`.
    digest: Mapped[bytes]
    #: The session's revision when this message was last written.
    revision: Mapped[int] = mapped_column(server_default=text("1"))


class MessageBlob(Base):
    """A message's payload, apart from its metadata so that reading metadata never touches it."""

    __tablename__ = "message_blobs"

    message_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    payload: Mapped[bytes]


class MessageCut(Base):
    """A write that removed, overwrote or moved messages, and how the transcript was before it."""

    __tablename__ = "message_cuts"
    __table_args__ = (
        # messages.history(), messages.undo(), sessions.fork(revision=…), and the bound for one session.
        Index("ix_message_cuts_session_id", "session_id", "id"),
        # There is none for the others: a store has at most some 10,000 cuts, and each would write to the index.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    session_id: Mapped[int] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="CASCADE"))
    #: "truncate", "clear", "replace", "update", "save", "import", "stream" or "undo".
    verb: Mapped[str] = mapped_column(Text)
    cut_at: Mapped[float]
    #: The session's `transcript_revision` before it, and its revision after it.
    since_revision: Mapped[int]
    revision: Mapped[int]
    #: The `transcript_revision` at which it can be undone.
    undo_revision: Mapped[int]
    #: Of an undo: the revision of the cut that it undid. Older states are those before that one.
    undone_revision: Mapped[int | None]
    #: How many messages the session had before it.
    message_count: Mapped[int]
    #: How many messages are kept, and the bytes of their payloads.
    messages: Mapped[int] = mapped_column(server_default=text("0"))
    size: Mapped[int] = mapped_column(server_default=text("0"))
    #: Which messages stayed, and where: see `transcripts.kept_runs`.
    runs: Mapped[bytes]


class KeptMessage(Base):
    """A message that a cut removed or overwrote."""

    __tablename__ = "kept_messages"

    cut_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("message_cuts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    #: Its position before the cut.
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str | None]
    timestamp: Mapped[float | None]
    digest: Mapped[bytes]
    #: Null if it was missing in the database.
    payload: Mapped[bytes | None]
