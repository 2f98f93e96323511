"""SQLite's own check of a database, with signs of progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from .facts import BrokenLink

#: How many instructions of SQLite's virtual machine run between two calls of `on_step`.
_STEPS: Final = 50_000


def integrity_problems(connection: Any, on_step: Callable[[], None], limit: int = 100) -> list[str]:
    """Return what ``PRAGMA integrity_check`` finds, in SQLite's words; an empty list if the file is whole.

    Args:
        connection: the driver's.
        on_step: called again and again. An exception that it raises ends the check.
        limit: of the number of problems.
    """
    with stepping(connection, on_step):
        found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({limit})").fetchall()]
    return problem_lines(found)


def problem_lines(found: Iterable[str]) -> list[str]:
    """Return what SQLite's checks say is wrong, a line each, without ``ok`` and its headings."""
    lines = [line for one in found if one != "ok" for line in one.splitlines()]
    return [line for line in lines if not line.startswith("*** in database")] or lines


def broken_links(connection: Any, on_step: Callable[[], None], limit: int) -> list[BrokenLink]:
    """Return at most `limit` of the rows that ``PRAGMA foreign_key_check`` finds; as `integrity_problems`."""
    with stepping(connection, on_step), contextlib.closing(connection.execute("PRAGMA foreign_key_check")) as rows:
        return [BrokenLink(table, row_id, parent) for table, row_id, parent, _ in rows.fetchmany(limit)]


@contextlib.contextmanager
def stepping(connection: Any, on_step: Callable[[], object], steps: int | None = None) -> Iterator[None]:
    """Call `on_step` again and again while statements of the block run; an exception that it raises ends them.

    Args:
        connection: the driver's.
        on_step: also where Python delivers Ctrl-C.
        steps: how many instructions of SQLite's virtual machine run between two calls; the usual number without it.
    """
    raised: list[BaseException] = []

    def handle() -> int:
        try:
            on_step()
        except BaseException as error:  # SQLite would only say that it was interrupted
            raised.append(error)
            return 1
        return 0

    connection.set_progress_handler(handle, steps or _STEPS)
    try:
        yield
    except Exception as error:  # SQLite's, or SQLAlchemy's for it
        if raised:
            raise raised.pop() from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
