"""Moving a database to another place or kind of database."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..arguments import check_callable
from ..storage import copying
from ..storage.dialects import Target
from ..store import Store
from .reports import CopyProgress, CopyReport

OnCopyProgress = Callable[[CopyProgress], None]


def copy(source: Target, target: Target, *, on_progress: OnCopyProgress | None = None) -> CopyReport:
    """Copy a whole database to an empty one, from any kind of database to any.

    The source is only read, in one transaction: the copy has the state of one moment. What others write to it meanwhile
    is not in the copy. Everything goes with its row ids: messages, deleted sessions, ids that are not used any more,
    shares, the import log. The index of words is made anew.

    The target is no store before it is whole: `Store.open` raises `CopyUnfinishedError`. When the copy is interrupted,
    the same call goes on, or begins anew if the source has changed. At the end, the digests of all rows are compared.

    Args:
        source: a path or a URL, as for `Store.open`.
        target: a new file, an empty database, or the target of a copy that was interrupted.
        on_progress: called after each part.

    Returns:
        How many rows of each table were copied. If the source has values that its columns cannot have, as after an edit
        by hand, they are copied as the library reads them, and named.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseMissingError: there is no source.
        SchemaOutdatedError: the source needs an upgrade.
        CopyError: the target is not empty, or is the source, or in memory; or something wrote to it meanwhile.
        DatabaseCorruptError: rows of the source refer to missing ones, or have no key.
        DatabaseUnavailableError, DatabaseFullError, DatabaseReadOnlyError: one of them cannot be used. What was copied
            is kept.
    """
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    report = on_progress or (lambda _: None)
    started = time.monotonic()
    with Store.open(source, read_only=True) as store:
        facts = copying.copy(
            store.database, target, lambda step, done, total: report(CopyProgress(step=step, done=done, total=total))
        )
        display = store.database.dialect.display
    with Store.open(target) as copied:
        stats = copied.stats()
        return CopyReport(
            source=display,
            target=copied.database.dialect.display,
            sessions=stats.sessions,
            deleted=stats.deleted,
            messages=stats.messages,
            projects=stats.projects,
            rows=facts.rows,
            resumed=facts.resumed,
            replaced=facts.replaced,
            seconds=time.monotonic() - started,
        )
