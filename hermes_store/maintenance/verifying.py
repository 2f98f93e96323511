"""The check of a database: its file, the links between its rows, and each session."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ..arguments import check_callable, check_instance
from ..errors import DatabaseCorruptError
from ..storage import schema_repair, search_rows, search_state, session_checks
from ..storage.engine import Database
from ..storage.session_checks import CheckedSession
from ..store import Store
from .advice import ADVICE, INDEX, SALVAGE, reason_of
from .other_rows import of_changes, of_imports, of_projects
from .reports import Finding, FindingKind, VerifyProgress, VerifyReport

OnVerifyProgress = Callable[[VerifyProgress], None]

#: How many findings a report has at most.
_MOST: Final = 1_000
#: How many row ids of sessions are read at once.
_ROWS: Final = 1_000


def verify(store: Store, *, on_progress: OnVerifyProgress | None = None) -> VerifyReport:
    """Check everything in a database, while others read and write.

    Of a SQLite file, this is SQLite's own check of the file and of the foreign keys. Of each session, deleted or not:
    its messages are as many as its row counts, and at all positions from 0; its times are those of its messages; each
    message, large document and share has the digest that it was written with, and so has each message that is kept for
    an undo, of which there are as many as its cut says; its usage adds up to its totals; the row of its small documents
    is JSON; its other fields are of the right types. (Their values have nothing to be compared with.)

    The text of the schema is what this library made. The fields of projects are of the right types. Each session,
    project and id that is gone has the number of a change that there was, and no id is both gone and found. Each entry
    of the import log is one that an import can have written. The index of words has as many messages and titles as it
    has to have (compared if nobody writes meanwhile), and the words of some messages.

    Nothing is written. Each session is read in a transaction of its own, and no more than 1 MiB of it (or one message)
    is in memory.

    Args:
        store: an open store, which may be read-only.
        on_progress: called after each session, and again and again during the other checks.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseCorruptError: the sessions cannot even be listed.
    """
    check_instance("store", store, Store)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    return _Verification(store, on_progress or (lambda _: None)).run()


class IndexFacts(NamedTuple):
    """What is known of the index of words at one moment."""

    state: search_state.State
    marks: tuple[Any, ...]
    #: How many messages and titles it has.
    counts: tuple[int, int]


class _Verification:
    """One check."""

    def __init__(self, store: Store, on_progress: OnVerifyProgress) -> None:
        self._database = store.database
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._omitted = 0
        self._sessions = self._messages = self._documents = 0
        #: How many messages and titles the index of words has to have.
        self._indexed = [0, 0]

    def run(self) -> VerifyReport:
        started = time.monotonic()
        with self._database.read() as unit:
            total = session_checks.count(unit)
        self._check_schema()
        self._check_file(total)
        self._check_links(total)
        before = index_facts(self._database)
        self._check_sessions(total)
        self._check_others(total)
        self._check_index(before)
        return VerifyReport(
            target=self._database.dialect.display,
            sessions=self._sessions,
            messages=self._messages,
            documents=self._documents,
            findings=self._findings,
            omitted=self._omitted,
            seconds=time.monotonic() - started,
        )

    def _add(self, kind: FindingKind, problem: str, advice: str, session_id: str | None = None) -> None:
        self._take([Finding(kind=kind, problem=problem, advice=advice, session_id=session_id)])

    def _take(self, findings: list[Finding]) -> None:
        free = _MOST - len(self._findings)
        self._findings += findings[:free]
        self._omitted += max(len(findings) - free, 0)

    def _report_progress(self, step: Any, done: int, total: int) -> None:
        found = len(self._findings) + self._omitted
        self._on_progress(VerifyProgress(step=step, done=done, total=total, findings=found))

    def _check_schema(self) -> None:
        with self._database.translated():
            facts = schema_repair.facts(self._database.dialect)
        if facts is None:
            return
        for problem in facts.problems:
            self._add(FindingKind.SCHEMA, f"{problem} is not as this library made it", ADVICE[FindingKind.SCHEMA])
        for problem in facts.lost:
            self._add(FindingKind.SCHEMA, problem, SALVAGE)

    def _check_others(self, total: int) -> None:
        steps = {"projects": of_projects, "changes": of_changes, "imports": of_imports}
        for step, check in steps.items():
            self._report_progress(step, 0, total)
            for part in check(self._database):
                self._take(part)
                self._report_progress(step, 0, total)

    def _check_file(self, total: int) -> None:
        for problem in file_problems(self._database, lambda: self._report_progress("file", 0, total)):
            of_index = "index" in problem
            self._add(FindingKind.FILE, problem, INDEX if of_index else SALVAGE)

    def _check_links(self, total: int) -> None:
        try:
            with self._database.read() as unit:
                links = unit.dialect.broken_links(unit, lambda: self._report_progress("links", 0, total), _MOST)
                of_sessions = {link.row_id for link in links if link.table == "sessions"}
                names = session_checks.public_ids(unit, of_sessions)
        except DatabaseCorruptError as error:
            self._add(FindingKind.FILE, f"the links cannot be checked: {reason_of(error)}", SALVAGE)
            return
        for table, row_id, parent in links:
            problem = f"row {row_id} of table {table} refers to a row of table {parent} that is not there"
            session_id = names.get(row_id) if table == "sessions" else None
            self._add(FindingKind.LINK, problem, ADVICE[FindingKind.LINK], session_id=session_id)

    def _check_sessions(self, total: int) -> None:
        after = -(2**62)
        while True:
            with self._database.read() as unit:
                row_ids = session_checks.rows_after(unit, after, _ROWS)
            for row_id in row_ids:
                self._check_session(row_id)
                self._report_progress("sessions", self._sessions, max(total, self._sessions))
            if not row_ids:
                return
            after = row_ids[-1]

    def _check_index(self, before: IndexFacts | str) -> None:
        if not self._findings:  # if something else is wrong, the numbers say nothing
            problem = index_problem(before, index_facts(self._database), self._indexed)
            if problem:
                self._add(FindingKind.SEARCH, problem, ADVICE[FindingKind.SEARCH])

    def _check_session(self, row_id: int) -> None:
        checked = check_session(self._database, row_id)
        if checked is None:  # it was purged meanwhile
            return
        self._sessions += 1
        self._messages += checked.messages
        self._documents += checked.documents
        self._indexed[0] += checked.indexed
        self._indexed[1] += checked.indexed_titles
        self._take(findings_of(checked))


def file_problems(database: Database, on_step: Callable[[], None]) -> list[str]:
    """Return what the database's own check of its file finds, or why that check ended."""
    try:
        with database.read() as unit:
            return unit.dialect.file_problems(unit, on_step)
    except DatabaseCorruptError as error:
        return [f"the file cannot be checked to its end: {reason_of(error)}"]


