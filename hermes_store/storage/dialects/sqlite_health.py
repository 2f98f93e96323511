"""What `doctor` looks at in a SQLite database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ...quoting import size
from .condition import Condition
from .file_systems import shared_file_system
from .open_files import found_holders, readers
from .sqlite_errors import primary_code
from .sqlite_integrity import problem_lines, stepping

#: The log is cut to this when it is emptied (``journal_size_limit``). One that is larger could not be.
_LONG_LOG: Final = 64 * 2**20
_WASTE: Final = 16 * 2**20
_PROBLEMS: Final = 20


def conditions(raw: Any, path: Path | None, on_step: Callable[[], None]) -> list[Condition]:
    """Return the conditions of a database that is open.

    Args:
        raw: the driver's connection, in a transaction that reads.
        path: the file; None in memory.
        on_step: called again and again. An exception that it raises ends the check.
    """
    (mode,) = raw.execute("PRAGMA journal_mode").fetchone()
    found = [_version(path, mode)]
    if path is not None:
        found += [_journal(path, mode), _log(path), _holders(path)]
    return [*found, _free_pages(raw), _integrity(raw, on_step)]


def has_reset_fault(version: tuple[int, int, int]) -> bool:
    """Whether a version of SQLite has the fault described at https://www.sqlite.org/wal.html#walresetbug"""
    return not (version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0))


def _version(path: Path | None, mode: str) -> Condition:
    text = f"SQLite {sqlite3.sqlite_version}, in the journal mode {mode}."
    if mode != "wal" or not has_reset_fault(sqlite3.sqlite_version_info[:3]):
        return Condition("SQLite", "ok", text)
    several = path is not None and len(found_holders(path)) > 1
    return Condition(
        "SQLite",
        "warning" if several else "note",
        f"{text} It has a fault that can, very rarely, damage a database when two connections empty the log and write "
        f"at the same moment{', and several processes have this one open' if several else ''}.",
        "Use a Python with SQLite 3.51.3 or newer (3.50.7 and 3.44.6 have the correction, too), and keep backups. "
        "https://www.sqlite.org/wal.html#walresetbug",
    )


def _journal(path: Path, mode: str) -> Condition:
    kind = shared_file_system(path.parent)
    if kind is not None and mode == "wal":
        return Condition(
            "file system",
            "problem",
            f"The database is on a {kind} file system, which machines may share, in the journal mode wal.",
            "The mode needs memory that all processes share: from two machines at once, the database is damaged. Move "
            'it to a local disk, or open it once with Store.open(…, journal_mode="delete").',
        )
    if kind is not None:
        return Condition(
            "file system",
            "note",
            f"The database is on a {kind} file system, which machines may share.",
            "Its locks are often unreliable. A local disk is safer; share a database by PostgreSQL.",
        )
    if mode == "wal":
        return Condition("file system", "ok", "The file system is local, as far as the system tells.")
    return Condition(
        "file system",
        "note",
        f"The file system is local, and the journal mode is {mode}: readers and writers wait for each other.",
        'Store.open(…, journal_mode="wal") changes it.',
    )


def _log(path: Path) -> Condition:
    length = _length(path.with_name(f"{path.name}-wal"))
    if length <= _LONG_LOG:
        return Condition("log", "ok", f"The write-ahead log has {size(length)}.")
    reading = ", ".join(map(str, readers(path)))
    who = f"Process {reading} reads from the database at this moment" if reading else "Nobody reads at this moment"
    return Condition(
        "log",
        "warning",
        f"The write-ahead log has {size(length)}. {who}.",
        "SQLite cannot begin the log anew while a transaction that reads goes on: a snapshot() or a cursor that stays "
        "open, or a backup. Reads become slower. End that transaction, or its process; then the next writes empty the "
        "log, and the last process to close the database removes it.",
    )


def _holders(path: Path) -> Condition:
    others = found_holders(path)
    if not others:
        return Condition("open in", "ok", "No other process has it open, as far as the system tells.")
    return Condition("open in", "ok", f"Other processes have it open: {', '.join(map(str, others[:10]))}.")


def _free_pages(raw: Any) -> Condition:
    free, pages, page = (
        raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count", "page_size")
    )
    share = 100 * free // max(1, pages)
    text = f"{size(free * page)} of {size(pages * page)} in the file are free ({share} %)."
    if free * page > _WASTE and share >= 25:
        return Condition("free space", "note", text, "SQLite uses them again. `hermes-store compact` gives them back.")
    return Condition("free space", "ok", text)


def _integrity(raw: Any, on_step: Callable[[], None]) -> Condition:
    try:
        with stepping(raw, on_step):
            rows = raw.execute(f"PRAGMA quick_check({_PROBLEMS})").fetchall()
            links = raw.execute("PRAGMA foreign_key_check").fetchmany(1)
    except sqlite3.DatabaseError as error:
        if primary_code(error) != sqlite3.SQLITE_CORRUPT:
            raise
        rows, links = [(str(error),)], []
    problems = problem_lines(str(text) for (text,) in rows)
    if links:
        problems.append(f"a row of table {links[0][0]} refers to a row of table {links[0][2]} that is not there")
    if not problems:
        return Condition("integrity", "ok", "SQLite's quick check finds nothing wrong.")
    return Condition(
        "integrity",
        "problem",
        f"SQLite finds the file damaged: {'; '.join(problems[:3])}{', …' if len(problems) > 3 else '.'}",
        "Copy the file and its log away first. `hermes-store verify` says which sessions are affected. Restore a "
        "backup, or read what is left into a new database with `hermes-store salvage`.",
    )


def _length(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a path that may not be looked at counts as none
    except OSError:
        return 0
