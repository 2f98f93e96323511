"""Session files, from a directory entry to what is to be stored; or why a file is not read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidInputError
from ..outcomes import Outcome
from ..quoting import count
from ..reports import ImportItem
from ..validation import is_id
from ..webui_format import session_json
from ..webui_format.session_json import SessionContent, shown
from .directory import (
    MAX_FILE_SIZE,
    Entry,
    StateDirectory,
    begins_as_list,
    file_name,
    is_agents,
    not_a_session,
    tombstone_ids,
)
from .reading import NoSessionError, SessionFile, UnreadableError, read_session


@dataclass(frozen=True, kw_only=True)
class ParsedFile:
    """A session file that was read."""

    entry: Entry
    session_id: str
    #: Of the file's bytes.
    digest: bytes
    #: When it was read, in epoch seconds.
    read_at: float
    #: What is wrong with the file; None for a whole one.
    damage: str | None
    content: SessionContent


#: What reading a file may raise for what is in it: no file may end the import of the others. (Not all exceptions,
#: because a signal handler may raise one.)
_OF_THE_FILE: Final = (MemoryError, RecursionError, ValueError, ArithmeticError, LookupError, TypeError)


class FileParser:
    """Parses the session files of a directory.

    Args:
        directory: the state directory.
        entries: what is in its sessions folder.
        max_file_size: the most bytes to read of a file.
    """

    def __init__(self, directory: StateDirectory, entries: list[Entry], *, max_file_size: int = MAX_FILE_SIZE) -> None:
        self._directory = directory
        self._max_file_size = max_file_size
        self._backups = {entry.path.name: entry for entry in entries if entry.is_backup}
        self._names = {entry.stem for entry in entries if entry.not_a_session is None and not entry.is_backup}
        #: The lists of deleted sessions that cannot be read: what is wrong with each.
        self._damaged_lists: dict[str, str] = {}
        self._lists: set[str] = set()
        self._deleted = self._read_tombstones()

    def _read_tombstones(self) -> dict[str, str]:
        """Return the sessions that the WebUI deleted, each with the name of the list that has it."""
        deleted: dict[str, str] = {}
        for path in self._directory.tombstones():
            try:
                ids = tombstone_ids(path)
                if ids is not None:
                    deleted |= dict.fromkeys(ids, path.name)
                    self._lists.add(path.name)
            except ValueError as error:
                if _is_damaged_session(path):
                    continue
                reason = f"it lists deleted sessions, and some may come back: {error}"
                self._damaged_lists[path.name] = reason
        return deleted

    def list_of(self, entry: Entry) -> str | None:
        """Return the name of the list of deleted sessions that has a file's session; None if none has."""
        return self._deleted.get(entry.stem)

    def backup_of(self, entry: Entry) -> list[int] | None:
        """Return the size and the times of a file's backup copy, which may be read in its place; None without one."""
        backup = self._backups.get(f"{entry.path.name}.bak")
        return None if backup is None else [backup.size, backup.mtime_ns, backup.changed_ns]

    def has_session_file(self, entry: Entry) -> bool:
        """Whether the file is there that a backup copy was made of."""
        return entry.stem in self._names

    def reject(self, entry: Entry) -> ImportItem | None:
        """Return the report on a file that is not a session, or is a deleted one; None for any other."""
        name = entry.path.name
        if name in self._damaged_lists:
            return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=self._damaged_lists[name])
        if entry.not_a_session is not None:
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, reason=entry.not_a_session)
        own = not_a_session(name)
        if own is not None and (name in self._lists or begins_as_list(entry.path)):
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, reason=own)
        list_name = self._deleted.get(entry.stem)
        if entry.is_backup and list_name is not None and not self.has_session_file(entry):
            reason = f"it was deleted (listed in {list_name}), and only its backup copy is left"
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=entry.stem, reason=reason)
        return None

    def parse(self, entry: Entry) -> ParsedFile | ImportItem:
        """Read a session file; return its content, or the report on one that has none, or a deleted one."""
        list_name = self._deleted.get(entry.stem)
        try:
            file = self._read(entry)
            own = not_a_session(entry.path.name)
            if own is not None and is_agents(file.data):
                return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, reason=own)
            parsed = self._parsed(entry, file)
        except (UnreadableError, InvalidInputError) as error:
            return self._unreadable(entry, str(error), is_session=not isinstance(error, NoSessionError))
        except _OF_THE_FILE as error:
            return self._unreadable(entry, f"it cannot be read: {type(error).__name__} {error}", is_session=True)
        if list_name is not None:
            if not parsed.content.messages:
                reason = f"it was deleted (listed in {list_name}), and has no messages"
                return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=entry.stem, reason=reason)
            parsed.content.notes.insert(0, f"it is listed in {list_name} as deleted, but its file has messages")
        return parsed

    def read_backup(self, entry: Entry) -> SessionFile | ImportItem:
        """Read the backup copy of a session's file; return the report on one that cannot be read."""
        try:
            return self._read(entry)
        except UnreadableError as error:
            return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=str(error))
        except _OF_THE_FILE as error:
            reason = f"it cannot be read: {type(error).__name__} {error}"
            return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=reason)

    def _unreadable(self, entry: Entry, reason: str, *, is_session: bool) -> ImportItem:
        own, list_name = not_a_session(entry.path.name), self._deleted.get(entry.stem)
        if list_name is not None:
            reason = f"it was deleted (listed in {list_name}), and nothing of it can be read: {reason}"
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=entry.stem, reason=reason)
        if own is not None and not is_session:
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, reason=own)
        return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=reason)

    def _read(self, entry: Entry) -> SessionFile:
        def indexed_count() -> int | None:
            return self._directory.indexed_counts.get(entry.stem)

        return read_session(entry.path, limit=self._max_file_size, indexed_count=indexed_count)

    def _parsed(self, entry: Entry, file: SessionFile) -> ParsedFile:
        session_id, notes = self._identify(entry, file.data.get("session_id"))
        damage = file.damage
        whole = self._directory.indexed_counts.get(session_id) if damage else None
        content = session_json.from_json(file.data, file.messages, written_at=entry.mtime_ns / 1e9)
        if whole is not None:
            damage = f"{damage} (the index counts {count(whole, 'message')})"
        if entry.is_backup:
            notes.append("its file is gone, and this is the backup copy: anything newer is missing")
        content.notes[:0] = [*file.notes, *notes]
        return ParsedFile(
            entry=entry,
            session_id=session_id,
            digest=file.digest,
            read_at=file.read_at,
            damage=damage,
            content=content,
        )

    def _identify(self, entry: Entry, inner: Any) -> tuple[str, list[str]]:
        """Return the id of a file's session, and notes on it.

        It is the file's name, by which the WebUI finds sessions, if that can be an id.

        Args:
            entry: the file.
            inner: the id in its JSON object.
        """
        if is_id(entry.stem):
            if inner == entry.stem:
                return entry.stem, []
            return entry.stem, [f"inside it is called {shown(inner)}; the file's name counts"]
        if is_id(inner) and file_name(inner) == entry.path.name:
            return inner, []
        if is_id(inner) and inner not in self._names:
            return inner, [f"its file's name cannot be an id; the id inside, {inner}, was taken"]
        made = hashlib.blake2b(os.fsencode(entry.path.name), digest_size=6).hexdigest()
        return made, [f"neither its file's name nor {shown(inner)} can be its id; it is called {made}"]


def _is_damaged_session(path: Path) -> bool:
    """Whether a file that is named as a list of deleted sessions is a session, though not a whole one."""
    try:
        read_session(path, limit=MAX_FILE_SIZE, indexed_count=lambda: None)
    except UnreadableError:
        return False
    return True
