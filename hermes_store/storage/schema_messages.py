"""The tables of messages, and of those that were removed or overwritten; see `schema`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, text

from .schema_base import metadata
from .types import Epoch, LosslessText, RowId

#: A message without its payload. The unique key serves read, page, tail, append, replace and truncate.
message_table: Final = Table(
    "messages",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    # Dense, from 0: the order of the transcript.
    Column("position", BigInteger(), nullable=False),
    Column("role", LosslessText()),
    # Epoch seconds, if the message has a plausible time. Nothing is ordered by it.
    Column("timestamp", Epoch),
    # Of the payload; see `json_codec.digest`.
    Column("digest", LargeBinary(), nullable=False),
    # The session's revision when this message was last written.
    Column("revision", BigInteger(), nullable=False, server_default=text("1")),
    UniqueConstraint("session_id", "position"),
    sqlite_autoincrement=True,  # ids are never used twice
)


#: A message's payload, apart from its metadata so that reading metadata never touches it.
message_blob_table: Final = Table(
    "message_blobs",
    metadata,
    Column("message_id", RowId, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("payload", LargeBinary(), nullable=False),
)


#: A write that removed, overwrote or moved messages, and how the transcript was before it.
message_cut_table: Final = Table(
    "message_cuts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    # "truncate", "clear", "replace", "update", "save", "import", "stream" or "undo".
    Column("verb", Text(), nullable=False),
    Column("cut_at", Epoch, nullable=False),
    # The session's `transcript_revision` before it, and its revision after it.
    Column("since_revision", BigInteger(), nullable=False),
    Column("revision", BigInteger(), nullable=False),
    # The `transcript_revision` at which it can be undone.
    Column("undo_revision", BigInteger(), nullable=False),
    # Of an undo: the revision of the cut that it undid. Older states are those before that one.
    Column("undone_revision", BigInteger()),
    # How many messages the session had before it.
    Column("message_count", BigInteger(), nullable=False),
    # How many messages are kept, and the bytes of their payloads.
    Column("messages", BigInteger(), nullable=False, server_default=text("0")),
    Column("size", BigInteger(), nullable=False, server_default=text("0")),
    # Which messages stayed, and where: see `transcripts.kept_runs`.
    Column("runs", LargeBinary(), nullable=False),
    # messages.history(), messages.undo(), sessions.fork(revision=…), and the bound for one session.
    Index("ix_message_cuts_session_id", "session_id", "id"),
    # There is none for the others: a store has at most some 10,000 cuts, and each would write to the index.
    sqlite_autoincrement=True,
)


#: A message that a cut removed or overwrote.
kept_message_table: Final = Table(
    "kept_messages",
    metadata,
    Column("cut_id", RowId, ForeignKey("message_cuts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # Its position before the cut.
    Column("position", BigInteger(), primary_key=True, autoincrement=False),
    Column("role", LosslessText()),
    Column("timestamp", Epoch),
    Column("digest", LargeBinary(), nullable=False),
    # Null if it was missing in the database.
    Column("payload", LargeBinary()),
)
