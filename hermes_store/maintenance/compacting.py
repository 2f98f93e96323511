"""Writing a database anew, without free space."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..arguments import check_callable, check_instance
from ..errors import UnsupportedDatabaseError
from ..store import Store
from .reports import CompactReport


def compact(store: Store, *, on_progress: Callable[[], None] | None = None) -> CompactReport:
    """Write a database file anew, give back the space that is free in it, and leave no removed text.

    Others can read meanwhile, and writers wait. It takes as much free disk space as the data, twice: for a temporary
    file (in ``SQLITE_TMPDIR``, else in ``TMPDIR``, ``/var/tmp`` or ``/tmp``), and for the log next to the database.

    Args:
        store: an open store.
        on_progress: called again and again. (How far it is, is not known.) An exception that it raises ends it, and the
            database is as it was.

    Raises:
        InvalidInputError: an argument is not valid.
        UnsupportedDatabaseError: it is on a server, whose own programs do this; it names them.
        DatabaseFullError: there is too little space; nothing was changed.
        DatabaseLockedError: others were using it for longer than the busy timeout; it names their processes where the
            system tells. Nothing was changed.
        DatabaseReadOnlyError: the store is read-only.
        DatabaseUnavailableError: there is no folder for temporary files.
    """
    check_instance("store", store, Store)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    dialect = store.database.dialect
    if dialect.compact_programs:
        raise UnsupportedDatabaseError(
            f"{dialect.display} is no file, and was not compacted. {dialect.compact_programs}"
        )
    started = time.monotonic()
    with store.database.write() as unit:
        facts = unit.dialect.compact(unit, on_progress or (lambda: None))
    return CompactReport(
        target=dialect.display,
        size_before=facts.size_before,
        size_after=facts.size_after,
        erased=facts.is_erased,
        seconds=time.monotonic() - started,
    )
