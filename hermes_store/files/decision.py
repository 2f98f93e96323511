"""What is to be done with a session file, decided from the file, the store's session and the import log alone."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from ..outcomes import Outcome
from ..storage.import_log import Entry as LogEntry
from ..webui_format.session_json import SessionContent
from .parsing import ParsedFile

Prefer = Literal["store", "files"]


class Action(enum.Enum):
    """What to do with a session file."""

    NOTHING = enum.auto()
    #: Write in the import log that the store has the file's content.
    RECORD = enum.auto()
    #: Create the session.
    ADD = enum.auto()
    #: Replace the store's session.
    OVERWRITE = enum.auto()


@dataclass(frozen=True, kw_only=True)
class StoredSession:
    """What the store has for a session file: the session that it became, or else the one with its id."""

    session_id: str
    revision: int
    is_deleted: bool
    #: None if it was not read, because the file is the one that was imported last.
    content: SessionContent | None


@dataclass(frozen=True)
class Decision:
    """What to do with a session file, and how it is reported."""

    action: Action
    outcome: Outcome
    #: Why, where that is not obvious.
    reason: str = ""
    #: With RECORD: the session's revision that has the file's content.
    revision: int | None = None


PURGED = Decision(Action.NOTHING, Outcome.SKIPPED, "it was purged from the store")


def is_imported(file: ParsedFile, entry: LogEntry | None) -> bool:
    """Whether a file has the very bytes that were imported last."""
    return entry is not None and entry.digest == file.digest


def decide(file: ParsedFile, stored: StoredSession | None, entry: LogEntry | None, prefer: Prefer) -> Decision:
    """Return what to do with a session file whose session was not purged.

    Args:
        file: the file.
        stored: the store's session; None when there is none.
        entry: the import log's entry of the file; None when it was not imported yet.
        prefer: whose version is kept when the file and the store's session were both changed.
    """
    if stored is None:
        return Decision(Action.ADD, Outcome.RECOVERED if file.damage else Outcome.IMPORTED, file.damage or "")
    if stored.is_deleted:
        return Decision(Action.NOTHING, Outcome.SKIPPED, "it is deleted in the store")
    if stored.content is None:
        # Its size or time changed: recorded again, it need not be read the next time.
        return Decision(Action.RECORD, Outcome.UNCHANGED, revision=entry.revision if entry else stored.revision)
    if stored.content.is_same(file.content):
        return Decision(Action.RECORD, Outcome.UNCHANGED, revision=stored.revision)
    reason = _conflict(file, stored, entry, prefer)
    if reason is None:
        return Decision(Action.OVERWRITE, Outcome.UPDATED)
    return Decision(Action.NOTHING, Outcome.CONFLICT, f"{reason}; the store's copy was kept")


def _conflict(file: ParsedFile, stored: StoredSession, entry: LogEntry | None, prefer: Prefer) -> str | None:
    """Return why a file must not overwrite the store's session, which has other content; None if it may."""
    if file.damage is not None:
        return file.damage
    if prefer == "files":
        return None
    if entry is None:
        return "the store's session is not from this file"
    return None if entry.revision == stored.revision else "both were changed since the last import"
