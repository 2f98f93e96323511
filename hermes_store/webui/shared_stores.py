"""One open store of this process for each database, and the store that an object works on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..arguments import check_instance
from ..errors import DatabaseLockedError
from ..paths import path_of
from ..quoting import text_of
from ..storage.fork_gate import renew_after_fork
from ..storage.held_lock import HeldLock
from ..store import Store

#: The open stores by place.
_stores: Final[dict[str, Store]] = {}
_opening = HeldLock()
renew_after_fork(sys.modules[__name__], "_opening", HeldLock)
#: The most seconds to wait while another thread opens a store, which may upgrade a large database.
_PATIENCE: Final = 60.0


def shared_store(target: str | os.PathLike[str], **options: Any) -> Store:
    """Return the one open store of this process for a database, opening it on the first call.

    For callers that name their database at each call, and may be loaded twice (`importlib.reload`).

    Args:
        target, **options: as `Store.open` takes them.

    Raises:
        DatabaseLockedError: another thread has been opening a store for more than a minute.
        HermesStoreError: as `Store.open`.
    """
    if type(target) is str or isinstance(target, Path):  # most calls name one that is open by its whole path
        store = _stores.get(str(target))
        if store is not None and not store.closed:
            return store
    url = text_of(target)
    place = url if url is not None and "://" in url else str(path_of(target, "database").absolute())
    store = _stores.get(place)
    if store is not None and not store.closed:
        return store
    with _opening.hold(_PATIENCE) as is_held:
        if not is_held:
            raise DatabaseLockedError(
                f"Another thread of this process has been opening a store for more than {_PATIENCE:g} s. "
                "Nothing was opened; try again."
            )
        store = _stores.get(place)
        if store is None or store.closed:
            _stores[place] = store = Store.open(place, **options)
        return store


def present_store(store: Store | Callable[[], Store]) -> Callable[[], Store]:
    """Return a function that returns the store to use now.

    Args:
        store: a store, or a callable that is called each time, so that the store may change.

    Raises:
        InvalidInputError: it is neither; the returned function raises it if the callable returns no store.
    """
    if not callable(store):
        check_instance("store", store, Store)
        return lambda: store

    def present() -> Store:
        found = store()
        check_instance("The store", found, Store)
        return found

    return present
