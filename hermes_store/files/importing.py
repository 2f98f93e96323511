"""Taking in a hermes-webui state directory: every file accounted for, none harmed, nothing twice."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from ..errors import InvalidInputError
from ..fields import is_id
from ..reports import ImportItem, ImportProgress, ImportReport, Outcome
from ..store import Store
from . import image, linking
from .directory import Entry, StateDirectory, tombstone_ids
from .image import shown
from .projects import ProjectImport
from .reading import SessionFile, UnreadableError, read_session
from .sessions import Candidate, KnownItem, Prefer, SessionIntake, known_items

#: A transaction takes in so many sessions or bytes, whichever is first: few commits, and little to hold or to lose.
_BATCH_SESSIONS: Final = 200
_BATCH_BYTES: Final = 8 * 2**20
#: So many files are looked up at once.
_LOOKUP: Final = 500
#: A file as young as this when it was imported may change again without a new modification time.
_RACY_NS: Final = 2 * 10**9

OnProgress = Callable[[ImportProgress], None]


def import_directory(
    store: Store,
    path: str | os.PathLike[str],
    *,
    prefer: Literal["store", "files"] = "store",
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Take the sessions and projects of a hermes-webui state directory into the store.

    Nothing in the directory is written, moved or deleted. Each session is taken in whole or not at all, so an
    import that was interrupted is finished by running it again; what the store has already costs one look at
    the file's size and time. No single file stops the run.

    Args:
        path: a state directory (with ``sessions/`` in it), or a Hermes home (with ``webui/`` in it).
        prefer: whose version of a session wins when the file and the store's copy were both changed since the
            last import; the loser's is reported as a conflict, or overwritten. A damaged file never wins.
        dry_run: do everything but write.
        on_progress: called after each file.

    Returns:
        A report with an item for each file.

    Raises:
        FilesError: `path` is no such directory, or cannot be read.
        DatabaseError: the database failed (it is full, say). What was taken in before is there.
    """
    if prefer not in ("store", "files"):
        raise InvalidInputError(f"prefer is 'store' or 'files', not {prefer!r}.")
    directory = StateDirectory.find(path)
    return _Run(store, directory, prefer, dry_run, on_progress).report()


def import_state_directory(store: Store, directory: StateDirectory) -> ImportReport:
    """Take in a directory that was found already; as `import_directory`."""
    return _Run(store, directory, "store", dry_run=False, on_progress=None).report()


