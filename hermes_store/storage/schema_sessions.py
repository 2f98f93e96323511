"""The tables of projects and sessions, with the conditions and the indexes of lists; see `schema`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, and_, false, literal_column, or_, text
from sqlalchemy.orm import Mapped, mapped_column

from ..records import DEFAULT_PROFILE, UNTITLED
from .schema_base import Base
from .types import PublicId, RowId


class Project(Base):
    __tablename__ = "projects"
    __table_args__ = (
        # projects.list(): one profile's (or all) projects, in their order.
        Index("ix_projects_list", "profile", "position", "id"),
        # store.changes()
        Index("ix_projects_change_number", "change_number", "id"),
        # A name has at most 128 characters; one that cannot be stored as it is takes five (see LosslessText).
        CheckConstraint("length(name) <= 640", name="name_length"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    project_id: Mapped[str] = mapped_column(Text, unique=True)
    profile: Mapped[str] = mapped_column(server_default=DEFAULT_PROFILE)
    name: Mapped[str]
    color: Mapped[str | None]
    position: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[float]
    #: What else the project's JSON object has, and originals of values that do not fit the columns.
    extra: Mapped[Any | None]
    #: See `Session.change_number`.
    change_number: Mapped[int] = mapped_column(server_default=text("0"))


class Session(Base):
    __tablename__ = "sessions"
    __table_args__ = (
        # What lists show stays short: see `validation.TITLE_LIMIT`.
        CheckConstraint("length(title) <= 2500", name="title_length"),
        # store.changes(), and hermes-webui's sidebar.
        Index("ix_sessions_change_number", "change_number", "id"),
        {"sqlite_autoincrement": True},
    )

    #: Internal, and what children refer to, so that changing the public id is one row.
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    session_id: Mapped[str] = mapped_column(PublicId, unique=True)
    profile: Mapped[str] = mapped_column(server_default=DEFAULT_PROFILE)
    project_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("projects.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(server_default=UNTITLED)
    workspace: Mapped[str | None]
    model: Mapped[str | None]
    personality: Mapped[str | None]
    created_at: Mapped[float]
    #: The last write of any kind.
    updated_at: Mapped[float]
    #: The timestamp of the last message that has one; see `Message.timestamp`.
    last_message_at: Mapped[float | None]
    message_count: Mapped[int] = mapped_column(server_default=text("0"))
    pinned: Mapped[bool] = mapped_column(server_default=false())
    archived: Mapped[bool] = mapped_column(server_default=false())
    input_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    estimated_cost: Mapped[float | None]
    compression_anchor_visible_idx: Mapped[int | None]
    compression_anchor_message_key: Mapped[Any | None]
    active_stream_id: Mapped[str | None]
    pending_started_at: Mapped[float | None]
    #: Where the session comes from ("cli", "telegram", …); null is the store's own user interface.
    source: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("sessions.id", ondelete="SET NULL"))
    #: How many of the parent's messages this session began with.
    forked_at: Mapped[int | None]
    #: Counts the writes. Writers that replace content pass the revision they read.
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    deleted_at: Mapped[float | None]
    #: The revision of the last change of any message.
    transcript_revision: Mapped[int] = mapped_column(server_default=text("1"))
    #: The revision of the last change of anything but messages.
    fields_revision: Mapped[int] = mapped_column(server_default=text("1"))
    #: Whether it has what a user began besides messages; see `session_json.has_draft`.
    has_draft: Mapped[bool] = mapped_column(server_default=false())
    #: Whether it was imported from a damaged file, of which something is missing.
    recovered: Mapped[bool] = mapped_column(server_default=false())
    #: The timestamp of the last message that has one and is not the result of a tool.
    last_activity_at: Mapped[float | None]
    #: What lists by activity are sorted by: `last_activity_at`, or `updated_at` where that is null.
    activity_at: Mapped[float] = mapped_column(server_default=text("0"))
    #: Why it has a parent: see `records.ParentKind`. It stays when the parent is purged, as `forked_at` does.
    parent_kind: Mapped[str | None] = mapped_column(Text)
    #: When it was written to last, in the order of `change_rows`; 0 if that was before there was this column.
    change_number: Mapped[int] = mapped_column(server_default=text("0"))


# Literals, not parameters: a query uses a partial index only when its own text implies the index's.
_has_no_draft = Session.has_draft == literal_column("false")
_is_blank = and_(
    Session.message_count == literal_column("0"),
    Session.title == literal_column(f"'{UNTITLED}'"),
    Session.active_stream_id.is_(None),
    _has_no_draft,
)
#: A session that lists show at any age.
VISIBLE: Final = and_(
    Session.deleted_at.is_(None),
    or_(
        Session.message_count > literal_column("0"),
        Session.title != literal_column(f"'{UNTITLED}'"),
        Session.active_stream_id.is_not(None),
        Session.has_draft == literal_column("true"),
    ),
)
#: An empty, untitled session without a stream or a draft: lists show it for its first minute only.
BLANK: Final = and_(Session.deleted_at.is_(None), _is_blank)
DELETED: Final = Session.deleted_at.is_not(None)
#: The time that each order of a list sorts by, after `pinned`.
ORDER_TIMES: Final = {"updated": Session.updated_at, "activity": Session.activity_at}

#: Without messages and drafts, titled or not.
EMPTY: Final = and_(Session.deleted_at.is_(None), Session.message_count == literal_column("0"), _has_no_draft)
#: What the public ids of staged rows begin with, and no session's can: see `staged_rows`.
STAGED_PREFIX: Final = " staged/"
#: Their `message_count`. They have no title, stream, draft, project or time of deletion, so none of the conditions
#: above is true for them: they are in no index of a list.
STAGED_COUNT: Final = -1
#: For statements that read sessions by none of these conditions.
NOT_STAGED: Final = Session.session_id.not_like(f"{STAGED_PREFIX}%")


def _partial(name: str, *columns: Any, where: Any) -> Index:
    return Index(name, *columns, sqlite_where=where)  # see `metadata` for PostgreSQL


#: The sessions of a profile are divided by whether they are in a project and whether they have a source. Most are and
#: have neither, so that they are in the fewest indexes; each write of a session writes to every index that it is in.
GROUPS: Final = {
    "": and_(Session.project_id.is_(None), Session.source.is_(None)),
    "_in_project": and_(Session.project_id.is_not(None), Session.source.is_(None)),
    "_with_source": and_(Session.project_id.is_(None), Session.source.is_not(None)),
    "_in_project_with_source": and_(Session.project_id.is_not(None), Session.source.is_not(None)),
}


def _list_indexes(name: str, time: Any) -> None:
    """Declare the indexes of the lists in one order.

    Equality on `archived` is first, as a list of both merges two ranges.
    """
    order = (Session.archived, Session.pinned, time, Session.id)
    # list()
    _partial(f"ix_sessions_{name}", *order, where=VISIBLE)
    # list(profile=…): four of these. list(project_id=WITHOUT) and list(source=WITHOUT): two of them.
    for group, where in GROUPS.items():
        _partial(f"ix_sessions_{name}_profile{group}", Session.profile, *order, where=and_(VISIBLE, where))
    # list(project_id=…)
    in_project = and_(VISIBLE, Session.project_id.is_not(None))
    _partial(f"ix_sessions_{name}_project", Session.profile, Session.project_id, *order, where=in_project)
    # list(source=…)
    with_source = and_(VISIBLE, Session.source.is_not(None))
    _partial(f"ix_sessions_{name}_source", Session.profile, Session.source, *order, where=with_source)


_list_indexes("list", Session.updated_at)
# sessions.list(order="activity")
_list_indexes("activity", Session.activity_at)

# Blank sessions have ranges of their own in every list: without include_empty, only those of the last minute are read.
# They have no messages, so that their two times are the same.
_blank_order: Final = (Session.archived, Session.pinned, Session.updated_at, Session.id)
# list(include_empty=True)
_partial("ix_sessions_blank", *_blank_order, where=BLANK)
# list(include_empty=True, profile=…)
_partial("ix_sessions_blank_profile", Session.profile, *_blank_order, where=BLANK)
# list(include_empty=True, project_id=…), also of those without a project
_partial("ix_sessions_blank_project", Session.profile, Session.project_id, *_blank_order, where=BLANK)
# list(include_empty=True, source=…), also of those without a source
_partial("ix_sessions_blank_source", Session.profile, Session.source, *_blank_order, where=BLANK)
# sessions.delete_empty(untitled_only=False)
_partial("ix_sessions_empty", Session.profile, Session.updated_at, where=EMPTY)
# sessions.list_deleted()
_partial("ix_sessions_deleted", Session.deleted_at, Session.id, where=DELETED)
# sessions.list_deleted(profile=…)
_partial("ix_sessions_deleted_profile", Session.profile, Session.deleted_at, Session.id, where=DELETED)
# How many sessions a project has; deleting a project: the rows whose foreign key is set to null. (Without `id` in
# between, SQLite would use it for lists, which have both other columns, and sort all that it finds.)
_partial(
    "ix_sessions_project_id", Session.project_id, Session.id, Session.deleted_at, where=Session.project_id.is_not(None)
)
# Purging a parent: the rows whose foreign key is set to null.
_partial("ix_sessions_parent_id", Session.parent_id, where=Session.parent_id.is_not(None))


class SessionExtras(Base):
    """A session's small values that are no column, as one JSON object: most of what hermes-webui's session JSON has."""

    __tablename__ = "session_extras"

    session_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    payload: Mapped[bytes]


class SessionDocument(Base):
    """A value of a session that is large, or the original of a value that its column cannot hold (a title that is no
    text), which has to be found by its key."""

    __tablename__ = "session_documents"

    session_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    payload: Mapped[bytes]
