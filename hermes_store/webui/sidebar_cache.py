"""The stored rows of the sidebar's last list: the next one reads those that changed.

Which rows there are, and in which version, is asked each time.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import DatabaseCorruptError
from ..storage import document_rows, sidebar_rows
from ..storage.engine import Database
from ..storage.row_types import log_once
from ..storage.sidebar_rows import Version
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


class SidebarCache:
    """The rows of one database's sidebar, as the last list had them."""

    def __init__(self) -> None:
        self._kept: tuple[weakref.ref[Database], StoredRows] | None = None

    def read(
        self, unit: UnitOfWork, database: Database, *, since: float, streams: Collection[str], ids: Collection[str]
    ) -> StoredRows:
        """Return the sessions to show.

        Args:
            database: the one that `unit` is of.
            since, streams, ids: as in `sidebar_rows.versions`.
        """
        versions = sidebar_rows.versions(unit, since=since, streams=streams, ids=ids)
        kept = self._kept
        former = kept[1] if kept is not None and kept[0]() is database else StoredRows()
        new = [version for version in versions if version not in former.rows]
        if not new and len(versions) == len(former.rows):
            return former
        stored = _next(former, versions, _read(unit, new) if new else StoredRows())
        self._kept = (weakref.ref(database), stored if len(versions) <= _MOST else StoredRows())
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
                value = document_rows.decode(session_id, key, payload)
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
