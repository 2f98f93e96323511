"""What the tools did and found."""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import Field

from ..records import Record


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

    FILE = "file"
    """SQLite finds the file damaged."""
    LINK = "link"
    """A row refers to a row that is not there."""
    UNREADABLE = "unreadable"
    """A session cannot be read."""
    FIELDS = "fields"
    """A session's id is damaged."""
    MESSAGE_COUNT = "message_count"
    """A session's row counts more or fewer messages than there are."""
    POSITIONS = "positions"
    """The positions of a session's messages have gaps."""
    TIMES = "times"
    """A time that lists show or sort by is not that of the session's messages."""
    MESSAGE = "message"
    """A message is not what was written."""
    DOCUMENT = "document"
    """A document is not what was written."""


class Finding(Record):
    """Something that is wrong in a database."""

    kind: FindingKind
    #: The session, where it is one's.
    session_id: str | None = None
    #: The message.
    position: int | None = None
    #: The document.
    key: str | None = None
    #: What is wrong, as part of a sentence.
    problem: str
    #: What to do, as sentences.
    advice: str


class VerifyProgress(Record):
    """How far a check is."""

    #: The file, the links between rows, and each session. How far the first two are, is not known: `done` is 0.
    step: Literal["file", "links", "sessions"]
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
