"""Putting right what can be derived from the rest of a database."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..arguments import check_callable, check_flag
from ..errors import DatabaseCorruptError, DatabaseError, InvalidInputError
from ..quoting import count
from ..storage import change_repairs, migrations, schema_repair, search_filling, session_checks, session_repairs
from ..storage.dialects import Dialect, Target
from ..storage.engine import Database
from ..store import Store
from .advice import reason_of
from .backups import stamp, writing
from .other_rows import of_changes, of_imports, of_projects
from .reports import Finding, FindingKind, Repair, RepairProgress, RepairReport, VerifyProgress
from .verifying import IndexFacts, check_session, file_problems, findings_of, index_facts, index_problem, verify

OnRepairProgress = Callable[[RepairProgress], None]

#: How many repairs and findings a report has at most.
_MOST: Final = 1_000
#: How many row ids of sessions are read at once.
_ROWS: Final = 1_000
_SALVAGE: Final = "Restore a backup, or read what is left into a new database with `hermes-store salvage`."


def repair(target: Target, *, dry_run: bool = False, on_progress: OnRepairProgress | None = None) -> RepairReport:
    """Put right what is wrong in a database and follows from the rest of it, while others use it.

    - The text of a SQLite file's schema is written again where it is damaged. The file is copied first, next to itself:
      ``hermes.db.20261128T090500.123456Z.before-repair``.
    - Its indexes are made anew if one is damaged.
    - Rows that refer to rows that are not there are unlinked. Messages whose session is not there get one.
    - The index of words is made anew if it does not have what the messages have.
    - Sessions, projects and ids that are gone get the next number of a change where theirs is damaged, and an id that
      is found is not gone. Where that is not enough, cursors of `changes` do not count any more.
    - The counters and times of each session are set to what its messages say; gaps in their positions are closed. Usage
      that does not add up to the session's totals gets one more row. Each session is one transaction.

    A message, a document or a share that is not what was written is left as it is. It is in the report with what to do.

    Args:
        target: the database, as for `Store.open`; one whose schema is damaged cannot be opened.
        dry_run: write nothing, and report what would be put right.
        on_progress: called again and again.

    Raises:
        InvalidInputError: an argument is not valid, or the database is in memory.
        DatabaseMissingError: there is none.
        DatabaseCorruptError: it cannot be opened, and nothing can be derived: it says what to do.
        SchemaOutdatedError: it needs an upgrade.
        BackupError, DatabaseFullError: the copy cannot be written; nothing was changed.
        DatabaseLockedError: others were writing for longer than the busy timeout. What was repaired stays so.
    """
    check_flag("dry_run", dry_run)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    dialect = migrations.dialect_of(target)
    if dialect.path is None and not dialect.backup_programs:
        raise InvalidInputError("A database in memory begins empty: there is nothing to repair. Name a file or a URL.")
    return _Repair(target, dialect, dry_run, on_progress or (lambda _: None)).run()


class _Repair:
    """One repair."""

    def __init__(self, target: Target, dialect: Dialect, dry_run: bool, on_progress: OnRepairProgress) -> None:
        self._target = target
        self._dialect = dialect
        self._dry_run = dry_run
        self._on_progress = on_progress
        self._repaired: list[Repair] = []
        self._left: list[Finding] = []
        self._omitted = 0
        self._sessions = 0
        self._copy: Path | None = None
        #: How many messages and titles the index of words has to have, and what is wrong with it.
        self._indexed = [0, 0]
        self._missing_words = 0

    def run(self) -> RepairReport:
        started = time.monotonic()
        self._progress("schema")
        if self._dialect.path is not None:
            self._repair_schema(self._dialect.path)
        if self._dry_run:
            self._check()
        else:
            with Store.open(self._target, migrate=False) as store:
                self._repair_rows(store)
        return RepairReport(
            target=self._dialect.display,
            dry_run=self._dry_run,
            copy_path=None if self._copy is None else str(self._copy),
            sessions=self._sessions,
            repaired=self._repaired,
            left=self._left,
            omitted=self._omitted,
            seconds=time.monotonic() - started,
        )

    def _progress(self, step: Any, done: int = 0, total: int = 0) -> None:
        repaired = len(self._repaired)
        self._on_progress(RepairProgress(step=step, done=done, total=total, repaired=repaired))

    def _add(self, what: str, session_id: str | None = None) -> None:
        if len(self._repaired) < _MOST:
            self._repaired.append(Repair(what=what, session_id=session_id))
        else:
            self._omitted += 1

    def _leave(self, findings: list[Finding]) -> None:
        free = _MOST - len(self._left)
        self._left += findings[:free]
        self._omitted += max(len(findings) - free, 0)

    # ── The schema ──

    def _repair_schema(self, path: Path) -> None:
        self._dialect.create_if_missing(allowed=False)
        if self._dry_run:
            facts = schema_repair.facts(self._dialect)
        else:
            real = Path(os.path.realpath(path))
            copy = real.with_name(f"{real.name}.{stamp()}.before-repair")
            with writing(copy):
                facts = schema_repair.repair(self._dialect, copy)
            self._copy = copy if copy.exists() else None
        if facts is None:
            return
        if facts.lost:
            raise DatabaseCorruptError(
                f"{self._dialect.display} cannot be repaired: {'; '.join(facts.lost[:5])}. "
                f"Nothing was changed. {_SALVAGE}"
            )
        for problem in facts.problems:
            self._add(f"{problem}: not as this library made it")

    def _tell(self, now: VerifyProgress) -> None:
        self._progress(now.step if now.step in _STEPS else "sessions", now.done, now.total)

    # ── Without writing ──

    def _check(self) -> None:
        try:
            with Store.open(self._target, read_only=True) as store:
                report = verify(store, on_progress=self._tell)
        except DatabaseError as error:
            if not self._repaired:
                raise
            problem = f"the rows cannot be looked at while the schema is damaged: {error}"
            self._leave([Finding(kind=FindingKind.UNREADABLE, problem=problem, advice="Repair it without dry_run.")])
            return
        self._sessions = report.sessions
        self._omitted += report.omitted
        for finding in report.findings:
            if finding.kind in _DERIVED or (finding.kind is FindingKind.FILE and "index" in finding.problem):
                self._add(finding.problem, finding.session_id)
            elif finding.kind is not FindingKind.SCHEMA:  # `_repair_schema` has these
                self._leave([finding])

    # ── Rows ──

    def _repair_rows(self, store: Store) -> None:
        database = store.database
        self._repair_file(database)
        self._repair_changes(database)
        self._repair_links(database)
        with database.read() as unit:
            total = session_checks.count(unit)
        before = index_facts(database)
        after: int | None = -(2**62)
        while after is not None:
            with database.read() as unit:
                row_ids = session_checks.rows_after(unit, after, _ROWS)
            for row_id in row_ids:
                self._repair_session(database, row_id)
                self._progress("sessions", self._sessions, max(total, self._sessions))
            after = row_ids[-1] if row_ids else None
        for check in (of_projects, of_imports):
            for part in check(database):
                self._leave(part)
        self._repair_index(database, before)

    def _repair_links(self, database: Database) -> None:
        self._progress("links")
        try:
            with database.read() as unit:
                broken = unit.dialect.broken_links(unit, lambda: self._progress("links"), 1)
            if broken:
                with database.write() as unit:
                    for done in session_repairs.repair_links(unit):
                        self._add(done)
        except DatabaseCorruptError as error:
            problem = f"the links cannot be checked: {reason_of(error)}"
            self._leave([Finding(kind=FindingKind.FILE, problem=problem, advice=_SALVAGE)])

    def _repair_changes(self, database: Database) -> None:
        """First of all that writes rows, since the next number of a change comes after the largest one."""
        if any(of_changes(database)):
            try:
                with database.write() as unit:
                    wrong = change_repairs.repair(unit)
            except DatabaseCorruptError:  # it stays as it was found
                wrong = []
            for finding in wrong:
                self._add(finding.problem, finding.session_id)
            for part in of_changes(database):
                self._leave(part)

    def _repair_index(self, database: Database, before: IndexFacts | str) -> None:
        problem = index_problem(before, index_facts(database), self._indexed)
        if self._missing_words:
            problem = f"the index of words lacks {count(self._missing_words, 'message')} of those that were looked for"
        if problem and not any(finding.kind in _UNREADABLE for finding in self._left):
            search_filling.rebuild(database, lambda done, total: self._progress("index", done, total))
            if self._missing_words or not (self._repaired or self._left):  # else it follows from these
                self._add(problem)

    def _repair_file(self, database: Database) -> None:
        self._progress("file")
        problems = file_problems(database, lambda: self._progress("file"))
        if any("index" in problem for problem in problems):
            with contextlib.suppress(DatabaseCorruptError), database.write() as unit:
                unit.dialect.rebuild_indexes(unit, lambda: self._progress("file"))
            left = file_problems(database, lambda: self._progress("file"))
            for problem in problems:
                if problem not in left:
                    self._add(problem)
            problems = left
        self._leave([Finding(kind=FindingKind.FILE, problem=problem, advice=_SALVAGE) for problem in problems])

    def _repair_session(self, database: Database, row_id: int) -> None:
        checked = check_session(database, row_id)
        if checked is not None and session_repairs.derived(checked.findings):
            try:
                with database.write() as unit:
                    wrong, checked = session_repairs.repair(unit, row_id)
            except DatabaseCorruptError:  # it stays as it was found
                wrong = []
            for finding in wrong:
                self._add(finding.problem, None if checked is None else checked.session_id)
        if checked is not None:
            self._sessions += 1
            self._indexed[0] += checked.indexed
            self._indexed[1] += checked.indexed_titles
            found = findings_of(checked)
            left = [finding for finding in found if finding.kind is not FindingKind.SEARCH]
            self._missing_words += len(found) - len(left)
            self._leave(left)


#: With such findings the numbers of rows say nothing, and not all messages can be put into the index of words.
_UNREADABLE: Final = {FindingKind.FILE, FindingKind.UNREADABLE}
_DERIVED: Final = {
    FindingKind.LINK,
    FindingKind.CHANGES,
    FindingKind.SEARCH,
    *map(FindingKind, session_repairs.DERIVED),
}
#: The steps of `verify` that have a step of `repair` of their own; its others are told as "sessions".
_STEPS: Final = frozenset({"file", "links"})
