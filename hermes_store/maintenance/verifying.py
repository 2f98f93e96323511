"""The check of a database: its file, the links between its rows, and each session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from ..errors import DatabaseCorruptError
from ..storage import session_checks
from ..storage.session_checks import CheckedSession
from ..store import Store
from ..validation import check_callable, check_instance
from .reports import Finding, FindingKind, VerifyProgress, VerifyReport

OnVerifyProgress = Callable[[VerifyProgress], None]

#: How many findings a report has at most.
_MOST: Final = 1_000
#: How many row ids of sessions are read at once.
_ROWS: Final = 1_000
_RESTORE: Final = "Restore a backup, or "
_ADVICE: Final = {
    FindingKind.UNREADABLE: "Keep the file as it is, and restore a backup; sqlite3's .recover reads what is left.",
    FindingKind.FIELDS: "Keep the file as it is, and restore a backup; sqlite3's .recover reads what is left.",
    FindingKind.MESSAGE_COUNT: f"{_RESTORE}write the whole transcript with messages.replace.",
    FindingKind.POSITIONS: f"{_RESTORE}write the whole transcript with messages.replace.",
    FindingKind.TIMES: "Only lists show it and sort by it. The next message with a timestamp sets it again.",
    FindingKind.MESSAGE: f"{_RESTORE}write it again with messages.update. messages.page reads the others.",
    FindingKind.DOCUMENT: f"{_RESTORE}write it again with documents.put. documents.read reads others by key.",
}


def verify(store: Store, *, on_progress: OnVerifyProgress | None = None) -> VerifyReport:
    """Check everything in a database, while others read and write.

    Of a SQLite file, this is SQLite's own check of the file and of the foreign keys. Of each session, deleted or not:
    its messages are as many as its row counts, and at all positions from 0; its times are those of its messages; each
    message and each large document has the digest that it was written with; the row of its small documents is JSON. A
    session's other fields have nothing to be compared with.

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


class _Verification:
    """One check."""

    def __init__(self, store: Store, on_progress: OnVerifyProgress) -> None:
        self._database = store.database
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._omitted = 0
        self._sessions = self._messages = self._documents = 0

    def run(self) -> VerifyReport:
        started = time.monotonic()
        with self._database.read() as unit:
            total = session_checks.count(unit)
        self._check_file(total)
        self._check_links(total)
        self._check_sessions(total)
        return VerifyReport(
            target=self._database.dialect.display,
            sessions=self._sessions,
            messages=self._messages,
            documents=self._documents,
            findings=self._findings,
            omitted=self._omitted,
            seconds=time.monotonic() - started,
        )

    def _add(self, kind: FindingKind, problem: str, advice: str, **place: Any) -> None:
        if len(self._findings) < _MOST:
            self._findings.append(Finding(kind=kind, problem=problem, advice=advice, **place))
        else:
            self._omitted += 1

    def _report_progress(self, step: Any, done: int, total: int) -> None:
        found = len(self._findings) + self._omitted
        self._on_progress(VerifyProgress(step=step, done=done, total=total, findings=found))

    def _check_file(self, total: int) -> None:
        try:
            with self._database.read() as unit:
                problems = unit.dialect.file_problems(unit, lambda: self._report_progress("file", 0, total))
        except DatabaseCorruptError as error:
            problems = [str(error)]
        for problem in problems:
            of_index = "index" in problem
            self._add(FindingKind.FILE, problem, _INDEX if of_index else _ADVICE[FindingKind.UNREADABLE])

    def _check_links(self, total: int) -> None:
        try:
            with self._database.read() as unit:
                links = unit.dialect.broken_links(unit, lambda: self._report_progress("links", 0, total), _MOST)
                of_sessions = {link.row_id for link in links if link.table == "sessions"}
                names = session_checks.public_ids(unit, of_sessions)
        except DatabaseCorruptError as error:
            self._add(FindingKind.LINK, f"the links cannot be checked: {error}", _ADVICE[FindingKind.UNREADABLE])
            return
        for table, row_id, parent in links:
            problem = f"row {row_id} of table {table} refers to a row of table {parent} that is not there"
            session_id = names.get(row_id) if table == "sessions" else None
            self._add(FindingKind.LINK, problem, _OF_SESSION if session_id else _OF_NONE, session_id=session_id)

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

    def _check_session(self, row_id: int) -> None:
        try:
            with self._database.read() as unit:
                checked = session_checks.check(unit, row_id)
        except DatabaseCorruptError as error:
            checked = self._unreadable(row_id, error)
        if checked is None:  # it was purged meanwhile
            return
        self._sessions += 1
        self._messages += checked.messages
        self._documents += checked.documents
        for finding in checked.findings:
            kind = FindingKind(finding.kind)
            place = {"session_id": checked.session_id, "position": finding.position, "key": finding.key}
            self._add(kind, finding.problem, _ADVICE[kind], **place)

    def _unreadable(self, row_id: int, error: DatabaseCorruptError) -> CheckedSession:
        try:
            with self._database.read() as unit:
                session_id = session_checks.public_ids(unit, [row_id]).get(row_id)
        except DatabaseCorruptError:
            session_id = None
        finding = session_checks.SessionFinding(FindingKind.UNREADABLE, f"it cannot be read: {error}")
        return CheckedSession(session_id or f"(row {row_id})", 0, 0, [finding])


_INDEX: Final = (
    "If all findings are about indexes, the rows themselves are whole: close every store, and run "
    "`sqlite3 hermes.db REINDEX`. Otherwise restore a backup."
)
_OF_SESSION: Final = "Restore a backup, or set the session's project_id or parent_id to None with sessions.update."
_OF_NONE: Final = (
    "No session has this row any more: a program without foreign keys removed what it belonged to. Restore a backup if "
    "a session is missing."
)
