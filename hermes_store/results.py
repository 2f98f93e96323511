"""What the verbs that write return, and what a store says of itself: frozen values, as the records are."""

from __future__ import annotations

from .record_base import Record


class UsageResult(Record):
    """The totals of a session after `usage.record`."""

    session_id: str
    #: The session's revision.
    revision: int
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None


class AppendResult(Record):
    """The result of an append: the positions of the new messages.

    When there was nothing to append, `first_position` is where the next message goes, and `last_position` is one less.
    """

    first_position: int
    last_position: int
    message_count: int
    revision: int


class ReplaceResult(Record):
    """The result of replacing a transcript; `kept` messages were not written."""

    kept: int
    inserted: int
    updated: int
    removed: int
    message_count: int
    revision: int


class TruncateResult(Record):
    """The result of truncating a transcript."""

    removed: int
    message_count: int
    revision: int


class WriteResult(Record):
    """The result of a write that stores nothing when nothing differs."""

    changed: bool
    revision: int


class UndoResult(Record):
    """The result of undoing a cut."""

    #: What was undone; see `MessageCut.verb`.
    verb: str
    #: How many messages were put back.
    restored: int
    #: How many were removed that the cut had written.
    removed: int
    message_count: int
    revision: int


class HistoryPurge(Record):
    """The result of removing what is kept of former messages."""

    cuts: int
    messages: int
    #: Whether nothing of them is left in the files that are the database; see `PurgeResult.erased`.
    erased: bool


class PurgeResult(Record):
    """The result of removing sessions for good."""

    session_ids: list[str]
    #: How many messages they had.
    messages: int
    #: Whether nothing of them is left in the files that are the database. False on SQLite: its log, which has older
    #: versions of what was removed, is in use by another connection, or a transaction is not over; the next purge, or
    #: `Store.close`, empties it. Or the index of words is larger than 32 MiB: then `compact` removes the words from it.
    #: False on PostgreSQL, where VACUUM removes old rows.
    erased: bool


class ProjectDeletion(Record):
    """The result of deleting a project."""

    project_id: str
    #: How many sessions were in it, and are in no project now.
    released: int


class StoreStats(Record):
    """How much a store (or one profile of it) holds."""

    #: Sessions that are not deleted, blank ones included.
    sessions: int
    #: Their messages.
    messages: int
    #: Sessions that are deleted and can be restored.
    deleted: int
    projects: int
    #: The cuts of which messages are kept for `messages.undo`, how many these are, and the bytes of their JSON.
    cuts: int
    kept_messages: int
    kept_bytes: int


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
    #: SQLite's journal mode: "wal" unless the file system does not support it.
    journal_mode: str | None = None
    durability: str
    read_only: bool
    schema_revision: str | None
    #: Whether it has an index of words for `search`.
    search: bool = False


class ReplicaLag(Record):
    """How far a standby lags."""

    #: False where the primary itself is read.
    is_standby: bool
    #: Bytes of the primary's log that the standby has not replayed. Other databases of the server count as well.
    lacking_bytes: int
    #: Seconds since the last transaction that it replayed, by the clocks of both servers; 0 if it lacks nothing.
    seconds: float