def index_facts(database: Database) -> IndexFacts | str:
    """Return what is known of the index of words, or why it cannot be read."""
    try:
        with database.read() as unit:
            return IndexFacts(search_state.read(unit), session_checks.marks(unit), search_rows.counts(unit))
    except DatabaseCorruptError as error:
        return reason_of(error)


def index_problem(before: IndexFacts | str, now: IndexFacts | str, wanted: Sequence[int]) -> str:
    """Return what is wrong with the index of words as a whole; nothing where that is not known.

    Args:
        before, now: what was known before all sessions were looked at, and after.
        wanted: how many messages and titles it has to have.
    """
    if isinstance(now, str):
        return f"the index of words cannot be read: {now}"
    if now != before or now.marks[-1] or now.counts == tuple(wanted):  # somebody wrote, or imports; or all is well
        return ""
    return f"the index of words has {now.counts} messages and titles, and has to have {tuple(wanted)}"


def check_session(database: Database, row_id: int) -> CheckedSession | None:
    """Check a session, also one that cannot be read; return None if it is not there any more."""
    try:
        with database.read() as unit:
            return session_checks.check(unit, row_id)
    except DatabaseCorruptError as error:
        problem = f"it cannot be read: {reason_of(error)}"
    try:
        with database.read() as unit:
            session_id = session_checks.public_ids(unit, [row_id]).get(row_id)
    except DatabaseCorruptError:
        session_id = None
    finding = session_checks.SessionFinding(FindingKind.UNREADABLE, problem)
    return CheckedSession(session_id or f"(row {row_id})", 0, 0, [finding])


def findings_of(checked: CheckedSession) -> list[Finding]:
    """Return what was found in a session, with what to do."""
    return [
        Finding(
            kind=FindingKind(finding.kind),
            session_id=checked.session_id,
            position=finding.position,
            key=finding.key,
            problem=finding.problem,
            advice=ADVICE[FindingKind(finding.kind)],
        )
        for finding in checked.findings
    ]
