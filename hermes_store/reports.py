"""What an import or export did, file by file, in words for a person."""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from .outcomes import ItemKind, Outcome, RemovalOutcome
from .record_base import Record


class ImportItem(Record):
    """The result for one file, project or conversation."""

    kind: ItemKind = ItemKind.SESSION
    #: The file's name in the state directory, with ``/``; for a project ``projects.json#ID``.
    path: str
    outcome: Outcome
    #: The session's (or project's) id in the store; of a share, its session's.
    id: str | None = None
    #: Why, where the outcome needs an explanation.
    reason: str = ""
    #: Values that did not fit, names that differ, and the like.
    notes: list[str] = Field(default_factory=list)
    #: How many messages were read.
    messages: int = 0


class ImportRecord(Record):
    """What became of a file or a project in the last import that saw it."""

    kind: ItemKind = ItemKind.SESSION
    #: The state directory.
    origin: str
    #: The file's name in the state directory, with ``/``; for a project ``projects.json#ID``.
    path: str
    #: The id that its session has now; None if it has none, or it was purged.
    session_id: str | None
    #: When that was decided, in epoch seconds.
    imported_at: float
    #: ``imported``, ``updated`` or ``recovered``: how the file's content came into the store; ``conflict``,
    #: ``skipped`` or ``failed``: that it did not; ``unchanged``: of a backup copy, that the session has all of it.
    outcome: Outcome
    #: Of a recovered one, what is wrong with the file, and what is missing; why the content of another is not there.
    reason: str = ""
    notes: list[str] = Field(default_factory=list)


class FileRemoval(Record):
    """What became of a JSON file that a session, or a share of it, was imported from."""

    #: The file.
    path: str
    outcome: RemovalOutcome
    reason: str = ""


class ImportProgress(Record):
    """How far an import is."""

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
        """How many items have each outcome; outcomes that no item has are left out."""
        counts = Counter(item.outcome for item in self.items)
        return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}

    @property
    def failed(self) -> list[ImportItem]:
        """The items of which nothing could be imported."""
        return [item for item in self.items if item.outcome is Outcome.FAILED]


class ExportProgress(Record):
    """How far an export is."""

    done: int
    total: int
    session_id: str


class ExportProblem(Record):
    """What an export could not write."""

    #: The session; None for the projects, and for the shares as a whole.
    session_id: str | None
    #: The position of the message, where it is one.
    position: int | None = None
    reason: str


class ExportReport(Record):
    """What an export wrote."""

    target: str
    sessions: int
    messages: int
    projects: int
    #: Shares of these sessions.
    shares: int = 0
    seconds: float
    #: What could not be read, and is missing in the files.
    problems: list[ExportProblem] = Field(default_factory=list)
