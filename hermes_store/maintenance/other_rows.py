"""The checks of what is of no session: the projects, the numbers of changes, and the import log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..errors import DatabaseCorruptError
from ..storage import change_checks, import_checks, project_checks
from ..storage.engine import Database
from .advice import ADVICE, SALVAGE, reason_of
from .reports import Finding, FindingKind

#: Before all row ids.
_FIRST: Final = -(2**62)


def of_projects(database: Database) -> Iterator[list[Finding]]:
    """Yield what is wrong in each part of the projects."""
    after: int | None = _FIRST
    while after is not None:
        try:
            with database.read() as unit:
                after, found = project_checks.projects_after(unit, after)
        except DatabaseCorruptError as error:
            yield [_unreadable(FindingKind.PROJECT, f"the projects cannot be read: {reason_of(error)}")]
            return
        yield [_finding(FindingKind.PROJECT, problem, key=project_id) for project_id, problem in found]


def of_changes(database: Database) -> Iterator[list[Finding]]:
    """Yield what is wrong in each part of the numbers of changes, and of the ids that are gone."""
    try:
        with database.read() as unit:
            for part in change_checks.findings(unit):
                yield [change_finding(one) for one in part]
    except DatabaseCorruptError as error:
        yield [_unreadable(FindingKind.CHANGES, f"the numbers of changes cannot be read: {reason_of(error)}")]


def change_finding(found: change_checks.ChangeFinding) -> Finding:
    """Return what was found in a row of `changes`, with what to do."""
    return _finding(FindingKind.CHANGES, found.problem, session_id=found.session_id, key=found.project_id)


def of_imports(database: Database) -> Iterator[list[Finding]]:
    """Yield what is wrong in each part of the import log."""
    after: int | None = _FIRST
    while after is not None:
        try:
            with database.read() as unit:
                after, found = import_checks.entries_after(unit, after)
        except DatabaseCorruptError as error:
            yield [_unreadable(FindingKind.IMPORT, f"the import log cannot be read: {reason_of(error)}")]
            return
        yield [_finding(FindingKind.IMPORT, problem, session_id=session_id) for session_id, problem in found]


def _finding(kind: FindingKind, problem: str, *, session_id: str | None = None, key: str | None = None) -> Finding:
    return Finding(kind=kind, problem=problem, advice=ADVICE[kind], session_id=session_id, key=key)


def _unreadable(kind: FindingKind, problem: str) -> Finding:
    return Finding(kind=kind, problem=problem, advice=SALVAGE)
