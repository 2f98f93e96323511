"""`doctor`: what is wrong with a database or around it, and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..arguments import check_callable
from ..errors import (
    DatabaseError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    SchemaOutdatedError,
    UnsupportedDatabaseError,
)
from ..paths import path_of
from ..quoting import count as counted
from ..records import SessionRecord
from ..storage import migrations, schema_version
from ..storage.dialects import Target
from ..storage.row_types import damage_collected
from ..store import Store
from .diagnosis import Diagnosis, DoctorReport, Severity
from .file_diagnosis import diagnose_files
from .pending_imports import pending_imports

_DAY: Final = 86_400.0
#: Days after which the trash is old.
_OLD_TRASH: Final = 30
_SHOWN: Final = 5


def doctor(
    target: Target, *, home: str | os.PathLike[str] | None = None, on_progress: Callable[[], None] | None = None
) -> DoctorReport:
    """Look at a database, its files and its surroundings, and say of each what it means and what to do.

    Nothing is written, and others read and write meanwhile. A database that cannot be opened (it is missing, damaged,
    another program's, or of another version) is what the report says then. The file is checked by SQLite's quick check,
    which takes time that grows with its size; `verify` checks messages and documents as well.

    Args:
        target: the database, as for `Store.open`.
        home: hermes-webui's state directory, or a Hermes home that has one: whether its files were all imported. When
            None, the folder of the database, if it is one.
        on_progress: called again and again. An exception that it raises ends it.

    Raises:
        InvalidInputError: an argument is not valid.
        UnsupportedDatabaseError: the target is a URL of something else than SQLite or PostgreSQL.
    """
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    step = on_progress or (lambda: None)
    folder = None if home is None else path_of(home, "home")
    started = time.monotonic()
    dialect = migrations.dialect_of(target)
    items: list[Diagnosis] = []
    try:
        with Store.open(target, read_only=True) as store:
            for item in _of_store(store, folder, step):
                items.append(item)
    except DatabaseError as error:
        items.append(_unusable(error))
        if isinstance(error, _NOT_OURS):
            return DoctorReport(target=dialect.display, items=items, seconds=time.monotonic() - started)
    if dialect.path is not None:
        items += diagnose_files(dialect.path)
    return DoctorReport(target=dialect.display, items=items, seconds=time.monotonic() - started)


#: With these errors there is no file, or one whose modes and backups are no matter of this library's.
_NOT_OURS: Final = (DatabaseMissingError, DatabaseUnavailableError, UnsupportedDatabaseError)


def _unusable(error: DatabaseError) -> Diagnosis:
    if isinstance(error, SchemaOutdatedError) and error.found is not None:
        advice = "`hermes-store upgrade` copies and upgrades it; so does the first program that opens it for writing."
        return Diagnosis(check="schema", severity=Severity.WARNING, text=str(error), advice=advice)
    advice = "`hermes-store import` makes one." if isinstance(error, DatabaseMissingError) else ""
    return Diagnosis(check="database", severity=Severity.PROBLEM, text=str(error), advice=advice)


def _of_store(store: Store, home: Path | None, step: Callable[[], None]) -> Iterator[Diagnosis]:
    info = store.info()
    yield Diagnosis(check="schema", severity=Severity.OK, text=f"Its tables are at revision {info.schema_revision}.")
    step()
    with store.database.read() as unit:
        conditions = unit.dialect.conditions(unit, step)
        others = schema_version.other_tables(unit)
    for one in conditions:
        yield Diagnosis(check=one.check, severity=Severity(one.severity), text=one.text, advice=one.advice)
    yield _other_tables(others)
    yield from _sessions(store, step)
    directory = _state_directory(store.database.dialect.path, home)
    if directory is not None:
        yield from pending_imports(store, directory)
    elif home is not None:
        text = f"{home} has no sessions folder."
        yield Diagnosis(check="imports", severity=Severity.NOTE, text=text, advice="Name a state directory.")


def _other_tables(found: list[str]) -> Diagnosis:
    if not found:
        return Diagnosis(check="tables", severity=Severity.OK, text="It has no tables of other programs.")
    return Diagnosis(
        check="tables",
        severity=Severity.NOTE,
        text=f"Tables of other programs are in it: {_some(found)}.",
        advice="They are left alone, and a backup of the file has them, too. Give the store a database of its own.",
    )


def _sessions(store: Store, step: Callable[[], None]) -> Iterator[Diagnosis]:
    recovered: list[str] = []
    deleted: list[float] = []
    count = 0
    with damage_collected() as damaged:
        after: str | None = None
        while (page := store.projects.list(after=after)).next is not None:
            after = page.next
        for session in _all_sessions(store):
            count += 1
            if count % 500 == 0:
                step()
            if session.recovered:
                recovered.append(session.session_id)
            if session.deleted_at is not None:
                deleted.append(session.deleted_at)
    rows = f"{counted(count, 'session')} and the projects"
    if damaged:
        yield Diagnosis(
            check="rows",
            severity=Severity.PROBLEM,
            text=f"Damaged values in the rows of {rows}: {_some(sorted(set(damaged)))}.",
            advice="Somebody edited the database by hand, or it is damaged. They are shown as empty or 0. Set them "
            "again, or restore a backup; `hermes-store verify` says more.",
        )
    else:
        yield Diagnosis(check="rows", severity=Severity.OK, text=f"The rows of {rows} are whole.")
    if recovered:
        yield Diagnosis(
            check="recovered",
            severity=Severity.NOTE,
            text=f"{counted(len(recovered), 'session')} came in part, from damaged files: {_some(recovered)}.",
            advice="`hermes-store show ID` says what is missing. Import again if you find a whole file.",
        )
    yield _trash(deleted)


def _all_sessions(store: Store) -> Iterator[SessionRecord]:
    yield from store.sessions.iterate(include_empty=True)
    after: str | None = None
    while True:
        page = store.sessions.list_deleted(limit=1000, after=after)
        yield from page.items
        after = page.next
        if after is None:
            return


def _trash(deleted: list[float]) -> Diagnosis:
    if not deleted:
        return Diagnosis(check="trash", severity=Severity.OK, text="There is no deleted session.")
    days = max(0.0, time.time() - min(deleted)) / _DAY
    first = counted(round(days), "day")
    text = f"{counted(len(deleted), 'deleted session')} can be restored. The first was deleted {first} ago."
    if days <= _OLD_TRASH:
        return Diagnosis(check="trash", severity=Severity.OK, text=text)
    advice = f"`hermes-store purge --deleted-before {_OLD_TRASH}d` removes for good what was deleted before that."
    return Diagnosis(check="trash", severity=Severity.NOTE, text=text, advice=advice)


def _state_directory(database: Path | None, home: Path | None) -> Path | None:
    """Return the state directory whose files are to be imported: below a home, or the folder of the database."""
    places = [home / "webui", home] if home is not None else [database.parent] if database is not None else []
    return next((place for place in places if os.path.isdir(place / "sessions")), None)  # noqa: PTH112


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
