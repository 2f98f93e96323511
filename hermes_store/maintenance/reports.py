"""What the tools did and found."""

from __future__ import annotations

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
