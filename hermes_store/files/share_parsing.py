"""Files of shares: what is in them, or why nothing can be read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from ..outcomes import ItemKind, Outcome
from ..quoting import quoted
from ..reports import ImportItem
from ..transcripts import json_codec
from ..validation import is_id
from ..webui_format import share_json
from ..webui_format.share_json import ShareTimes
from .directory import Entry, read_regular

SUFFIX: Final = ".json"


@dataclass(frozen=True, kw_only=True)
class ParsedShare:
    """A share's file that was read."""

    entry: Entry
    token: str
    #: The id of the session that it is of.
    source: str
    #: The JSON object of the file.
    payload: bytes
    #: Of the payload.
    digest: bytes
    times: ShareTimes
    #: When it was read, in epoch seconds.
    read_at: float
    notes: list[str] = field(default_factory=list)

    def report(self, outcome: Outcome, reason: str = "", session_id: str | None = None) -> ImportItem:
        """Return the report on it."""
        return report(self.entry, outcome, reason, session_id, self.notes)


def report(
    entry: Entry, outcome: Outcome, reason: str = "", session_id: str | None = None, notes: list[str] | None = None
) -> ImportItem:
    """Return the report on a file in the folder of shares; `session_id` is that of the share's session."""
    kind = ItemKind.SHARE
    return ImportItem(
        kind=kind, path=entry.name, outcome=outcome, id=session_id, reason=reason, notes=list(notes or [])
    )


def parse(entry: Entry, limit: int) -> ParsedShare | ImportItem:
    """Read a share's file, of at most `limit` bytes; return the report on one that holds none."""
    read_at = time.time()
    token = entry.path.name.removesuffix(SUFFIX)
    try:
        data: Any = json_codec.decode(read_regular(entry.path, limit))
    except OSError as error:
        return report(entry, Outcome.FAILED, f"it cannot be read: {error.strerror}")
    except (ValueError, MemoryError, RecursionError) as error:
        return report(entry, Outcome.FAILED, f"it is damaged: {error}")
    if not is_id(token):
        return report(entry, Outcome.FAILED, "its name, without .json, cannot be a share's token")
    source = data.get(share_json.SOURCE) if isinstance(data, dict) else None
    if not isinstance(source, str) or not source:
        return report(entry, Outcome.FAILED, f"it is no share: it names no session as {share_json.SOURCE}")
    notes = []
    if data.get("token") != token:
        notes.append(f"inside it is called {quoted(data.get('token'))}; the file's name counts")
    payload = json_codec.encode(data)
    return ParsedShare(
        entry=entry,
        token=token,
        source=source,
        payload=payload,
        digest=json_codec.digest(payload),
        times=share_json.times_in(data, entry.mtime_ns / 1e9),
        read_at=read_at,
        notes=notes,
    )
