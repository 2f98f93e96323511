"""What to do about what `verify` finds."""

from __future__ import annotations

from typing import Final

from ..errors import DatabaseCorruptError
from ..storage.unit_of_work import driver_error
from .reports import FindingKind

_RESTORE: Final = "Restore a backup, or "
_REPAIR: Final = "`hermes-store repair` puts it right."
SALVAGE: Final = (
    "Keep the file as it is. Restore a backup, or read what is left into a new database with `hermes-store salvage`."
)
#: Of a finding of SQLite's about an index.
INDEX: Final = (
    "If all findings are about indexes, the rows themselves are whole: `hermes-store repair` makes the indexes anew. "
    "Otherwise restore a backup, or read what is left into a new database with `hermes-store salvage`."
)
ADVICE: Final = {
    FindingKind.SCHEMA: _REPAIR,
    FindingKind.LINK: _REPAIR,
    FindingKind.UNREADABLE: SALVAGE,
    FindingKind.FIELDS: f"{_RESTORE}set the field again with sessions.update. No verb finds a session without its id.",
    FindingKind.MESSAGE_COUNT: _REPAIR,
    FindingKind.USER_MESSAGE_COUNT: _REPAIR,
    FindingKind.POSITIONS: f"{_RESTORE}close the gaps: {_REPAIR}",
    FindingKind.TIMES: _REPAIR,
    FindingKind.MESSAGE: f"{_RESTORE}write it again with messages.update. messages.page reads the others.",
    FindingKind.HISTORY: f"{_RESTORE}remove it with messages.purge_history. The session's messages are not affected.",
    FindingKind.DOCUMENT: f"{_RESTORE}write it again with documents.put. documents.read reads others by key.",
    FindingKind.SHARE: f"{_RESTORE}make another copy with shares.refresh, or remove it with shares.delete.",
    FindingKind.USAGE: _REPAIR,
    FindingKind.PROJECT: f"{_RESTORE}set the field with projects.update. No verb finds a project without its id.",
    FindingKind.CHANGES: f"Whoever follows changes may miss some. {_REPAIR}",
    FindingKind.IMPORT: "Import the directory again.",
    FindingKind.SEARCH: f"Searches miss something. {_REPAIR}",
}


def reason_of(error: DatabaseCorruptError) -> str:
    """Return why something cannot be read, as a part of a sentence: without what to do, which a finding says itself."""
    return str(driver_error(error.__cause__ or error)).rstrip(".")
