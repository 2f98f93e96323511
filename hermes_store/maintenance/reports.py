"""What the tools did and found."""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import Field

from ..record_base import Record


class BackupProgress(Record):
    """How far a backup is."""

    #: It is copied first, and then the copy is checked. How far a check is, is not known: its `done` is 0.
    step: Literal["copy", "check"]
    #: Pages of the database.
    done: int
    total: int


class BackupReport(Record):
    """A backup that was made."""

    #: The database.
    source: str
    #: The backup.
    path: str
    size_bytes: int
    schema_revision: str | None
    #: What is in it; deleted sessions count, too.
    sessions: int
    messages: int
    projects: int
    #: The older backups that were removed, the oldest first.
    removed: list[str] = Field(default_factory=list)
    seconds: float


class FindingKind(enum.StrEnum):
    """What is wrong."""

    SCHEMA = "schema"
    """A table or an index is not as this library made it."""
    FILE = "file"
    """SQLite finds the file damaged."""
    LINK = "link"
    """A row refers to a row that is not there."""
    UNREADABLE = "unreadable"
    """A session cannot be read."""
    FIELDS = "fields"
    """A session's id is damaged, or another field is of a wrong type."""
    MESSAGE_COUNT = "message_count"
    """A session's row counts more or fewer messages than there are."""
    USER_MESSAGE_COUNT = "user_message_count"
    """A session's row counts more or fewer messages with the role "user" than there are."""
    POSITIONS = "positions"
    """The positions of a session's messages have gaps."""
    TIMES = "times"
    """A time that lists show or sort by is not that of the session's messages."""
    MESSAGE = "message"
    """A message is not what was written."""
    DOCUMENT = "document"
    """A document is not what was written."""
    SHARE = "share"
    """The copy of a share is not what was written."""
    USAGE = "usage"
    """The usage of a session does not add up to its totals, or is another profile's."""
    PROJECT = "project"
    """A project's id is damaged, or another field is of a wrong type."""
    CHANGES = "changes"
    """`changes` does not tell what there is: a number, or an id that is gone, is damaged."""
    IMPORT = "import"
    """An entry of the import log is damaged."""
    SEARCH = "search"
    """The index of words does not have what is in the messages and titles."""
    HISTORY = "history"
    """What is kept of former messages is not what was written."""


class Finding(Record):
    """Something that is wrong in a database."""

    kind: FindingKind
    #: The session, where it is one's.
    session_id: str | None = None
    #: The message.
    position: int | None = None
    #: The document, the token of the share, or the project.
    key: str | None = None
    #: What is wrong, as part of a sentence.
    problem: str
    #: What to do, as sentences.
    advice: str


class VerifyProgress(Record):
    """How far a check is."""

    #: The file, the links between rows, each session, the projects, the numbers of changes, and the import log. How far
    #: others than the sessions are, is not known: their `done` is 0.
    step: Literal["file", "links", "sessions", "projects", "changes", "imports"]
    #: Sessions.
    done: int
    total: int
    #: How many findings there are so far.
    findings: int


class VerifyReport(Record):
    """What a check found."""

    #: The database.
    target: str
    #: How much was checked; deleted sessions count, too.
    sessions: int
    messages: int
    #: Large documents; a session's small ones are one row.
    documents: int
    #: What is wrong: the first 1,000 findings.
    findings: list[Finding]
    #: How many more there are.
    omitted: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class RepairProgress(Record):
    """How far a repair is."""

    #: The text of the schema, the file, the links between rows, each session, and the index of words, if that is made
    #: anew. How far others than the last two are, is not known: their `done` is 0.
    step: Literal["schema", "file", "links", "sessions", "index"]
    #: Sessions; messages in the step "index".
    done: int
    total: int
    #: How many findings were put right so far.
    repaired: int


class Repair(Record):
    """Something that was wrong in a database, and was put right."""

    #: The session, where it is one's.
    session_id: str | None = None
    #: What was wrong, or what was done.
    what: str


