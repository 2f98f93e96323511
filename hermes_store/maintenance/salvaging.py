"""Reading what is left of a damaged database file into a new one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..arguments import check_callable
from ..errors import BackupError, DatabaseMissingError
from ..paths import path_of
from ..storage import salvaging, session_repairs
from ..storage.dialects.file_systems import sync
from ..storage.dialects.sqlite_salvage import SalvagedSession, SalvageFacts
from ..store import Store
from .backups import part_of, rename_part, writing
from .repairing import repair
from .reports import SalvagedItem, SalvageProgress, SalvageReport, SalvageState

OnSalvageProgress = Callable[[SalvageProgress], None]


def salvage(
    damaged: str | os.PathLike[str],
    new: str | os.PathLike[str],
    *,
    on_progress: OnSalvageProgress | None = None,
) -> SalvageReport:
    """Read whatever can be read of a damaged SQLite file into a new database, and leave the file as it is.

    The pages of the file and of its log are read one by one, also those that SQLite cannot find or refuses to read.
    Free pages are not: what was purged does not come back. A message or a large document is only taken in if it has the
    digest that it was written with. A session of which something is missing is marked as recovered, and the messages
    that are left of it get positions without gaps. What is kept of former messages is taken in where it is certain to
    bring back what there was. Messages of a session whose row is damaged are kept in one whose
    title begins with "Salvaged messages of".

    The new database has the newest schema, whatever revision the damaged one had, and gets its name when it is whole.

    Args:
        damaged: the file. Other programs may use it meanwhile; this process may not have it open.
        new: the file to make.
        on_progress: called again and again.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseMissingError: there is no such file.
        UnsupportedDatabaseError: nothing of this library is in it.
        SchemaNewerError: a newer version of this library wrote it.
        DatabaseLockedError: this process has the file open.
        BackupError: the new file exists, or cannot be written.
        DatabaseFullError: there is no space for it.
    """
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    source, target = _checked_paths(damaged, new)
    started = time.monotonic()
    report = on_progress or (lambda _: None)
    part = target.with_name(f"{target.name}.part")

    def on_done(step: Any) -> Callable[[int, int], None]:
        return lambda done, total: report(SalvageProgress(step=step, done=done, total=total))

    def on_step() -> None:
        report(SalvageProgress(step="order", done=0, total=0))

    with writing(target), part_of(part):
        revision, facts = salvaging.salvage_file(source, part, on_done("read"), on_step, on_done("index"))
        repair(part, on_progress=lambda now: report(SalvageProgress(step="check", done=now.done, total=now.total)))
        with Store.open(part, migrate=False, durability="normal", journal_mode="wal") as store:
            damaged_rows = [session.row_id for session in facts.sessions if not session.is_whole]
            with store.database.write() as unit:
                session_repairs.mark_recovered(unit, damaged_rows)
            projects = store.stats().projects
        sync(part)
        size = part.stat().st_size
        rename_part(part, target)
    items = _items(facts)
    return SalvageReport(
        source=str(source),
        target=str(target),
        schema_revision=revision,
        sessions=items,
        messages=sum(item.messages for item in items),
        projects=projects,
        damaged=facts.damaged,
        size_bytes=size,
        seconds=time.monotonic() - started,
    )


def _checked_paths(damaged: str | os.PathLike[str], new: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the paths of the damaged file and of the new one; raises as `salvage`."""
    source, target = (
        Path(os.path.abspath(path_of(one, "database")))  # noqa: PTH100 - resolve() would follow links
        for one in (damaged, new)
    )
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists() fails where it may not look
        raise DatabaseMissingError(f"There is no file {source}. Nothing was written.")
    if os.path.lexists(target):
        raise BackupError(f"{target} exists already, and was left as it is. Name a new file.")
    if not os.path.isdir(target.parent):  # noqa: PTH112 - Path.is_dir() fails where it may not look
        raise BackupError(f"{target} cannot be written: {target.parent} is no folder. Nothing was read or written.")
    return source, target


_ORDER: Final = (SalvageState.LOST, SalvageState.MESSAGES, SalvageState.PARTLY, SalvageState.WHOLE)
_FORMER: Final = "former messages, which are kept for an undo, are missing"


def _items(facts: SalvageFacts) -> list[SalvagedItem]:
    """Return the report on each session, those of which something is missing first."""
    lost = (
        SalvagedItem(session_id=session_id, state=SalvageState.LOST, messages=0, missing=[], problems=[])
        for session_id in facts.lost
    )
    return sorted((*map(_item, facts.sessions), *lost), key=lambda item: (_ORDER.index(item.state), item.session_id))


def _item(session: SalvagedSession) -> SalvagedItem:
    if not session.has_row:
        state = SalvageState.MESSAGES
    elif session.lacks_cuts or not session.is_whole:
        state = SalvageState.PARTLY
    else:
        state = SalvageState.WHOLE
    return SalvagedItem(
        session_id=session.session_id or "",
        state=state,
        messages=session.messages,
        missing=session.missing,
        problems=[*session.problems, *([_FORMER] if session.lacks_cuts else [])],
    )
