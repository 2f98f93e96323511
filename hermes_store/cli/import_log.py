"""``hermes-store import --report``: what became of each file that imports saw."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import paths
from . import report as reports
from .exits import CommandError, ExitCode
from .opening import open_existing
from .output import make_console, print_json, say
from .text import moment

if TYPE_CHECKING:
    from rich.console import Console

    from ..reports import ImportItem, ImportRecord


def print_import_log(path: Path | None, db: str, *, as_json: bool, verbose: bool) -> None:
    """Print the import log.

    Args:
        path: a state directory, or a Hermes home; all when None.
        db: the database.
        as_json: print the records as a JSON array.
        verbose: show all notes.
    """
    with open_existing(db) as store:
        records = store.imports.records()
        target = store.info().target
    if path is not None:
        place = os.path.realpath(paths.path_of(path, "directory"))
        records = [record for record in records if record.origin in (place, os.path.join(place, "webui"))]  # noqa: PTH118
        if not records:
            raise CommandError(f"Nothing was imported from {path}.", ExitCode.NOT_FOUND)
    if as_json:
        print_json([record.model_dump() for record in records])
        return
    console = make_console()
    if not records:
        say(console, "Nothing was imported from files.")
    for number, (origin, found) in enumerate(itertools.groupby(records, key=lambda record: record.origin)):
        if number:
            console.print()
        _print_directory(console, origin, list(found), target, verbose=verbose)


def _print_directory(console: Console, origin: str, records: list[ImportRecord], target: str, *, verbose: bool) -> None:
    from ..reports import ImportReport

    last = max(record.imported_at for record in records)
    say(console, f"The last change was on {moment(last)}.", "dim")
    report = ImportReport(source=origin, dry_run=False, items=list(_items(records)), seconds=0.0)
    reports.print_import(console, report, target, advise=True, verbose=verbose)


def _items(records: list[ImportRecord]) -> Iterator[ImportItem]:
    from ..reports import ImportItem

    for record in records:
        yield ImportItem(
            kind=record.kind,
            path=record.path,
            outcome=record.outcome,
            id=record.session_id,
            reason=record.reason,
            notes=record.notes,
        )
