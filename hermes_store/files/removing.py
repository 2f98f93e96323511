"""Removing the JSON files that a session was imported from, as far as the store has what is in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..arguments import check_instance
from ..outcomes import Outcome, RemovalOutcome
from ..paths import path_of
from ..reports import FileRemoval
from ..storage import cut_rows, import_log, message_lookup, session_keys
from ..store import Store
from ..transcripts import json_codec
from .directory import INDEX, SESSIONS, SHARES
from .held_folder import ChangedError, Found, HeldFolder
from .reading import UnreadableError, parse_session
from .sessions import KIND

_CHANGED: Final = "it was changed after it was imported"


def remove_imported_files(
    store: Store, session_id: str, *, sessions_folder: str | os.PathLike[str] | None = None
) -> list[FileRemoval]:
    """Remove the JSON files that a session and its shares were imported from. Call it before the session is purged.

    A file is removed only if its bytes are those that were imported, and all of it was; its ``.bak`` only if the store
    has each of its messages. The file of a share is removed if its JSON is what was imported, also when the share was
    deleted in the store since. The session's row is removed from ``_index.json``. No link is followed. What is kept is
    named with the reason. The session itself is not changed.

    Args:
        store: the store that it was imported to.
        session_id: the session, deleted or not.
        sessions_folder: where the files are; ``sessions`` in the directory that was imported, when None.

    Returns:
        An item for each file; none if the session was not imported from files.

    Raises:
        SessionNotFoundError: there is no such session (any more).
        InvalidInputError: an argument is not valid.
        DatabaseError: the database failed, and nothing was removed.
    """
    check_instance("store", store, Store)
    folder = None if sessions_folder is None else path_of(sessions_folder, "folder of sessions").absolute()
    with store.database.read() as unit:
        key = session_keys.find(unit, session_id, None)
        found = import_log.entries_of_session(unit, key.id)
        entries = [(origin, entry) for kind, origin, entry in found if kind == KIND]
        shares = [(origin, entry) for kind, origin, entry in found if kind == import_log.SHARE]
        stored = {*message_lookup.digests(unit, key.id), *cut_rows.digests(unit, key.id)} if entries else set()
    items: list[FileRemoval] = []
    for origin, entry in entries:
        is_there = folder is not None and os.path.realpath(folder.parent) == origin
        items += _Removal(folder if folder and is_there else Path(origin) / SESSIONS, entry, stored).run()
    for origin, entry in shares:
        items += _ShareRemoval(Path(origin) / SHARES, entry, ()).run()
    return items


@dataclass
class _Removal:
    """The removal of one session's file, and of what belongs to it.

    Args:
        path: the sessions folder.
        entry: the import log's entry of the file.
        stored: the digests of the messages that the store has, or keeps of former states.
    """

    path: Path
    entry: import_log.Entry
    stored: Collection[bytes]
    items: list[FileRemoval] = field(default_factory=list)

    def run(self) -> list[FileRemoval]:
        name = self.entry.item
        try:
            with HeldFolder(self.path) as folder:
                if self._try(name, lambda: self._remove_session(folder)) is not RemovalOutcome.KEPT:
                    self._try(f"{name}.bak", lambda: self._remove_backup(folder), is_optional=True)
                    self._try(INDEX, lambda: self._remove_row(folder), is_optional=True)
        except OSError as error:
            self._add(name, *_outcome_of(error))
        return self.items

    def _try(self, name: str, remove: Callable[[], bool], *, is_optional: bool = False) -> RemovalOutcome:
        """Remove a file, or keep it, and report that.

        Args:
            remove: does it, and returns whether there was anything to do.
            is_optional: a file that is not there is not reported.
        """
        reason = ""
        try:
            is_reported = remove()
            outcome = RemovalOutcome.REMOVED
        except OSError as error:
            outcome, reason = _outcome_of(error)
            is_reported = outcome is RemovalOutcome.KEPT or not is_optional
        except ChangedError as error:
            outcome, reason, is_reported = RemovalOutcome.KEPT, str(error), True
        if is_reported:
            self._add(name, outcome, reason)
        return outcome

    def _add(self, name: str, outcome: RemovalOutcome, reason: str = "") -> None:
        self.items.append(FileRemoval(path=str(self.path / name), outcome=outcome, reason=reason))

    def _remove_session(self, folder: HeldFolder) -> bool:
        found = folder.read(self.entry.item)
        if json_codec.digest(found.content) != self.entry.digest:
            raise ChangedError(_CHANGED)
        notes: Any = self.entry.notes if isinstance(self.entry.notes, dict) else {}
        if notes.get("outcome") == Outcome.RECOVERED:
            raise ChangedError("it is damaged, and not all of it was imported")
        folder.remove(self.entry.item, found)
        return True

    def _remove_backup(self, folder: HeldFolder) -> bool:
        name = f"{self.entry.item}.bak"
        found = folder.read(name)
        try:
            session = parse_session(found.content)
        except UnreadableError as error:
            raise ChangedError(f"it cannot be read: {error}") from error
        missing = sum(message.digest not in self.stored for message in session.messages)
        if session.damage is not None or missing:
            raise ChangedError(session.damage or f"{missing} of its messages are not in the store")
        folder.remove(name, found)
        return True

    def _remove_row(self, folder: HeldFolder) -> bool:
        found = folder.read(INDEX)
        rows = _rows(found)
        session_id = self.entry.item.removesuffix(".bak").removesuffix(".json")
        kept = [row for row in rows if not (isinstance(row, dict) and row.get("session_id") == session_id)]
        if len(kept) == len(rows):
            return False
        folder.overwrite(INDEX, _encoded(kept), found)
        return True


class _ShareRemoval(_Removal):
    """The removal of the file of a share, in the folder of shares."""

    def run(self) -> list[FileRemoval]:
        name = self.entry.item
        try:
            with HeldFolder(self.path) as folder:
                self._try(name, lambda: self._remove_share(folder))
        except OSError as error:
            self._add(name, *_outcome_of(error))
        return self.items

    def _remove_share(self, folder: HeldFolder) -> bool:
        found = folder.read(self.entry.item)
        try:
            payload = json_codec.encode(json_codec.decode(found.content))
        except ValueError as error:
            raise ChangedError(_CHANGED) from error
        if json_codec.digest(payload) != self.entry.digest:
            raise ChangedError(_CHANGED)
        folder.remove(self.entry.item, found)
        return True


def _outcome_of(error: OSError) -> tuple[RemovalOutcome, str]:
    if isinstance(error, FileNotFoundError):
        return RemovalOutcome.GONE, "it is not there any more"
    return RemovalOutcome.KEPT, error.strerror or str(error)


def _rows(index: Found) -> list[Any]:
    try:
        rows = json_codec.decode(index.content)
    except ValueError as error:
        raise ChangedError("it is damaged, and may have the session's title") from error
    return rows if isinstance(rows, list) else []


def _encoded(rows: list[Any]) -> bytes:
    try:
        return json.dumps(rows, ensure_ascii=False, indent=2).encode()
    except (UnicodeEncodeError, RecursionError):
        return json_codec.encode(rows)
