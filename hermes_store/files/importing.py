"""Import of a hermes-webui state directory: every file is reported, none is changed, and none is imported twice."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, Literal

from ..arguments import check_callable, check_flag, check_instance
from ..errors import InvalidInputError
from ..outcomes import WRITTEN, ItemKind, Outcome
from ..quoting import quoted, text_of
from ..reports import ImportItem, ImportProgress, ImportReport
from ..storage import import_log, statistics
from ..storage.batches import Batch, write_first
from ..storage.part_writer import PartWriter, remove_left_over
from ..storage.row_locks import Reserved
from ..storage.turns import Turns
from ..storage.unit_of_work import UnitOfWork
from ..store import Store
from . import linking
from .backups import BackupImporter
from .decided import Decisions
from .decision import Prefer
from .directory import MAX_FILE_SIZE, SHARES, Entry, StateDirectory
from .parsing import FileParser, ParsedFile
from .projects import ProjectImporter
from .sessions import KIND, SessionImporter, report_if_unchanged
from .shares import ShareImporter

#: How many files are looked up in the import log at once.
_LOOKUP: Final = 500

OnProgress = Callable[[ImportProgress], None]


def import_directory(
    store: Store,
    path: str | os.PathLike[str],
    *,
    prefer: Literal["store", "files"] = "store",
    dry_run: bool = False,
    max_file_size: int = MAX_FILE_SIZE,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Import the sessions, projects and shares of a hermes-webui state directory.

    Nothing in the directory is written, moved or deleted. Each session is imported as a whole or not at all, so an
    import that was interrupted is completed by running it again. Of a file that was imported already, only the size and
    the modification time are read. A file that cannot be imported does not end the import.

    Args:
        store: where to import them.
        path: a state directory (which has ``sessions/``), or a Hermes home (which has ``webui/``).
        prefer: whose version is kept when a file and the store's session were both changed since the last import: with
            "store", the file is reported as a conflict; with "files", it overwrites the session. A damaged file never
            overwrites anything.
        dry_run: report what an import would do, and write nothing.
        max_file_size: the most bytes to read of a session file; a larger one is reported as failed.
        on_progress: called after each file.

    Returns:
        A report with an item for each file of the sessions and of the shares, and for each project.

    Raises:
        FilesError: `path` is no such directory, or cannot be read.
        InvalidInputError: an argument is not valid.
        DatabaseError: the database failed (it is full, for example). What was imported before stays imported.
    """
    check_instance("store", store, Store)
    if text_of(prefer) not in ("store", "files"):
        raise InvalidInputError(f"prefer is 'store' or 'files', not {quoted(prefer)}.")
    prefer = "files" if text_of(prefer) == "files" else "store"
    check_flag("dry_run", dry_run)
    if type(max_file_size) is not int or max_file_size < 0:
        raise InvalidInputError(f"max_file_size is a number of bytes, not {quoted(max_file_size)}.")
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    directory = StateDirectory.find(path)
    return _Import(store, directory, prefer, dry_run, on_progress, max_file_size).run()


def import_state_directory(
    store: Store, directory: StateDirectory, on_progress: OnProgress | None = None
) -> ImportReport:
    """Import a directory that was found already; as `import_directory`."""
    return _Import(store, directory, "store", dry_run=False, on_progress=on_progress).run()


