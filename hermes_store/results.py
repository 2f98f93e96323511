"""The results of verbs that write, and facts about a store: frozen values, as the records are."""

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

    If there was nothing to append, `first_position` is the position of the next message, and `last_position` is one
    less.
    """

    first_position: int
    last_position: int
    message_count: int
    revision: int


class ReplaceResult(Record):
    """The result of replacing a transcript, in numbers of messages."""

    #: Messages that did not differ and were not written.
    kept: int
    inserted: int
    updated: int
    removed: int
    #: The number of messages now.
    message_count: int
    revision: int


class TruncateResult(Record):
    """The result of truncating a transcript."""

    removed: int
    message_count: int
    revision: int


class WriteResult(Record):
    """The result of a write that stores nothing if the value is the same."""

    #: Whether something was written.
    changed: bool
    revision: int


class UndoResult(Record):
    """The result of undoing a cut."""

    #: The verb of the cut that was undone; see `MessageCut.verb`.
    verb: str
    #: The number of messages that were put back.
    restored: int
    #: The number of messages that were removed, because the cut had written them.
    removed: int
    message_count: int
    revision: int


class HistoryPurge(Record):
    """The result of removing the kept messages of cuts."""

    #: The number of cuts, and of their messages.
    cuts: int
    messages: int
    #: Whether no text of them is left in the database's files; see `PurgeResult.erased`.
    erased: bool


class PurgeResult(Record):
    """The result of removing sessions permanently."""

    session_ids: list[str]
    #: The number of messages that they had.
    messages: int
    #: Whether no text of them is left in the database's files. It is False on SQLite if another connection uses the
    #: log, which has older versions of pages, or if a transaction has not ended: the next purge, or `Store.close`,
    #: empties the log. It is also False if the index of words is larger than 32 MiB: `compact` removes the words from
    #: it. It is always False on PostgreSQL, where VACUUM removes old rows.
    erased: bool


class ProjectDeletion(Record):
    """The result of deleting a project."""

    project_id: str
    #: The number of sessions that were in it, and are in no project now.
    released: int


class StoreStats(Record):
    """The numbers of what is in a store, or in one profile of it."""

    #: Sessions that are not deleted, blank ones included.
    sessions: int
    #: Their messages.
    messages: int
    #: Sessions that are deleted and can be restored.
    deleted: int
    projects: int
    #: The number of cuts whose messages are kept for `messages.undo`, the number of these messages, and the bytes of
    #: their JSON.
    cuts: int
    kept_messages: int
    kept_bytes: int


class StoreInfo(Record):
    """Facts about the database that a store has open."""

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
    #: Whether the database has an index of words for `search`.
    search: bool = False


class ReplicaLag(Record):
    """How far a standby lags."""

    #: False if `replica` is the primary itself.
    is_standby: bool
    #: Bytes of the primary's log that the standby has not replayed. Other databases of the server count as well.
    lacking_bytes: int
    #: Seconds since the last transaction that it replayed, by the clocks of both servers; 0 if it lacks nothing.
    seconds: float
