"""Which files of hermes-webui's no import has seen as they are now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..quoting import count as counted
from ..reports import ImportRecord
from ..store import Store
from .diagnosis import Diagnosis, Severity

_SHOWN: Final = 5
#: By folder: what one of its files is.
_FOLDERS: Final = {"sessions": "session file", "shares": "share file"}


def pending_imports(store: Store, directory: Path) -> Iterator[Diagnosis]:
    """Say which session and share files in a state directory are new, or were changed after they were imported.

    Files are not opened, but compared with the import log by their names and times. An import decides what is in them.
    """
    seen: dict[str, ImportRecord] = {}
    for record in store.imports.records(origin=os.path.realpath(directory)):
        before = seen.get(record.path)
        if before is None or record.imported_at > before.imported_at:
            seen[record.path] = record
    for folder, what in _FOLDERS.items():
        try:
            with os.scandir(directory / folder) as entries:
                yield _in_folder([*entries], directory, folder, what, seen)
        except FileNotFoundError:  # nobody shared anything
            continue
        except OSError as error:
            text = f"{error.filename} cannot be read: {error.strerror}."
            yield Diagnosis(check="imports", severity=Severity.WARNING, text=text, advice="Have access granted.")


def _in_folder(
    entries: list[os.DirEntry[str]], directory: Path, folder: str, what: str, seen: Mapping[str, ImportRecord]
) -> Diagnosis:
    new: list[str] = []
    changed: list[str] = []
    count = 0
    for entry in entries:
        if not entry.name.endswith(".json") or entry.name.startswith("_") or not entry.is_file():
            continue
        count += 1
        known = seen.get(f"{folder}/{entry.name}")
        if known is None:
            new.append(entry.name)
        elif entry.stat().st_mtime > known.imported_at:
            changed.append(entry.name)
    failed = [path for path, one in seen.items() if one.outcome in _FAILED and path.startswith(f"{folder}/")]
    parts = [
        f"{len(names):,} {told} ({', '.join(sorted(names)[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
        for names, told in (
            (new, "are not imported"),
            (changed, "changed since"),
            (failed, "failed or are in conflict"),
        )
        if names
    ]
    if not parts:
        text = f"{counted(count, what)} in {directory}: none is new, or changed since it was imported."
        return Diagnosis(check="imports", severity=Severity.OK, text=text)
    return Diagnosis(
        check="imports",
        severity=Severity.NOTE,
        text=f"Of {counted(count, what)} in {directory}, {'; '.join(parts)}.",
        advice=f"`hermes-store import {directory}` imports them, and says why if it does not.",
    )


_FAILED: Final = frozenset({"failed", "conflict"})
