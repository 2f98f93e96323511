"""Finding the sessions that somebody means by the beginnings of their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import SessionDeletedError, SessionNotFoundError
from ..quoting import count
from .completing import session_ids
from .exits import CommandError, ExitCode
from .opening import command

if TYPE_CHECKING:
    from ..records import SessionRecord
    from ..store import View

#: How many ids are named where several begin with what was wanted.
SHOWN_IDS: Final = 5
IDS_HELP: Final = "Sessions' ids, or as much of their beginnings as fits no other."
ID_HELP: Final = "A session's id, or as much of its beginning as fits no other."

SessionId = Annotated[str, typer.Argument(metavar="ID", help=ID_HELP, autocompletion=session_ids)]
SessionIds = Annotated[
    list[str], typer.Argument(metavar="ID...", help=IDS_HELP, show_default=False, autocompletion=session_ids)
]


def find_session(view: View, wanted: str, db: str, *, what: str) -> SessionRecord:
    """Return the session that is called `wanted`, or the only one whose id begins so; otherwise, end.

    Args:
        what: is not done with deleted sessions, as in "shown".
    """
    try:
        return view.sessions.get(wanted)
    except SessionDeletedError as error:
        raise CommandError(
            f"Session {wanted!r} is deleted, and deleted sessions are not {what}; `{command('trash', db)}` "
            f"lists them. `{command(f'restore {wanted}', db)}` brings it back with all its messages.",
            ExitCode.NOT_FOUND,
        ) from error
    except SessionNotFoundError as error:
        fits = view.sessions.find(wanted, limit=SHOWN_IDS + 1)
        if not fits:
            raise CommandError(f"{error} `{command('list --all', db)}` lists them.", ExitCode.NOT_FOUND) from error
    require_one(wanted, fits)
    return view.sessions.get(fits[0])


def find_ids(view: View, wanted: Iterable[str], db: str, *, deleted: bool | None) -> list[str]:
    """Return the ids that are meant, each once. Where one is not clear, end, and name all those that are not.

    Args:
        deleted: among the deleted sessions (True), the others (False), or all (None).
    """
    found: dict[str, None] = {}
    problems: list[str] = []
    for one in dict.fromkeys(wanted):
        try:
            found[_find_id(view, one, db, deleted=deleted)] = None
        except CommandError as error:
            problems.append(str(error))
    if problems:
        shown = problems[:SHOWN_IDS]
        if len(problems) > SHOWN_IDS:
            shown.append(f"{count(len(problems) - SHOWN_IDS, 'more id')} are wrong, too.")
        raise CommandError(" ".join([*shown, "Nothing was changed."]), ExitCode.NOT_FOUND)
    return list(found)


def _find_id(view: View, wanted: str, db: str, *, deleted: bool | None) -> str:
    fits = view.sessions.find(wanted, limit=SHOWN_IDS + 1, deleted=deleted)
    if wanted in fits:
        return wanted
    if not fits:
        noun = "deleted session" if deleted else "session"
        place = "trash" if deleted or view.sessions.find(wanted, limit=1, deleted=True) else "list --all"
        raise CommandError(
            f"There is no {noun} {wanted!r}. `{command(place, db)}` lists "
            f"{'the deleted ones' if place == 'trash' else 'them'}.",
            ExitCode.NOT_FOUND,
        )
    require_one(wanted, fits)
    return fits[0]


def require_one(wanted: str, fits: Sequence[str]) -> None:
    """End where several ids begin with what was wanted."""
    if len(fits) > 1:
        ids = ", ".join(fits[:SHOWN_IDS])
        more = ", …" if len(fits) > SHOWN_IDS else ""
        raise CommandError(
            f"The ids of several sessions begin with {wanted!r}: {ids}{more}. Give more of it.", ExitCode.NOT_FOUND
        )
