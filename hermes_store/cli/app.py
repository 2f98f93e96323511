"""The program: its commands and what they have in common."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from .. import __version__
from .exits import EPILOG, reported
from .opening import Database

#: The commands in the order of the help, and where each is: a function, or the Typer of a group.
_PLACES: Final = {
    "import": "files.import_files",
    "export": "files.export_files",
    "list": "sessions.list_sessions",
    "search": "search.search",
    "show": "show.show",
    "rename": "editing.rename",
    "pin": "editing.pin",
    "unpin": "editing.unpin",
    "archive": "editing.archive",
    "unarchive": "editing.unarchive",
    "move": "editing.move",
    "fork": "forking.fork",
    "lineage": "forking.lineage",
    "history": "forking.history",
    "undo": "forking.undo",
    "delete": "trash.delete",
    "trash": "trash.list_deleted",
    "restore": "trash.restore",
    "prune": "pruning.prune",
    "purge": "trash.purge",
    "stats": "stats.stats",
    "projects": "projects.list_projects",
    "shares": "shares.list_shares",
    "revoke": "shares.revoke",
    "backup": "maintenance.backup",
    "restore-backup": "maintenance.restore_backup",
    "copy": "copying.copy",
    "verify": "maintenance.verify",
    "doctor": "doctor.doctor",
    "repair": "repairing.repair",
    "salvage": "repairing.salvage",
    "compact": "maintenance.compact",
    "reindex": "maintenance.reindex",
    "upgrade": "database.upgrade",
    "info": "database.info",
    "agent": "agent.app",
    "db": "database.app",
}


class _Commands(Mapping[str, Any]):
    """The commands by name. One is imported and made when it is looked up, so that no command waits for the others."""

    def __getitem__(self, name: str) -> Any:
        return _make(name, *_PLACES[name].split("."))

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


@functools.cache
def _make(name: str, module: str, attribute: str) -> Any:
    found = getattr(importlib.import_module(f".{module}", __package__), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    only = typer.Typer(add_completion=False)
    only.command(name)(found)
    return typer.main.get_command(only)


class _Program(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the help."""
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        with reported():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Program,
    name="hermes-store",
    help="The sessions, messages and projects of an AI agent's users, in a database.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hermes-store {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    db: Database = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep the options that may stand before the command."""
