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
order: Final = operator.itemgetter("pinned", "updated_at", "session_id")


@dataclass(frozen=True)
class StoredRows:
    """Sessions as the store's columns have them, in the order of the list but for unusual values.

    Nobody changes it, so threads may share it.
    """

    rows: dict[Version, dict[str, Any]] = field(default_factory=dict)
    #: Those with a lone surrogate or a NUL in a text, or with a JSON value.
    unusual: frozenset[Version] = frozenset()
    #: Those that have a draft.
    drafts: frozenset[Version] = frozenset()
    #: By key, the originals of values that do not fit their columns.
    originals: dict[Version, dict[str, Any]] = field(default_factory=dict)


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
        present = _of(former, set(versions))
        stored = _joined(present, _read(unit, new)) if new else present
        self._kept = (weakref.ref(database), stored if len(versions) <= _MOST else StoredRows())
        return stored


def _of(former: StoredRows, versions: set[Version]) -> StoredRows:
    """Return what there is of some versions."""
    return StoredRows(
        {version: row for version, row in former.rows.items() if version in versions},
        former.unusual & versions,
        former.drafts & versions,
        {version: values for version, values in former.originals.items() if version in versions},
    )


def _joined(former: StoredRows, new: StoredRows) -> StoredRows:
    rows = sorted({**former.rows, **new.rows}.items(), key=lambda item: order(item[1]), reverse=True)
    return StoredRows(
        dict(rows), former.unusual | new.unusual, former.drafts | new.drafts, {**former.originals, **new.originals}
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
