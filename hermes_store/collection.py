"""What the collections of a store share: their transactions, the limit to one profile, and the check of revisions."""

from __future__ import annotations

import enum
from typing import Final

from .errors import InvalidInputError, StaleSessionError
from .quoting import quoted
from .storage import session_keys
from .storage.engine import Transactions
from .storage.row_locks import RowLock
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .validation import check_profile, check_revision


class Unchecked(enum.Enum):
    """The type of `UNCHECKED`."""

    UNCHECKED = "unchecked"


#: The default of an optional ``expected_revision``. (None is refused, as it would switch the check off.)
UNCHECKED: Final = Unchecked.UNCHECKED


class Collection:
    """A group of verbs.

    Args:
        transactions: where the verbs get their units of work.
        scope: the profile whose rows they see; all when None.
    """

    def __init__(self, transactions: Transactions, scope: str | None = None) -> None:
        self._transactions = transactions
        self._scope = scope

    def _own_profile(self, profile: str | None) -> str | None:
        """Return the profile to work in.

        Raises:
            InvalidInputError: this is the view of another profile.
        """
        if profile is not None:
            profile = check_profile(profile)
        if self._scope is not None and profile not in (None, self._scope):
            raise InvalidInputError(
                f"This is the view of profile {self._scope!r}; it cannot reach into {quoted(profile)}. Use the "
                "store itself."
            )
        return self._scope if self._scope is not None else profile

    def _find(self, unit: UnitOfWork, session_id: str) -> SessionKey:
        """Return a session that is not deleted, for reading."""
        return session_keys.find_live(unit, session_id, self._scope)

    def _lock(self, unit: UnitOfWork, session_id: str, lock: RowLock = RowLock.CHANGE) -> SessionKey:
        """Return a session that is not deleted, whose row nobody else changes before this transaction ends."""
        return session_keys.find_live(unit, session_id, self._scope, lock=lock)


def require_current(key: SessionKey, expected: int, changed_at: int, what: str) -> None:
    """Make sure that nothing changed since the caller read it.

    Args:
        key: the session as it is now.
        expected: the session's revision that the caller read.
        changed_at: the revision of the last change of `what`.

    Raises:
        StaleSessionError: it changed after that, or the session never was at that revision (a backup was restored).
        InvalidInputError: `expected` is no revision.
    """
    if not changed_at <= check_revision(expected) <= key.revision:
        raise StaleSessionError(key.session_id, expected, key.revision, f"{what} changed at {changed_at}")
