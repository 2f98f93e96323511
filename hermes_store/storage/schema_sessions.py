"""The tables of projects and sessions, with the conditions and the indexes of lists; see `schema`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    and_,
    false,
    literal_column,
    or_,
    text,
)

from ..records import DEFAULT_PROFILE, UNTITLED
from .schema_base import metadata
from .types import Epoch, JsonBytes, LosslessText, PublicId, RowId

project_table: Final = Table(
    "projects",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Text(), nullable=False, unique=True),
    Column("profile", LosslessText(), nullable=False, server_default=DEFAULT_PROFILE),
    Column("name", LosslessText(), nullable=False),
    Column("color", LosslessText()),
    Column("position", BigInteger(), nullable=False, server_default=text("0")),
    Column("created_at", Epoch, nullable=False),
    # What else the project's JSON object has, and originals of values that do not fit the columns.
    Column("extra", JsonBytes()),
    # See `sessions.change_number`.
    Column("change_number", BigInteger(), nullable=False, server_default=text("0")),
    # projects.list(): one profile's (or all) projects, in their order.
    Index("ix_projects_list", "profile", "position", "id"),
    # store.changes()
    Index("ix_projects_change_number", "change_number", "id"),
    # A name has at most 128 characters; one that cannot be stored as it is takes five (see LosslessText).
    CheckConstraint("length(name) <= 640", name="name_length"),
    sqlite_autoincrement=True,
)


session_table: Final = Table(
    "sessions",
    metadata,
    # Internal, and what children refer to, so that changing the public id is one row.
    Column("id", RowId, primary_key=True),
    Column("session_id", PublicId, nullable=False, unique=True),
    Column("profile", LosslessText(), nullable=False, server_default=DEFAULT_PROFILE),
    Column("project_id", RowId, ForeignKey("projects.id", ondelete="SET NULL")),
    Column("title", LosslessText(), nullable=False, server_default=UNTITLED),
    Column("workspace", LosslessText()),
    Column("model", LosslessText()),
    Column("personality", LosslessText()),
    Column("created_at", Epoch, nullable=False),
    # The last write of any kind.
    Column("updated_at", Epoch, nullable=False),
    # The timestamp of the last message that has one; see `messages.timestamp`.
    Column("last_message_at", Epoch),
    Column("message_count", BigInteger(), nullable=False, server_default=text("0")),
    Column("pinned", Boolean(), nullable=False, server_default=false()),
    Column("archived", Boolean(), nullable=False, server_default=false()),
    Column("input_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger(), nullable=False, server_default=text("0")),
    Column("estimated_cost", Double()),
    Column("compression_anchor_visible_idx", BigInteger()),
    Column("compression_anchor_message_key", JsonBytes()),
    Column("active_stream_id", LosslessText()),
    Column("pending_started_at", Epoch),
    # Where the session comes from ("cli", "telegram", …); null is the store's own user interface.
    Column("source", LosslessText()),
    Column("parent_id", RowId, ForeignKey("sessions.id", ondelete="SET NULL")),
    # How many of the parent's messages this session began with.
    Column("forked_at", BigInteger()),
    # Counts the writes. Writers that replace content pass the revision they read.
    Column("revision", BigInteger(), nullable=False, server_default=text("1")),
    Column("deleted_at", Epoch),
    # The revision of the last change of any message.
    Column("transcript_revision", BigInteger(), nullable=False, server_default=text("1")),
    # The revision of the last change of anything but messages.
    Column("fields_revision", BigInteger(), nullable=False, server_default=text("1")),
    # Whether it has what a user began besides messages; see `session_json.has_draft`.
    Column("has_draft", Boolean(), nullable=False, server_default=false()),
    # Whether it was imported from a damaged file, of which something is missing.
    Column("recovered", Boolean(), nullable=False, server_default=false()),
    # The timestamp of the last message that has one and is not the result of a tool.
    Column("last_activity_at", Epoch),
    # What lists by activity are sorted by: `last_activity_at`, or `updated_at` where that is null.
    Column("activity_at", Epoch, nullable=False, server_default=text("0")),
    # Why it has a parent: see `records.ParentKind`. It stays when the parent is purged, as `forked_at` does.
    Column("parent_kind", Text()),
    # When it was written to last, in the order of `change_rows`; 0 if that was before there was this column.
    Column("change_number", BigInteger(), nullable=False, server_default=text("0")),
    # How many of the messages have the role "user".
    Column("user_message_count", BigInteger(), nullable=False, server_default=text("0")),
    # What lists show stays short: see `validation.TITLE_LIMIT`.
    CheckConstraint("length(title) <= 2500", name="title_length"),
    # store.changes(), and hermes-webui's sidebar.
    Index("ix_sessions_change_number", "change_number", "id"),
    sqlite_autoincrement=True,
)


_columns: Final = session_table.c

# Literals, not parameters: a query uses a partial index only when its own text implies the index's.
_has_no_draft = _columns.has_draft == literal_column("false")
_is_blank = and_(
    _columns.message_count == literal_column("0"),
    _columns.title == literal_column(f"'{UNTITLED}'"),
    _columns.active_stream_id.is_(None),
    _has_no_draft,
)
#: A session that lists show at any age.
VISIBLE: Final = and_(
    _columns.deleted_at.is_(None),
    or_(
        _columns.message_count > literal_column("0"),
        _columns.title != literal_column(f"'{UNTITLED}'"),
        _columns.active_stream_id.is_not(None),
        _columns.has_draft == literal_column("true"),
    ),
)
#: An empty, untitled session without a stream or a draft: lists show it for its first minute only.
BLANK: Final = and_(_columns.deleted_at.is_(None), _is_blank)
DELETED: Final = _columns.deleted_at.is_not(None)
#: The time that each order of a list sorts by, after `pinned`.
ORDER_TIMES: Final = {"updated": _columns.updated_at, "activity": _columns.activity_at}

#: Without messages and drafts, titled or not.
EMPTY: Final = and_(_columns.deleted_at.is_(None), _columns.message_count == literal_column("0"), _has_no_draft)
#: What the public ids of staged rows begin with, and no session's can: see `staged_rows`.
STAGED_PREFIX: Final = " staged/"
#: Their `message_count`. They have no title, stream, draft, project or time of deletion, so none of the conditions
#: above is true for them: they are in no index of a list.
STAGED_COUNT: Final = -1
#: For statements that read sessions by none of these conditions.
NOT_STAGED: Final = _columns.session_id.not_like(f"{STAGED_PREFIX}%")


def _partial(name: str, *columns: Any, where: Any) -> Index:
    return Index(name, *columns, sqlite_where=where)  # PostgreSQL: see `schema.complete_metadata`


#: The sessions of a profile are divided by whether they are in a project and whether they have a source. Most are and
#: have neither, so that they are in the fewest indexes; each write of a session writes to every index that it is in.
GROUPS: Final = {
    "": and_(_columns.project_id.is_(None), _columns.source.is_(None)),
    "_in_project": and_(_columns.project_id.is_not(None), _columns.source.is_(None)),
    "_with_source": and_(_columns.project_id.is_(None), _columns.source.is_not(None)),
    "_in_project_with_source": and_(_columns.project_id.is_not(None), _columns.source.is_not(None)),
}


def _list_indexes(name: str, time: Any) -> None:
    """Declare the indexes of the lists in one order.

    Equality on `archived` is first, as a list of both merges two ranges.
    """
    order = (_columns.archived, _columns.pinned, time, _columns.id)
    # list()
    _partial(f"ix_sessions_{name}", *order, where=VISIBLE)
    # list(profile=…): four of these. list(project_id=WITHOUT) and list(source=WITHOUT): two of them.
    for group, where in GROUPS.items():
        _partial(f"ix_sessions_{name}_profile{group}", _columns.profile, *order, where=and_(VISIBLE, where))
    # list(project_id=…)
    in_project = and_(VISIBLE, _columns.project_id.is_not(None))
    _partial(f"ix_sessions_{name}_project", _columns.profile, _columns.project_id, *order, where=in_project)
    # list(source=…)
    with_source = and_(VISIBLE, _columns.source.is_not(None))
    _partial(f"ix_sessions_{name}_source", _columns.profile, _columns.source, *order, where=with_source)


_list_indexes("list", _columns.updated_at)
# sessions.list(order="activity")
_list_indexes("activity", _columns.activity_at)

# Blank sessions have ranges of their own in every list: without include_empty, only those of the last minute are read.
# They have no messages, so that their two times are the same.
_blank_order: Final = (_columns.archived, _columns.pinned, _columns.updated_at, _columns.id)
# list(include_empty=True)
_partial("ix_sessions_blank", *_blank_order, where=BLANK)
# list(include_empty=True, profile=…)
_partial("ix_sessions_blank_profile", _columns.profile, *_blank_order, where=BLANK)
# list(include_empty=True, project_id=…), also of those without a project
_partial("ix_sessions_blank_project", _columns.profile, _columns.project_id, *_blank_order, where=BLANK)
# list(include_empty=True, source=…), also of those without a source
_partial("ix_sessions_blank_source", _columns.profile, _columns.source, *_blank_order, where=BLANK)
# sessions.delete_empty(untitled_only=False)
_partial("ix_sessions_empty", _columns.profile, _columns.updated_at, where=EMPTY)
# sessions.list_deleted()
_partial("ix_sessions_deleted", _columns.deleted_at, _columns.id, where=DELETED)
# sessions.list_deleted(profile=…)
_partial(
    "ix_sessions_deleted_profile",
    _columns.profile,
    _columns.deleted_at,
    _columns.id,
    where=DELETED,
)
# How many sessions a project has; deleting a project: the rows whose foreign key is set to null. (Without `id` in
# between, SQLite would use it for lists, which have both other columns, and sort all that it finds.)
_partial(
    "ix_sessions_project_id",
    _columns.project_id,
    _columns.id,
    _columns.deleted_at,
    where=_columns.project_id.is_not(None),
)
# Purging a parent: the rows whose foreign key is set to null.
_partial("ix_sessions_parent_id", _columns.parent_id, where=_columns.parent_id.is_not(None))


#: A session's small values that are no column, as one JSON object: most of what hermes-webui's session JSON has.
session_extras_table: Final = Table(
    "session_extras",
    metadata,
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("payload", LargeBinary(), nullable=False),
)


#: A value of a session that is large, or the original of a value that its column cannot hold (a title that is no
#: text), which has to be found by its key.
session_document_table: Final = Table(
    "session_documents",
    metadata,
    Column("session_id", RowId, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("key", LosslessText(), primary_key=True),
    Column("digest", LargeBinary(), nullable=False),
    Column("payload", LargeBinary(), nullable=False),
)
