"""The root of the errors, and those that belong to no family."""

from __future__ import annotations

from typing import Any


class HermesStoreError(Exception):
    """The root: catch it to catch everything this library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Make errors travel between processes: rebuilt as they are, without calling their constructors again."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[HermesStoreError], args: tuple[Any, ...], attributes: dict[str, Any]) -> HermesStoreError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class TransactionError(HermesStoreError):
    """A transaction is used where it cannot be: nested, after its end, in another thread or process."""


class StoreClosedError(HermesStoreError):
    """The store was closed (or, held in memory, did not survive a fork)."""


class FilesError(HermesStoreError):
    """A directory cannot be imported from or exported to. Nothing in it was changed."""


class BackupError(HermesStoreError):
    """A backup cannot be written, or cannot be restored. The database is as it was."""


class CopyError(HermesStoreError):
    """A database cannot be copied to this target, or the copy is not equal to it."""