class RepairReport(Record):
    """What a repair did."""

    #: The database.
    target: str
    #: Whether nothing was written. Then `repaired` is what would be put right.
    dry_run: bool
    #: A copy of the database, made before its schema was changed; None if that was whole.
    copy_path: str | None
    sessions: int
    #: The first 1,000.
    repaired: list[Repair]
    #: What is still wrong, because it follows from nothing else: the first 1,000 findings.
    left: list[Finding]
    #: How many more there are of both.
    omitted: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong any more; with `dry_run`, whether nothing will be."""
        return not self.left


class SalvageProgress(Record):
    """How far a salvage is."""

    #: The pages of the damaged file are read first. Then their rows are put in order, the index of words is made, and
    #: the sessions of the new file are checked. How far it is with the order is not known: `done` is 0.
    step: Literal["read", "order", "index", "check"]
    #: Pages, messages, or sessions.
    done: int
    total: int


class SalvageState(enum.StrEnum):
    """How much of a session was read."""

    WHOLE = "whole"
    """Everything."""
    PARTLY = "partly"
    """Messages, documents or fields are missing."""
    MESSAGES = "messages"
    """Messages or large documents, without the session's title and its other fields."""
    LOST = "lost"
    """Nothing but its id."""


class SalvagedItem(Record):
    """What was read of a session."""

    #: In the new database.
    session_id: str
    state: SalvageState
    #: How many were read.
    messages: int
    #: The positions of the others in the damaged database, as ranges: the first and the last.
    missing: list[tuple[int, int]]
    #: What else is missing, as parts of a sentence.
    problems: list[str]


class SalvageReport(Record):
    """What was read of a damaged database."""

    #: The damaged file.
    source: str
    #: The new database.
    target: str
    #: The revision of the damaged one's tables.
    schema_revision: str
    #: Deleted ones as well; those of which something is missing first.
    sessions: list[SalvagedItem]
    #: Those of deleted sessions as well.
    messages: int
    projects: int
    #: By the name of a table: in how many places rows may be lost.
    damaged: dict[str, int]
    size_bytes: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, as far as that is known."""
        return not self.damaged and all(item.state is SalvageState.WHOLE for item in self.sessions)


class CompactReport(Record):
    """What compacting a database did."""

    #: The database.
    target: str
    #: The sizes in bytes, without the log.
    size_before: int
    size_after: int
    #: Whether nothing of removed text is left in its files. If not, somebody was reading, and the next purge or
    #: `Store.close` empties the log.
    erased: bool
    seconds: float

    @property
    def freed_bytes(self) -> int:
        """How many bytes were given back."""
        return self.size_before - self.size_after


class CopyProgress(Record):
    """How far a copy of a database is."""

    #: What an earlier attempt copied is compared with the source; rows are copied; the copy is compared with it;
    #: the index of words is filled.
    step: Literal["compare", "copy", "check", "index"]
    #: Rows of all tables; of the index, messages.
    done: int
    total: int


class CopyReport(Record):
    """A database that was copied."""

    source: str
    target: str
    #: Without deleted ones.
    sessions: int
    deleted: int
    messages: int
    projects: int
    #: By table.
    rows: dict[str, int]
    #: How many rows an earlier attempt had copied.
    resumed: int
    #: Values that no column can have, and are replaced by an empty one: the first 1,000, as "table: column of row".
    replaced: list[str]
    seconds: float


class ReindexProgress(Record):
    """How far an index of words is that is made anew."""

    #: Messages that are in it, and about how many there are to be.
    done: int
    total: int


class ReindexReport(Record):
    """An index of words that was made anew."""

    #: The database.
    target: str
    #: How many messages were put into it.
    messages: int
    seconds: float


class RestoreReport(Record):
    """A backup that was restored."""

    #: The backup.
    backup: str
    #: The database.
    target: str
    #: Where the database is that was there before; None if there was none. In a dry run, where it would be.
    replaced: str | None
    size_bytes: int
    #: An older one is upgraded when the database is opened.
    schema_revision: str
    #: What is in it; deleted sessions count, too.
    sessions: int
    messages: int
    projects: int
    seconds: float
    #: Whether nothing was restored, but the backup was checked.
    dry_run: bool = False
    #: In a dry run: the processes that have the database open, as "1234 (python)", where the system tells.
    open_in: list[str] = Field(default_factory=list)
