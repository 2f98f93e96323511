"""Making the index of words anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..arguments import check_callable, check_instance
from ..storage import search_filling
from ..store import Store
from .reports import ReindexProgress, ReindexReport

OnReindexProgress = Callable[[ReindexProgress], None]


def reindex(store: Store, *, on_progress: OnReindexProgress | None = None) -> ReindexReport:
    """Make the index of words anew, or for the first time in a store that has none, while others read and write.

    It works in short transactions. Searches find everything meanwhile: they read the messages that are not in the index
    yet. If it is interrupted, the next `Store.open` that may write goes on.

    Args:
        store: an open store.
        on_progress: called again and again.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseReadOnlyError: the store is read-only.
    """
    check_instance("store", store, Store)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    started = time.monotonic()
    report = on_progress or (lambda _: None)
    messages = search_filling.rebuild(
        store.database, lambda done, total: report(ReindexProgress(done=done, total=total))
    )
    return ReindexReport(target=store.database.dialect.display, messages=messages, seconds=time.monotonic() - started)
