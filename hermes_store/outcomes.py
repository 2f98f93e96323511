"""What becomes of what an import finds. The command line has these without the records, which take long to load."""

from __future__ import annotations

import enum
from typing import Final


class Outcome(enum.StrEnum):
    """The result of an import for one file."""

    IMPORTED = "imported"
    """It is in the store now."""
    UPDATED = "updated"
    """It had changed since it was imported, and the store's copy had not."""
    UNCHANGED = "unchanged"
    """The store has it already."""
    RECOVERED = "recovered"
    """It is damaged; what could be read is in the store, and the reason names what is missing."""
    CONFLICT = "conflict"
    """It differs from the store's copy, which was changed too; the store's was kept."""
    SKIPPED = "skipped"
    """It is no session, or one that was deleted."""
    FAILED = "failed"
    """Nothing of it could be imported."""


#: Those that write a session.
WRITTEN: Final = frozenset({Outcome.IMPORTED, Outcome.UPDATED, Outcome.RECOVERED})


class ItemKind(enum.StrEnum):
    """What an item of a report is about."""

    SESSION = "session"
    """A file of the sessions folder, whether or not it is a session."""
    PROJECT = "project"
    """A project, or the file that they are in."""
    SHARE = "share"
    """A file of the folder of shares, whether or not it is a share."""
    AGENT_SESSION = "agent session"
    """A conversation of the agent."""


class RemovalOutcome(enum.StrEnum):
    """What became of a file that was to be removed."""

    REMOVED = "removed"
    """It is gone; of the index, the session's row is."""
    GONE = "gone"
    """It was not there any more."""
    KEPT = "kept"
    """It was left as it is; the reason says why."""
