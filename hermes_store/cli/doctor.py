"""``hermes-store doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from ..quoting import count
from .exits import ExitCode
from .opening import Database
from .output import Json, line, make_console, print_json
from .progress import interruptible

_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "cyan"), "warning": ("WARNING", "bold yellow")}
_PROBLEM: Final = ("PROBLEM", "bold red")


def doctor(
    *,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            show_default=False,
            parser=Path,
            help="hermes-webui's state directory, or a Hermes home that has one: whether its files were all imported. "
            "Else the folder of the database, if it is one.",
        ),
    ] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Look for what is wrong with the database or around it, and say what to do. Nothing is changed.

    It works while others use the database, and on one that cannot be opened. The exit code is 1 if there is a
    warning or a problem.
    """
    from .. import maintenance

    console = make_console()
    with interruptible(console, "Looking", "steps", quiet=as_json, state="Nothing was changed.") as advance:
        report = maintenance.doctor(db, home=home, on_progress=lambda: advance(0, 0, ""))
    if as_json:
        print_json({**report.model_dump(), "ok": report.ok})
    else:
        width = max(len(item.check) for item in report.items)
        indent = " " * (width + 2 + len("WARNING") + 2)
        for item in report.items:
            mark, style = _MARKS.get(item.severity.value, _PROBLEM)
            head = Text.assemble((f"{item.check:{width}}  ", "dim"), (f"{mark:7}  ", style), line(item.text))
            console.print(head, soft_wrap=True)
            if item.advice:
                console.print(Text.assemble(indent, line(item.advice)), style="dim", soft_wrap=True)
        bad = [item for item in report.items if item.severity in ("warning", "problem")]
        result = "Nothing is wrong" if report.ok else count(len(bad), "finding")
        console.print(line(f"{result} ({report.target}, {report.seconds:.1f} s)."), soft_wrap=True)
    if not report.ok:
        raise typer.Exit(ExitCode.SOME_FAILED)