class _Import:
    """One import."""

    def __init__(  # noqa: PLR0917 - the arguments of `import_directory`
        self,
        store: Store,
        directory: StateDirectory,
        prefer: Prefer,
        dry_run: bool,
        on_progress: OnProgress | None,
        max_file_size: int = MAX_FILE_SIZE,
    ) -> None:
        self._database = store.database
        self._turns = Turns(store.database)
        self._directory = directory
        self._origin = directory.origin
        self._dry_run = dry_run
        self._prefer: Prefer = prefer
        self._on_progress = on_progress
        self._entries = directory.entries()
        self._parser = FileParser(directory, self._entries, max_file_size=max_file_size)
        self._projects = ProjectImporter(directory, prefer=prefer, dry_run=dry_run)
        self._sessions = SessionImporter(projects=self._projects, origin=self._origin, prefer=prefer, dry_run=dry_run)
        self._decisions = Decisions(self._origin, self._parser, prefer=prefer, limit=max_file_size)
        self._backups = BackupImporter(self._origin, self._parser, self._decisions, dry_run=dry_run)
        self._share_entries, self._share_problem = _share_entries(directory)
        self._shares = ShareImporter(self._origin, self._decisions, prefer=prefer, limit=max_file_size, dry_run=dry_run)
        self._items: list[ImportItem] = []
        self._counts: Counter[Outcome] = Counter()

    def run(self) -> ImportReport:
        started = time.monotonic()
        if not self._dry_run:
            remove_left_over(self._database, self._turns)
        self._decisions.load(self._database)
        with self._project_transaction() as unit:
            self._projects.load(unit)
        with self._database.read() as unit:
            copies = [entry for entry in self._entries if self._backups.is_of_session(unit, entry)]
        self._import_sessions(copies)
        for item in self._backups.run(self._database, self._turns, copies, self._sessions.simulated):
            self._add_item(item)
        self._import_shares()
        self._items.sort(key=lambda item: item.path)
        if self._projects.are_waiting:
            self._turns.wait()
            with self._transaction() as unit:
                self._projects.finish(unit)
        others = [
            ImportItem(path=name, outcome=Outcome.SKIPPED, reason=reason) for name, reason in self._directory.others()
        ]
        for item in (*self._projects.items, *others):
            self._decisions.note_other(item)
            self._items.append(item)
        if not self._dry_run:
            linking.link(self._database, self._turns)
            self._decisions.write(self._database, self._turns)
            statistics.refresh(self._database, sum(item.outcome in WRITTEN for item in self._items))
        return ImportReport(
            source=str(self._directory.root),
            dry_run=self._dry_run,
            items=self._items,
            seconds=time.monotonic() - started,
        )

    def _import_sessions(self, copies: list[Entry]) -> None:
        """Import the files of sessions, but not those backup copies that are of one."""
        batch: Batch[ParsedFile] = Batch()
        for loaded in self._loaded(copies):
            if isinstance(loaded, ImportItem):
                self._add_item(loaded)
                continue
            content = loaded.content
            writer = PartWriter(self._database, self._turns, content.messages, content.documents)
            if not batch.admits(writer):
                self._import(batch.take_all())
            batch.add(loaded, writer)
        self._import(batch.take_all())

    def _import_shares(self) -> None:
        """Import the shares of the sessions that are in the store by now."""
        new = (Outcome.IMPORTED, Outcome.RECOVERED)
        planned = {item.id for item in self._items if item.id is not None and item.outcome in new}
        for item in self._shares.run(self._database, self._turns, self._share_entries, planned):
            self._add_item(item)
        self._items += self._share_problem

    def _project_transaction(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Return a transaction that writes only if the projects make that necessary."""
        trial = ProjectImporter(self._directory, prefer=self._prefer, dry_run=True)
        with self._database.read() as unit:
            trial.load(unit)
        return self._transaction() if trial.would_write else self._database.read()

    def _transaction(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        return self._database.read() if self._dry_run else self._alone()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[UnitOfWork]:
        """Give a transaction that no other import has at the same time."""
        with self._database.write() as unit:
            unit.reserve(*Reserved)
            yield unit

    def _loaded(self, copies: Collection[Entry]) -> Iterator[ParsedFile | ImportItem]:
        """Yield the content of each session file, or the report on a file that need not be or cannot be imported.

        Args:
            copies: the files that are imported later.
        """
        left_out = set(copies)
        for entries in _chunks([entry for entry in self._entries if entry not in left_out], _LOOKUP):
            with self._database.read() as unit:
                recorded = self._recorded(unit, entries)
            for entry in entries:
                yield self._load(entry, recorded.get(entry.path.name))

    def _load(self, entry: Entry, recorded: import_log.Entry | None) -> ParsedFile | ImportItem:
        begun = time.time()
        rejected = self._parser.reject(entry)
        if rejected is None:
            known = report_if_unchanged(entry, recorded) or self._decisions.find(entry)
            if known is not None:
                return known
        found = rejected or self._parser.parse(entry)
        if isinstance(found, ImportItem):
            self._decisions.note(entry, found, begun)
        return found

    def _recorded(self, unit: UnitOfWork, entries: Sequence[Entry]) -> dict[str, import_log.Entry]:
        return import_log.entries(unit, KIND, self._origin, [entry.path.name for entry in entries])

    def _import(self, files: list[tuple[ParsedFile, PartWriter]]) -> None:
        """Import files in as few transactions as their sizes allow."""
        while files:
            done = self._import_some(files)
            del files[:done]
            if files and not done:
                self._import_large(*files.pop(0))

    def _import_some(self, files: Sequence[tuple[ParsedFile, PartWriter]]) -> int:
        """Import the first files in one transaction, and return how many: none if the first one is too large."""
        self._turns.wait()
        with self._transaction() as unit:
            # Looked up again: another process may have imported them since.
            recorded = self._recorded(unit, [file.entry for file, _ in files])

            def import_file(file: ParsedFile, writer: PartWriter) -> ImportItem:
                return self._sessions.import_file(unit, file, recorded.get(file.entry.path.name), writer)

            items = write_first(files, import_file)
        for (file, _), item in zip(files, items, strict=False):
            self._add_result(file, item)
        return len(items)

    def _import_large(self, file: ParsedFile, writer: PartWriter) -> None:
        """Import a file whose session, in it or in the store, is too large for one transaction."""

        def read() -> None:
            with self._database.read() as unit:
                self._sessions.read_stored(unit, file, self._recorded_one(unit, file), writer)

        def import_file(unit: UnitOfWork) -> ImportItem:
            return self._sessions.import_file(unit, file, self._recorded_one(unit, file), writer)

        self._add_result(file, writer.write(import_file, read))

    def _recorded_one(self, unit: UnitOfWork, file: ParsedFile) -> import_log.Entry | None:
        return self._recorded(unit, [file.entry]).get(file.entry.path.name)

    def _add_result(self, file: ParsedFile, item: ImportItem) -> None:
        compared = self._sessions.compared.pop(file.entry.path.name, None)
        if item.outcome is Outcome.FAILED:
            self._decisions.note_refused(file.entry, item)
        else:
            self._decisions.note(file.entry, item, file.read_at, compared)
        self._add_item(item)

    def _add_item(self, item: ImportItem) -> None:
        self._items.append(item)
        self._counts[item.outcome] += 1
        if self._on_progress is not None:
            done, total = len(self._items), len(self._entries) + len(self._share_entries)
            self._on_progress(ImportProgress(done=done, total=total, path=item.path, counts=dict(self._counts)))


def _chunks(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _share_entries(directory: StateDirectory) -> tuple[list[Entry], list[ImportItem]]:
    """Return what is in the folder of shares, and the report on a folder that cannot be read."""
    try:
        return directory.share_entries(), []
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
        return [], [ImportItem(kind=ItemKind.SHARE, path=SHARES, outcome=Outcome.FAILED, reason=reason)]
