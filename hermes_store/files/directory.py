"""A hermes-webui state directory: where it is, and what in it is a session.

Formats and names are those of hermes-webui from v0.1.0 (2026-03-30) to its state of 2026-08-22.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import FilesError, InvalidInputError
from ..memoized import memoized
from ..paths import path_of
from ..transcripts import json_codec

if TYPE_CHECKING:
    from ..storage.import_log import Entry as LogEntry

SESSIONS: Final = "sessions"
SHARES: Final = "shares"
PROJECTS: Final = "projects.json"
INDEX: Final = "_index.json"
#: How the names of the WebUI's backup copies of sessions end.
BACKUP: Final = ".json.bak"
#: The largest file that an import reads unless it is told otherwise, in bytes.
MAX_FILE_SIZE: Final = 512 * 2**20
#: A file that was this young, in nanoseconds, when it was read may change again without another modification time.
_RACY_NS: Final = 2 * 10**9
#: What a sessions folder has while an export to it is not whole.
INCOMPLETE: Final = ".incomplete"
#: The agent's database, by which a Hermes home is known: the sessions folder in it is the agent's.
AGENT_FILE: Final = "state.db"


@dataclass(frozen=True)
class Entry:
    """A file in the sessions folder, or in the folder of shares."""

    path: Path
    size: int
    mtime_ns: int
    #: Why it is not a session's file; None when it is one.
    not_a_session: str | None
    #: When anything of it changed last by the file system's own clock, which no program can set.
    changed_ns: int
    folder: str = SESSIONS

    @property
    def name(self) -> str:
        """The name in reports."""
        return f"{self.folder}/{self.path.name}"

    @property
    def key(self) -> str:
        """The name relative to the sessions folder: no file in that has a slash in its name."""
        return self.path.name if self.folder == SESSIONS else f"../{self.name}"

    def is_as_recorded(self, recorded: LogEntry) -> bool:
        """Whether it is as it was when what was recorded was read, by its size and times.

        A file that was very young then may have changed again without another time. One whose modification time is in
        the future is judged by the other time, which also tells of a change after which the first was set back.
        """
        if (recorded.size, recorded.mtime_ns) != (self.size, self.mtime_ns):
            return False
        read_ns = recorded.imported_at * 1e9
        return min(self.mtime_ns, self.changed_ns) + _RACY_NS < read_ns and self.changed_ns <= read_ns

    @property
    def is_backup(self) -> bool:
        """Whether it is the copy of a session's file that the WebUI made before it saved fewer messages."""
        return self.not_a_session is None and self.path.name.endswith(BACKUP)

    @property
    def stem(self) -> str:
        """The session's id according to the file's name."""
        return self.path.name.removesuffix(".bak").removesuffix(".json")


class StateDirectory:
    """A state directory, which is only read.

    Args:
        root: the directory.
        sessions: its sessions folder, where that is not ``sessions``.
    """

    def __init__(self, root: Path, sessions: Path | None = None) -> None:
        self.root = root
        self.sessions = root / SESSIONS if sessions is None else sessions
        self.projects = root / PROJECTS

    @classmethod
    def find(cls, path: str | os.PathLike[str]) -> StateDirectory:
        """Return the state directory that `path` is, or that a Hermes home at `path` has.

        Raises:
            FilesError: there is none.
            InvalidInputError: `path` cannot be a path.
        """
        try:
            given = path_of(path, "state directory").absolute()
        except InvalidInputError as error:
            if isinstance(error.__cause__, RuntimeError):  # the home of nobody is a wrong place as any other
                raise FilesError(str(error)) from error
            raise
        try:
            # A Hermes home first: it has a sessions folder as well, but that is the agent's.
            for root in (given / "webui", given):
                if (root / SESSIONS).is_dir():
                    return cls(root)
            if (given.parent / PROJECTS).exists() and given.name == SESSIONS and given.is_dir():
                return cls(given.parent)
            problem = "it has neither sessions/ nor webui/sessions/"
            if not given.exists():
                problem = "it does not exist"
            elif not given.is_dir():
                problem = "it is no directory"
        except OSError as error:  # no permission, or a name that is too long
            raise FilesError(f"{given} cannot be looked at: {error.strerror}. Nothing was read.") from error
        raise FilesError(
            f"{given} is no state directory of hermes-webui: {problem}. Name the directory that contains sessions/ and "
            "projects.json."
        )

    @property
    def origin(self) -> str:
        """The directory's name in the import log."""
        return os.path.realpath(self.root)

    def entries(self) -> list[Entry]:
        """Return what is in the sessions folder, what was changed last first, and else by name.

        Raises:
            FilesError: the folder cannot be read.
        """
        try:
            with os.scandir(self.sessions) as found:
                entries = [_folder(item) if _is_folder(item) else _entry(item) for item in found]
        except OSError as error:
            raise FilesError(f"{self.sessions} cannot be read: {error.strerror}. Nothing was imported.") from error
        return sorted(entries, key=lambda entry: (-entry.mtime_ns, entry.path.name))

    def share_entries(self) -> list[Entry]:
        """Return what is in the folder of shares, by name; nothing if there is no such folder.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with os.scandir(self.root / SHARES) as found:
                entries = [_share(item) for item in found]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(entries, key=lambda entry: entry.path.name)

    def others(self) -> list[tuple[str, str]]:
        """Return the folders next to the sessions folder that belong to sessions, with what each is."""
        folders = ((name, self.root / name, what) for name, what in _FOLDERS.items())
        # (`Path.is_dir` raises an error where the directory may not be searched.)
        return [(name, _what_folder(path, what)) for name, path, what in folders if os.path.isdir(path)]  # noqa: PTH112

    def tombstones(self) -> Iterator[Path]:
        """Yield the lists of deleted and pruned sessions."""
        for pattern in ("_deleted*.json", "_pruned*.json"):
            yield from sorted(self.sessions.glob(pattern))

    @memoized
    def indexed_counts(self) -> dict[str, int]:
        """The message counts in the WebUI's index, by session id; empty when it cannot be read."""
        try:
            rows = json_codec.decode(read_regular(self.sessions / INDEX))
        except (OSError, ValueError):
            return {}  # the counts are only used in the reports on damaged files
        return {
            row["session_id"]: row["message_count"]
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
            and isinstance(row.get("session_id"), str)
            and isinstance(row.get("message_count"), int)
        }


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def _folder(item: os.DirEntry[str]) -> Entry:
    """Return a folder in the sessions folder, where hermes-webui has none."""
    path = Path(item.path)
    return Entry(path, 0, 0, _what_folder(path, _JOURNALS.get(item.name, "no sessions of hermes-webui")), 0)


