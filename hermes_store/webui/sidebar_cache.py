"""The stored rows of the sidebar's last list: the next one reads those that changed.

Which rows were written to since, is asked each time.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..errors import DatabaseCorruptError
from ..storage import change_rows, document_reading, sidebar_rows
from ..storage.engine import Database
from ..storage.row_types import log_once
from ..storage.sidebar_rows import ChangedRow, Version
from ..storage.types import escaped
from ..storage.unit_of_work import UnitOfWork

#: The rows of more sessions are not kept: each takes about 1 KB.
_MOST: Final = 50_000
#: With more rows at the end that are not in order, all are sorted.
_UNSORTED: Final = 500
order: Final = operator.itemgetter("pinned", "updated_at", "session_id")


@dataclass(frozen=True)
class StoredRows:
    """Sessions as the store's columns have them.

    Nobody changes it, so threads may share it.
    """

    rows: dict[Version, dict[str, Any]] = field(default_factory=dict)
    #: Those with a lone surrogate or a NUL in a text, or with a JSON value.
    unusual: frozenset[Version] = frozenset()
    #: Those that have a draft.
    drafts: frozenset[Version] = frozenset()
    #: By key, the originals of values that do not fit their columns.
    originals: dict[Version, dict[str, Any]] = field(default_factory=dict)
    #: How many at the end are not in the order of the list. Few are sorted in quickly.
    unsorted: int = 0


@dataclass(frozen=True)
class _Known:
    """Which sessions there are. Nobody changes it, as `StoredRows`."""

    #: The database's key of cursors, and the number of a change: those up to it are known.
    key: bytes = b""
    number: int = -1
    #: By row id: the sessions that are shown, and blank ones, which may be.
    shown: dict[int, Version] = field(default_factory=dict)
    blank: dict[int, ChangedRow] = field(default_factory=dict)


def _known_now(unit: UnitOfWork, former: _Known, stored: StoredRows) -> _Known:
    """Return which sessions there are, by what was written to since they were asked for last.

    Args:
        former, stored: those of the last list.
    """
    key, number = change_rows.state(unit).cursor_key, unit.dialect.last_change(unit)
    if former.key != key or former.number > number or former.number < (change_rows.last_removed(unit, None) or -1):
        former = _Known()  # another copy of the database, or it was long ago
    gone = change_rows.gone_rows(unit, former.number)
    changed = sidebar_rows.changed(unit, former.number)
    if not gone and not changed:
        return former if former.number == number else replace(former, key=key, number=number)
    shown, blank = former.shown.copy(), former.blank.copy()
    for row_id in (*gone, *(row.version[0] for row in changed)):
        shown.pop(row_id, None)
        blank.pop(row_id, None)
    # An import may have let a session have another row, and have removed the row that it had.
    moved = {row.session_id for row in changed if row.is_live and row.version[0] not in former.shown}
    if moved:
        for row_id, version in former.shown.items():
            if version in stored.rows and stored.rows[version]["session_id"] in moved:
                shown.pop(row_id, None)
        for row_id, known in former.blank.items():
            if known.session_id in moved:
                blank.pop(row_id, None)
    for row in changed:
        if row.is_live and row.has_something:
            shown[row.version[0]] = row.version
        elif row.is_live:
            blank[row.version[0]] = row
    return _Known(key, number, shown, blank)


def _is_after(updated_at: object, since: float) -> bool:
    return isinstance(updated_at, int | float) and updated_at > since  # a damaged row may have anything


class SidebarCache:
    """The rows of one database's sidebar, as the last list had them."""

    def __init__(self) -> None:
        self._kept: tuple[weakref.ref[Database], _Known, StoredRows] | None = None

    def read(
        self, unit: UnitOfWork, database: Database, *, since: float, streams: Collection[str], ids: Collection[str]
    ) -> StoredRows:
        """Return the sessions to show.

        Args:
            database: the one that `unit` is of.
            since: untitled sessions without messages and drafts are left out if their last change was before this time
                (epoch seconds), except those of `streams` and `ids`.
            streams: the ids of the streams that are running.
            ids: public ids of sessions to include.
        """
        kept = self._kept
        before, former = kept[1:] if kept is not None and kept[0]() is database else (_Known(), StoredRows())
        known = _known_now(unit, before, former)
        running = {escaped(stream) for stream in streams}
        wanted = [
            row.version
            for row in known.blank.values()
            if _is_after(row.version[2], since) or row.active_stream_id in running or row.session_id in ids
        ]
        if known.shown is before.shown and not wanted and len(former.rows) == len(known.shown):
            stored = former  # none of them is blank, as those that are shown are among them all
        else:
            versions = [*known.shown.values(), *wanted]
            new = [version for version in versions if version not in former.rows]
            is_same = not new and len(versions) == len(former.rows)
            stored = former if is_same else _next(former, versions, _read(unit, new) if new else StoredRows())
        if len(stored.rows) > _MOST:
            known, kept_rows = _Known(), StoredRows()
        else:
            kept_rows = stored
        self._kept = (weakref.ref(database), known, kept_rows)
        return stored


def _next(former: StoredRows, versions: Iterable[Version], new: StoredRows) -> StoredRows:
    """Return some versions, of which those that are not among the former ones are new."""
    gone = former.rows.keys() - set(versions)
    rows = former.rows.copy()
    for version in gone:
        del rows[version]
    rows |= new.rows
    unsorted = former.unsorted + len(new.rows)
    if unsorted > _UNSORTED:
        rows, unsorted = dict(sorted(rows.items(), key=lambda item: order(item[1]), reverse=True)), 0
    originals = {version: values for version, values in former.originals.items() if version not in gone}
    return StoredRows(
        rows,
        (former.unusual - gone) | new.unusual,
        (former.drafts - gone) | new.drafts,
        originals | new.originals,
        unsorted,
    )


def _read(unit: UnitOfWork, versions: Iterable[Version]) -> StoredRows:
    by_id = {version[0]: version for version in versions}
    found = sidebar_rows.read(unit, by_id)
    for row in found.all.values():
        row["is_streaming"] = False
    originals: dict[Version, dict[str, Any]] = {}
    for row_id, session_id, key, payload in sidebar_rows.read_originals(unit, by_id):
        if row_id in by_id:
            try:
                value = document_reading.decode(session_id, key, payload)
            except DatabaseCorruptError as error:  # the column's value is shown: one damaged row breaks no list
                log_once("%s", error)
            else:
                originals.setdefault(by_id[row_id], {})[key] = value
    return StoredRows(
        {version: found.all[row_id] for row_id, version in by_id.items() if row_id in found.all},
        frozenset(by_id[row_id] for row_id in found.unusual & by_id.keys()),
        frozenset(by_id[row_id] for row_id in found.drafts & by_id.keys()),
        originals,
    )
