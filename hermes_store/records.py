"""The value objects that cross the public boundary: frozen, typed, and never an ORM row."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Record(BaseModel):
    """A frozen value. Text may hold lone surrogates, so use `payload.encode` for JSON rather than
    ``model_dump_json``."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")


class SessionRecord(Record):
    """A session but for its messages. Times are epoch seconds."""

    session_id: str
    profile: str
    #: The project's public id.
    project_id: str | None
    title: str
    workspace: str | None
    model: str | None
    personality: str | None
    created_at: float
    #: The last write of any kind.
    updated_at: float
    #: The timestamp of the last message that has one.
    last_message_at: float | None
    message_count: int
    pinned: bool
    archived: bool
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None
    compression_anchor_visible_idx: int | None
    compression_anchor_message_key: Any
    active_stream_id: str | None
    pending_started_at: float | None
    #: Where it comes from ("cli", "telegram", …); None is the store's own user interface.
    source: str | None
    #: The public id of the session it was forked from.
    parent_id: str | None
    #: How many of the parent's messages it began with.
    forked_at: int | None
    #: Counts the writes to the session and its messages.
    revision: int
    deleted_at: float | None


class ProjectRecord(Record):
    """A project: a name under which sessions of one profile are gathered."""

    project_id: str
    profile: str
    name: str
    #: ``#`` and three to eight hexadecimal digits.
    color: str | None
    position: int
    created_at: float
    #: What else the project's JSON object held when it was imported.
    extra: dict[str, Any]


class Page(Record, Generic[T]):
    """Some rows of a listing."""

    items: list[T]
    #: Give it as ``after`` for the next page; None on the last one.
    next: str | None
    #: The number of rows on all pages, where it was asked for.
    total: int | None = None


class MessagePage(Record):
    """Some neighbouring messages of a session, oldest first, and the way on in both directions."""

    items: list[Any]
    #: The position of the first item (or where it would be).
    first_position: int
    #: Give it as ``before`` for the messages before these; None at the beginning.
    previous: str | None
    #: Give it as ``after`` for the messages after these; None at the end.
    next: str | None
    #: How many messages the session has.
    message_count: int
    #: The session's revision that this page shows.
    revision: int


class AppendResult(Record):
    """What an append did."""

    first_position: int
    count: int
    message_count: int
    revision: int


class ReplaceResult(Record):
    """What a replace did; `kept` messages were not written."""

    kept: int
    inserted: int
    updated: int
    removed: int
    message_count: int
    revision: int


class StoreInfo(Record):
    """What a store has open."""

    #: The path or URL, without a password.
    target: str
    dialect: str
    #: The file, for SQLite.
    path: str | None = None
    #: The version of the database engine.
    server_version: str
    size_bytes: int
    #: SQLite's journal mode: "wal" unless the file system cannot.
    journal_mode: str | None = None
    durability: str
    read_only: bool
    schema_revision: str | None


class Transcript(list[Any]):
    """A session's messages, and the revision at which they were read.

    A plain list otherwise: change it and hand it to ``messages.replace`` with its own ``revision``.
    """

    def __init__(self, messages: list[Any], revision: int) -> None:
        super().__init__(messages)
        self.revision = revision
