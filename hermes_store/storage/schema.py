"""The schema: every table, constraint and index, and for each index the query that it serves.

Alembic compares these classes with the migrations. The library itself runs `select`, `insert` and `update` statements
on their columns; nothing loads entities.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    and_,
    event,
    false,
    literal_column,
    or_,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ..records import DEFAULT_PROFILE, UNTITLED
from .types import Epoch, JsonBytes, LosslessText, PublicId, RowId


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it is
        str: LosslessText(),
        int: BigInteger(),
        float: Epoch,
        bytes: LargeBinary(),
        Any: JsonBytes(),
    }


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


class SearchState(Base):
    """How far the index of words is; one row.

    The index itself is `message_search` and `title_search`, whose form differs between databases: see `SEARCH_TABLES`.
    """

    __tablename__ = "search_state"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    #: Messages whose row id is this or more are in the index. Null where there is none.
    indexed_from: Mapped[int | None]
    #: The titles of sessions whose row id is this or more are in the index.
    titles_from: Mapped[int | None]
    #: Cursors of a search, which have row ids in them, are encrypted with it.
    cursor_key: Mapped[bytes]
    #: Messages, and titles of sessions, whose row id is this or more are not in it yet, and a search reads them. Null
    #: where there are none.
    pending_from: Mapped[int | None]
    pending_titles_from: Mapped[int | None]


#: The tables of the index. On SQLite they have further tables, which FTS5 makes. None of them is for Alembic to
#: compare. The text of messages is not in them; that of titles is.
SEARCH_TABLES: Final = {
    "sqlite": (
        "CREATE VIRTUAL TABLE message_search USING fts5(words, wholes, content='', columnsize=0, tokenize='ascii')",
        "CREATE VIRTUAL TABLE title_search USING fts5(words, wholes, columnsize=0, tokenize='ascii')",
    ),
    "postgresql": (
        """CREATE TABLE message_search (
            message_id BIGINT NOT NULL,
            document TSVECTOR NOT NULL,
            CONSTRAINT pk_message_search PRIMARY KEY (message_id),
            CONSTRAINT fk_message_search_message_id_messages FOREIGN KEY (message_id)
                REFERENCES messages (id) ON DELETE CASCADE
        )""",
        "CREATE INDEX ix_message_search_document ON message_search USING gin (document)",
        """CREATE TABLE title_search (
            session_id BIGINT NOT NULL,
            document TSVECTOR NOT NULL,
            CONSTRAINT pk_title_search PRIMARY KEY (session_id),
            CONSTRAINT fk_title_search_session_id_sessions FOREIGN KEY (session_id)
                REFERENCES sessions (id) ON DELETE CASCADE
        )""",
        "CREATE INDEX ix_title_search_document ON title_search USING gin (document)",
    ),
}
#: The names of all tables of the index: these two, and those that FTS5 makes for each.
SEARCH_NAMES: Final = frozenset(
    f"{table}{suffix}"
    for table in ("message_search", "title_search")
    for suffix in ("", "_data", "_idx", "_content", "_docsize", "_config")
)
for _dialect, _statements in SEARCH_TABLES.items():
    for _statement in _statements:
        event.listen(Base.metadata, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]


def metadata() -> MetaData:
    """Return the tables for what compares or creates them: with the conditions of partial indexes for PostgreSQL, too.

    SQLAlchemy imports a dialect for a keyword of it. A program that has its sessions in SQLite need not wait for that.
    """
    for index in Base.metadata.tables[Session.__tablename__].indexes:
        where = index.dialect_kwargs["sqlite_where"]
        if where is not None:
            index.dialect_kwargs["postgresql_where"] = where
    return Base.metadata