class _Run:
    """One import."""

    def __init__(
        self, store: Store, directory: StateDirectory, prefer: Prefer, dry_run: bool, on_progress: OnProgress | None
    ) -> None:
        self.store = store
        self.directory = directory
        self.dry_run = dry_run
        self.on_progress = on_progress
        self.entries = directory.entries()
        self.names = {entry.stem for entry in self.entries if entry.not_a_session is None}
        self.items: list[ImportItem] = []
        self.unreadable_lists: dict[str, str] = {}
        self.counts: Counter[Outcome] = Counter()
        self.projects = ProjectImport(directory, prefer=prefer, dry_run=dry_run)
        self.intake = SessionIntake(projects=self.projects, origin=directory.origin, prefer=prefer, dry_run=dry_run)

    def report(self) -> ImportReport:
        """Do it."""
        started = time.monotonic()
        self.tombstones = self._read_tombstones()
        with self._transaction() as connection:
            self.projects.load(connection)
        batch: list[Candidate] = []
        for chunk in _chunks(self.entries, _LOOKUP):
            known = self._known_items(chunk)
            for entry in chunk:
                loaded = self._load(entry, known.get(entry.path.name))
                if isinstance(loaded, ImportItem):
                    self._done(loaded)
                    continue
                batch.append(loaded)
                if len(batch) >= _BATCH_SESSIONS or sum(one.size for one in batch) >= _BATCH_BYTES:
                    self._flush(batch)
        self._flush(batch)
        with self._transaction() as connection:
            self.items += self.projects.finish(connection)
            if not self.dry_run:
                linking.link(connection)
        return ImportReport(
            source=str(self.directory.root),
            dry_run=self.dry_run,
            items=self.items,
            seconds=time.monotonic() - started,
        )

    def _transaction(self) -> Any:
        database = self.store._database
        return database.read() if self.dry_run else database.write()

    def _read_tombstones(self) -> dict[str, str]:
        deleted: dict[str, str] = {}
        for path in self.directory.tombstones():
            try:
                deleted |= dict.fromkeys(tombstone_ids(path), path.name)
            except ValueError as error:
                reason = f"it lists deleted sessions, and some may come back: {error}"
                self.unreadable_lists[path.name] = reason
        return deleted

    def _known_items(self, entries: Sequence[Entry]) -> dict[str, KnownItem]:
        with self.store._database.read() as connection:
            return known_items(connection, self.directory.origin, entries)

    def _load(self, entry: Entry, known: KnownItem | None) -> Candidate | ImportItem:
        """Return a session file's content, or how the file ended if there is no need to look inside."""
        if entry.path.name in self.unreadable_lists:
            reason = self.unreadable_lists[entry.path.name]
            return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=reason)
        if entry.not_a_session is not None:
            reason = entry.not_a_session
            if entry.path.name.endswith(".json.bak") and entry.stem not in self.names:
                reason = "a backup copy whose session is gone; rename it to end with .json to have it"
            return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, reason=reason)
        if entry.stem in self.tombstones:
            return ImportItem(
                path=entry.name,
                outcome=Outcome.SKIPPED,
                id=entry.stem,
                reason=f"it was deleted (listed in {self.tombstones[entry.stem]})",
            )
        if known is not None and known.is_of(entry, _RACY_NS):
            return known.unchanged(entry)
        try:
            file = read_session(entry.path)
            return self._candidate(entry, file)
        except (UnreadableError, InvalidInputError) as error:
            return ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=str(error))

    def _candidate(self, entry: Entry, file: SessionFile) -> Candidate:
        session_id, notes = self._identity(entry, file.data.get("session_id"))
        damage = file.damage
        whole = self.directory.indexed_counts.get(session_id) if damage else None
        made = image.from_json(file.data, file.messages, written_at=entry.mtime_ns / 1e9)
        if whole is not None:
            damage = f"{damage} (the index counts {whole} messages)"
        made.notes[:0] = [*file.notes, *notes]
        return Candidate(
            entry=entry, session_id=session_id, digest=file.digest, read_at=file.read_at, damage=damage, image=made
        )

    def _identity(self, entry: Entry, inner: Any) -> tuple[str, list[str]]:
        """Return the id that a session file gets: its name's, as the WebUI finds sessions by name."""
        if is_id(entry.stem):
            if inner == entry.stem:
                return entry.stem, []
            return entry.stem, [f"inside it is called {shown(inner)}; the file's name counts"]
        if is_id(inner) and inner not in self.names:
            return inner, [f"its file's name cannot be an id; the id inside, {inner}, was taken"]
        made = hashlib.blake2b(os.fsencode(entry.path.name), digest_size=6).hexdigest()
        return made, [f"neither its file's name nor {shown(inner)} can be its id; it is called {made}"]

    def _flush(self, batch: list[Candidate]) -> None:
        if not batch:
            return
        with self._transaction() as connection:
            known = known_items(connection, self.directory.origin, [candidate.entry for candidate in batch])
            finished = [self._take_in(connection, one, known.get(one.entry.path.name)) for one in batch]
        batch.clear()
        for item in finished:
            self._done(item)

    def _take_in(self, connection: Connection, candidate: Candidate, known: KnownItem | None) -> ImportItem:
        try:
            with self.store._database.savepoint(connection):
                return self.intake.take_in(connection, candidate, known)
        except (IntegrityError, DataError) as error:  # this one file's: the others of the batch go on
            return candidate.item(Outcome.FAILED, f"the database refused it: {error.orig}")

    def _done(self, item: ImportItem) -> None:
        self.items.append(item)
        self.counts[item.outcome] += 1
        if self.on_progress is not None:
            done = sum(self.counts.values())
            self.on_progress(
                ImportProgress(done=done, total=len(self.entries), path=item.path, counts=dict(self.counts))
            )


def _chunks(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
