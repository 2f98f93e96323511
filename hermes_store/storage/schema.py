"""The schema: every table, constraint and index, and for each index the query that it serves.

Alembic compares these tables with the migrations. They are tables of SQLAlchemy's Core, not classes of its ORM: the
library runs statements on their columns and loads no entities, and importing the ORM takes as long as opening a
database (decision 0044). All tables are imported from here; those of sessions, of messages and of the
index of words are declared in `schema_sessions`, `schema_messages` and `schema_search`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

from .schema_base import metadata
from .schema_messages import kept_message_table, message_blob_table, message_cut_table, message_table
from .schema_search import SEARCH_NAMES, SEARCH_TABLES, search_state_table
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
    project_table,
    session_document_table,
    session_extras_table,
    session_table,
)
from .types import Epoch, JsonBytes, LosslessText, PublicId, RowId

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
    "change_state_table",
    "complete_metadata",
    "gone_id_table",
    "import_item_table",
    "kept_message_table",
    "message_blob_table",
    "message_cut_table",
    "message_table",
    "metadata",
    "project_table",
    "retired_id_table",
    "search_state_table",
    "session_document_table",
    "session_extras_table",
    "session_table",
    "share_payload_table",
    "share_table",
    "usage_table",
]


#: A frozen copy of a conversation that others may read under a token: what lists of shares read of it.
share_table: Final = Table(
    "shares",
    metadata,
    Column("id", RowId, primary_key=True),
    # What is in the link; also the name of hermes-webui's file.
    Column("token", PublicId, nullable=False, unique=True),
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Epoch, nullable=False),
    # When the copy was made.
    Column("updated_at", Epoch, nullable=False),
    Column("revoked_at", Epoch),
    # Of the payload; see `json_codec.digest`.
    Column("digest", LargeBinary(), nullable=False),
    # shares.list()
    Index("ix_shares_list", "created_at", "token"),
    # shares.list(session_id=…), and purging a session.
    Index("ix_shares_session_id", "session_id", "created_at", "token"),
    sqlite_autoincrement=True,
)


#: The copy itself: the JSON object of hermes-webui's file, as it was when the copy was made.
share_payload_table: Final = Table(
    "share_payloads",
    metadata,
    Column("share_id", RowId, ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("payload", LargeBinary(), nullable=False),
)


#: What a session used at one time: tokens of a model, and their cost.
usage_table: Final = Table(
    "usage",
    metadata,
    Column("id", RowId, primary_key=True),
    # Null once the session was purged: what it cost still counts.
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="SET NULL")),
    # The session's profile.
    Column("profile", LosslessText(), nullable=False),
    Column("model", LosslessText()),
    Column("provider", LosslessText()),
    # "record", "total" or "copy": see `records.UsageKind`.
    Column("kind", Text(), nullable=False),
    Column("at", Epoch, nullable=False),
    Column("input_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("cache_read_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("cache_write_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("reasoning_tokens", BigInteger(), nullable=False, server_default=text("0")),
    # In billionths of the unit that `sessions.estimated_cost` is in, so that sums are exact. Null if it is not known.
    Column("cost", BigInteger()),
    # usage.totals()
    Index("ix_usage_at", "at"),
    # usage.totals(profile=…)
    Index("ix_usage_profile", "profile", "at"),
    # usage.list(), and purging a session.
    Index("ix_usage_session_id", "session_id", "at", "id"),
    sqlite_autoincrement=True,
)


#: A public session id that is not used any more, and must never mean another session.
retired_id_table: Final = Table(
    "retired_ids",
    metadata,
    Column("session_id", Text(), primary_key=True),
    # The session that was renamed away from it; null when it was purged.
    Column("successor_id", RowId, ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("retired_at", Epoch, nullable=False),
    # sessions.purge() of the session that now has another id.
    Index("ix_retired_ids_successor_id", "successor_id"),
)


#: A public id under which a session or a project is not found any more (in its profile): it was purged or deleted,
#: got another id, or moved to another profile. `changes` tells of it for some time.
gone_id_table: Final = Table(
    "gone_ids",
    metadata,
    Column("id", RowId, primary_key=True),
    # "session" or "project". In further rows, which are no ids: "removed", with the number of the last one of this
    # profile that was removed here; "staged", with that of the last staged row that was removed.
    Column("kind", Text(), nullable=False),
    Column("profile", LosslessText(), nullable=False),
    Column("public_id", LosslessText(), nullable=False),
    # The row that it had, which nothing refers to.
    Column("row_id", BigInteger(), nullable=False),
    # See `sessions.change_number`.
    Column("change_number", BigInteger(), nullable=False),
    Column("gone_at", Epoch, nullable=False),
    UniqueConstraint("kind", "public_id", "profile"),
    # store.changes()
    Index("ix_gone_ids_change_number", "change_number", "id"),
    # Removing the oldest ones.
    Index("ix_gone_ids_gone_at", "gone_at"),
    sqlite_autoincrement=True,
)


#: What numbers and cursors of changes depend on, in one row.
change_state_table: Final = Table(
    "change_state",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=False),
    # Cursors of changes are encrypted with it.
    Column("cursor_key", LargeBinary(), nullable=False),
    # On a server, which copy of the database this is. A restored dump is another one.
    Column("place", Text(), nullable=False, server_default=text("''")),
    # On a server, the number of a change is this and the number of its transaction.
    Column("base", BigInteger(), nullable=False, server_default=text("0")),
)


#: What was imported from where, so that a second import is cheap and a changed source is noticed.
import_item_table: Final = Table(
    "import_items",
    metadata,
    Column("id", RowId, primary_key=True),
    # "webui-session", "webui-project", …
    Column("kind", Text(), nullable=False),
    # The directory or database it came from.
    Column("origin", LosslessText(), nullable=False),
    # Its name there.
    Column("item", LosslessText(), nullable=False),
    # Null once the session was purged, and for what is no session.
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="SET NULL")),
    # Of the source's bytes.
    Column("digest", LargeBinary(), nullable=False),
    # The source's size and modification time: while they are the same, it need not be read.
    Column("size", BigInteger()),
    Column("mtime_ns", BigInteger()),
    # The session's revision after the import: another one now means that it was changed here since.
    Column("revision", BigInteger()),
    Column("imported_at", Epoch, nullable=False),
    # Of a file: the outcome, its reason, and notes on the content. Of the agent's sessions: what the next import needs.
    Column("notes", JsonBytes()),
    UniqueConstraint("kind", "origin", "item"),
    # sessions.purge(): the rows whose foreign key is set to null.
    Index("ix_import_items_session_id", "session_id"),
    sqlite_autoincrement=True,
)


def complete_metadata() -> MetaData:
    """Return the tables for what compares or creates them: with the conditions of partial indexes for PostgreSQL, too.

    SQLAlchemy imports a dialect for a keyword of it. A program that has its sessions in SQLite need not wait for that.
    """
    for index in session_table.indexes:
        where = index.dialect_kwargs["sqlite_where"]
        if where is not None:
            index.dialect_kwargs["postgresql_where"] = where
    return metadata
