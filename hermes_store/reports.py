"""What an import or export did, file by file, in words for a person."""

from __future__ import annotations

import enum
from collections import Counter

from pydantic import Field

from .records import Record


class Outcome(enum.StrEnum):
    """How a file ended."""

    IMPORTED = "imported"
    """It is in the store now."""
    UPDATED = "updated"
    """It had changed since it was imported, and the store's copy had not."""
    UNCHANGED = "unchanged"
    """The store has it already."""
    RECOVERED = "recovered"
    """It is damaged; what could be read is in the store, and the reason says what is missing."""
    CONFLICT = "conflict"
    """It differs from the store's copy, which was changed too; the store's was kept."""
    SKIPPED = "skipped"
    """It is no session, or one that was deleted."""
    FAILED = "failed"
    """Nothing of it could be taken in."""


class ImportItem(Record):
    """How one file (or one project) ended."""

    #: The file's name in the state directory, with ``/``; a project's is ``projects.json#ID``.
    path: str
    outcome: Outcome
    #: The session's (or project's) id in the store.
    id: str | None = None
    #: Why it ended so, where that does not go without saying.
    reason: str = ""
    #: What was remarkable about it: fields that did not fit, names that disagree.
    notes: list[str] = Field(default_factory=list)
    #: How many messages were read.
    messages: int = 0


class ImportProgress(Record):
    """Where an import stands."""

    done: int
    total: int
    #: The file just finished.
    path: str
    counts: dict[Outcome, int]


class ImportReport(Record):
    """What an import did. Nothing was written if `dry_run`."""

    #: The state directory.
    source: str
    dry_run: bool
    items: list[ImportItem]
    seconds: float

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many files ended in each way that occurred."""
        counts = Counter(item.outcome for item in self.items)
        return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}

    @property
    def failed(self) -> list[ImportItem]:
        """The files of which nothing could be taken in."""
        return [item for item in self.items if item.outcome is Outcome.FAILED]


class ExportProgress(Record):
    """Where an export stands."""

    done: int
    total: int
    session_id: str


class ExportReport(Record):
    """What an export wrote."""

    target: str
    sessions: int
    messages: int
    projects: int
    seconds: float
