"""The report on an import, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from ..outcomes import ItemKind, Outcome
from ..quoting import count
from .output import line, say

if TYPE_CHECKING:
    from ..reports import ImportItem, ImportReport

_WORDS: Final = {Outcome.CONFLICT: "in conflict"}
_STYLES: Final = {Outcome.RECOVERED: "yellow", Outcome.CONFLICT: "yellow", Outcome.FAILED: "bold red"}


def counted(counts: Mapping[Outcome, int]) -> str:
    """Return how many items have each outcome, as in "12 imported, 1 failed"."""
    return ", ".join(
        f"{counts[outcome]:,} {_WORDS.get(outcome, outcome.value)}" for outcome in Outcome if counts.get(outcome)
    )


def imported_so_far(done: int, noun: str) -> str:
    """Return the message about an import that was interrupted."""
    kept = f"What was imported so far, at least {count(done, noun)}, is in the database"
    return f"{kept}; the same command imports the rest."


def print_import(
    console: Console, report: ImportReport, target: str, *, advise: bool, verbose: bool, noun: str = "file"
) -> None:
    """Print what an import did: a line of counts, then each file that needs attention.

    Args:
        advise: explain how to keep the files' versions in a conflict.
        verbose: show all notes.
        noun: what to call the items that are not projects.
    """
    if report.dry_run:
        say(console, "A dry run: nothing was written. An import would do this:", "bold")
    projects = [item for item in report.items if item.kind is ItemKind.PROJECT]
    files = [item for item in report.items if item.kind is not ItemKind.PROJECT]
    took = f" in {report.seconds:.1f} s" if report.seconds else ""  # a report on former imports has no duration
    counts = [f"{count(len(files), noun)}{took}: {counted(_counts(files)) or 'nothing to do'}"]
    if projects:
        counts.append(f"{count(len(projects), 'project')}: {counted(_counts(projects))}")
    say(console, f"{'; '.join(counts)}.")
    say(console, f"From {report.source} into {target}.", "dim")
    _print_items(console, report, Outcome.RECOVERED, "Recovered as far as the damaged file could be read")
    _print_items(console, report, Outcome.CONFLICT, "In conflict")
    if advise and report.counts.get(Outcome.CONFLICT):
        say(console, "With --prefer files, the files' versions win, unless they are damaged.", "dim")
    _print_items(console, report, Outcome.FAILED, "Failed: nothing of this is in the store, and the file is as it was")
    _print_items(console, report, Outcome.SKIPPED, "Skipped")
    _print_notes(console, report.items, verbose=verbose)


def _counts(items: Iterable[ImportItem]) -> dict[Outcome, int]:
    counts: dict[Outcome, int] = {}
    for item in items:
        counts[item.outcome] = counts.get(item.outcome, 0) + 1
    return counts


def _print_items(console: Console, report: ImportReport, outcome: Outcome, heading: str) -> None:
    items = [item for item in report.items if item.outcome is outcome]
    if items:
        _print_list(console, heading, _STYLES.get(outcome, "bold"), ((item, [item.reason]) for item in items))


def _print_notes(console: Console, items: Iterable[ImportItem], *, verbose: bool) -> None:
    noted = [item for item in items if item.notes]
    if verbose and noted:
        _print_list(console, "Notes", "bold", ((item, item.notes) for item in noted))
    elif noted:
        notes = sum(len(item.notes) for item in noted)
        console.print()
        words = f"{count(notes, 'note')}; --verbose shows {'it' if notes == 1 else 'them'}."
        say(console, words, "dim")


def _print_list(
    console: Console, heading: str, style: str, entries: Iterable[tuple[ImportItem, Iterable[str]]]
) -> None:
    console.print()
    say(console, f"{heading}:", style)
    for item, remarks in entries:
        console.print(Text.assemble("  ", _name(item)), soft_wrap=True)
        for remark in remarks:
            if not console.is_terminal:
                console.print(Text.assemble("    ", line(remark)), soft_wrap=True)
                continue
            for part in line(remark).wrap(console, max(console.width - 4, 20)):
                part.rstrip()
                console.print(Text.assemble("    ", part))


def _name(item: ImportItem) -> Text:
    """Return an item's path, with the id where that is different."""
    name = line(item.path)
    if item.id is not None and item.id not in item.path:
        name.append(f" (session {item.id})", style="dim")
    return name
