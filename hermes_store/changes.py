"""Changes: the sessions and projects that were written since a cursor."""

from __future__ import annotations

from typing import Final

from .collection import Collection
from .errors import TransactionError
from .pagination import check_limit
from .records import ChangePage
from .storage import change_pages, change_rows
from .storage.unit_of_work import UnitOfWork

_DEFAULT: Final = 100


class Following(Collection):
    """The verb of a view that reads its changes."""

    def changes(self, *, after: str | None = None, limit: int = _DEFAULT) -> ChangePage:
        """Return the sessions and projects that were created, changed, deleted, restored or purged since a cursor.

        Each session or project is returned once, as it is now, in the order of their last writes. One that was purged
        or permanently deleted, has another id or is in another profile is returned as gone, for 30 days. No committed
        change is missed. On PostgreSQL, a change is returned once all transactions that began before it have ended.

        Args:
            after: `ChangePage.cursor` of the previous page; None for all sessions and projects.
            limit: the largest number of changes to return, 1 to 1000.

        Raises:
            CursorExpiredError: the cursor is too old, or newer than a backup that was restored.
            InvalidCursorError: it is a cursor of another database, or no cursor of changes.
            InvalidInputError: the limit is not valid.
            TransactionError: the call is inside a transaction, whose changes are not committed yet.
        """
        limit = check_limit(limit)
        with self._transactions.read() as unit:
            _require_committed(unit)
            key = change_rows.state(unit).cursor_key
            found = change_pages.read(unit, self._scope, change_pages.read_cursor(key, after), limit)
        cursor = change_pages.write_cursor(key, found.position)
        return ChangePage.from_trusted({"items": found.items, "cursor": cursor, "has_more": found.has_more})


def _require_committed(unit: UnitOfWork) -> None:
    if unit.writes:
        raise TransactionError(
            "Changes are not read inside a transaction, which may be rolled back. Nothing was read; use the store "
            "itself, or store.snapshot()."
        )
