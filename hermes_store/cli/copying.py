"""``hermes-store copy``: moving a database to another place or kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..quoting import count
from .output import Json, make_console, print_json, say
from .progress import interruptible

if TYPE_CHECKING:
    from ..maintenance import CopyProgress


def copy(
    source: Annotated[
        str,
        typer.Argument(metavar="FROM", show_default=False, help="The database to read: a path or a URL."),
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TO", show_default=False, help="A new file, or an empty database: a path or a URL."),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Copy a whole database to an empty one of any kind; run again, an interrupted copy goes on.

    The source is only read. The target can be opened when everything was copied and compared.
    """
    from .. import maintenance

    console = make_console()
    with interruptible(
        console,
        "Copying",
        "rows",
        quiet=as_json,
        state="The target is not usable yet; the same command goes on. The source is as it was.",
    ) as advance:

        def on_progress(now: CopyProgress) -> None:
            # The last row of a step is not the end of the command.
            advance(now.done, now.total if now.step == "copy" else 0, _STEPS[now.step])

        report = maintenance.copy(source, target, on_progress=on_progress)
    if as_json:
        print_json(report.model_dump())
        return
    for value in report.replaced:
        say(console, f"Replaced by an empty value, as its column cannot have it: {value}", "red")
    deleted = f", {report.deleted:,} deleted" if report.deleted else ""
    contents = f"{count(report.sessions, 'session')} ({count(report.messages, 'message')}){deleted}"
    say(console, f"Copied {contents} of {report.source} to {report.target} ({report.seconds:.1f} s).")


_STEPS: Final = {
    "compare": "comparing what was copied before",
    "copy": "",
    "check": "comparing the copy with the source",
    "index": "filling the index of words",
}
