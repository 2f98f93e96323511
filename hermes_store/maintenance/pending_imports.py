"""Which files of hermes-webui's no import has seen as they are now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ..quoting import count as counted
from ..reports import ImportRecord
from ..store import Store
from .diagnosis import Diagnosis, Severity

_SHOWN: Final = 5
_SESSIONS: Final = "sessions"


def pending_imports(store: Store, directory: Path) -> Diagnosis:
    """Say which session files in a state directory are new, or were changed after they were imported.

    Files are not opened, but compared with the import log by their names and times. An import decides what is in them.
    """
    seen: dict[str, ImportRecord] = {}
    for record in store.imports.records(origin=os.path.realpath(directory)):
        before = seen.get(record.path)
        if before is None or record.imported_at > before.imported_at:
            seen[record.path] = record
    new: list[str] = []
    changed: list[str] = []
    count = 0
    try:
        with os.scandir(directory / _SESSIONS) as entries:
            for entry in entries:
                if not entry.name.endswith(".json") or entry.name.startswith("_") or not entry.is_file():
                    continue
                count += 1
                known = seen.get(f"{_SESSIONS}/{entry.name}")
                if known is None:
                    new.append(entry.name)
                elif entry.stat().st_mtime > known.imported_at:
                    changed.append(entry.name)
    except OSError as error:
        text = f"{error.filename} cannot be read: {error.strerror}."
        return Diagnosis(check="imports", severity=Severity.WARNING, text=text, advice="Have access granted.")
    failed = sorted(path for path, record in seen.items() if record.outcome in ("failed", "conflict"))
    parts = [
        f"{len(names):,} {what} ({', '.join(sorted(names)[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
        for names, what in (
            (new, "are not imported"),
            (changed, "changed since"),
            (failed, "failed or are in conflict"),
        )
        if names
    ]
    if not parts:
        text = f"All {counted(count, 'session file')} in {directory} were imported, or looked at."
        return Diagnosis(check="imports", severity=Severity.OK, text=text)
    return Diagnosis(
        check="imports",
        severity=Severity.NOTE,
        text=f"Of {counted(count, 'session file')} in {directory}, {'; '.join(parts)}.",
        advice=f"`hermes-store import {directory}` imports them, and says why if it does not.",
    )