def _what_folder(path: Path, what: str) -> str:
    try:
        with os.scandir(path) as inside:
            count = sum(1 for _ in inside)
    except OSError as error:
        return f"a folder that cannot be read: {error.strerror}"
    return f"a folder of {count} {'file' if count == 1 else 'files'}: {what}"


#: Folders of the WebUI's own: in the sessions folder, and next to it.
_JOURNALS: Final = {
    "_turn_journal": "the WebUI's records of turns",
    "_run_journal": "the WebUI's records of runs",
}
_FOLDERS: Final = {
    "attachments": "uploaded files, which messages refer to",
    "media_snapshots": "pictures, which messages refer to",
}


def _entry(item: os.DirEntry[str]) -> Entry:
    try:
        status = item.stat()
    except OSError:  # a broken link, for example: reading it gives the error to report
        return Entry(Path(item.path), 0, 0, _why_not(item.name), 0)
    reason = _why_not(item.name) if stat.S_ISREG(status.st_mode) else "it is not a regular file"
    # (On Windows the other time is that of the creation.)
    changed_ns = status.st_mtime_ns if os.name == "nt" else status.st_ctime_ns
    return Entry(Path(item.path), status.st_size, status.st_mtime_ns, reason, changed_ns)


def _share(item: os.DirEntry[str]) -> Entry:
    if _is_folder(item):
        path = Path(item.path)
        return Entry(path, 0, 0, _what_folder(path, "no shares of hermes-webui"), 0, SHARES)
    entry = _entry(item)
    reason = "a backup copy, which no share has" if entry.is_backup else entry.not_a_session
    return dataclasses.replace(entry, folder=SHARES, not_a_session=reason)


def _why_not(name: str) -> str | None:
    if ".tmp." in name:
        return "an unfinished write"
    if name == INCOMPLETE:
        return "the mark of an export that was not finished: sessions are missing in this folder"
    return None if name.endswith((".json", BACKUP)) else "not a JSON file"


def not_a_session(name: str) -> str | None:
    """Return what a file is, by its name, if it is not that of a session; None when the name does not tell."""
    name = name.removesuffix(".bak")
    if name.startswith("_"):
        return "a file of the WebUI's own"
    is_agents_own = name == "sessions.json" or (name.startswith("session_") and name.endswith(".json"))
    return "a file of the agent's" if is_agents_own else None


#: What only the agent's own files have, and what only those lack.
_AGENT_KEYS: Final = frozenset({"session_start", "last_updated", "system_prompt"})
_WEBUI_KEYS: Final = frozenset({"title", "created_at", "updated_at", "workspace"})


def is_agents(data: dict[str, Any]) -> bool:
    """Whether an object is the agent's own copy of a conversation, and no session of the WebUI."""
    return not _AGENT_KEYS.isdisjoint(data) and _WEBUI_KEYS.isdisjoint(data)


def begins_as_list(path: Path) -> bool:
    """Whether a file's first character begins an array, as that of the WebUI's index does."""
    try:
        with path.open("rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except OSError:
        return False


# A file's name in which an id would be taken for a file of the WebUI's own has the id's underscore as %5F.
_RESERVED: Final = re.compile(r"_(?:index|deleted.*|pruned.*)|projects", re.IGNORECASE)


def file_name(session_id: str) -> str:
    """Return the name of a session's file in an export."""
    stem = session_id
    if _RESERVED.fullmatch(session_id):
        stem = f"%{ord(session_id[0]):02X}{session_id[1:]}"
    return f"{stem}.json"


def read_regular(path: Path, limit: int = MAX_FILE_SIZE) -> bytes:
    """Return a regular file's bytes. (Opening a pipe, for example, could wait for ever.)

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `limit` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_size <= limit:
        with path.open("rb") as file:
            # Of the file's size, as Python takes memory for as many bytes as are asked for.
            content = file.read(status.st_size + 1)
            if len(content) > status.st_size:  # it grew meanwhile
                content += file.read(limit + 1 - len(content))
        if len(content) <= limit:
            return content
    raise OSError(
        errno.EFBIG, f"it has {max(status.st_size, limit + 1)} bytes, and at most {limit} are read", str(path)
    )


def tombstone_ids(path: Path) -> list[str] | None:
    """Return the ids in a list of deleted sessions; None when the file is a session.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        data: Any = json_codec.decode(read_regular(path))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if isinstance(data, dict) and ("messages" in data or "session_id" in data):
        return None
    ids = data.get("ids") if isinstance(data, dict) else data
    if not isinstance(ids, list):
        raise ValueError(f"{path.name} has no list of ids")  # noqa: TRY004 - as for other damage
    return [session_id for session_id in ids if isinstance(session_id, str)]
