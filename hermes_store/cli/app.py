"""The program: its commands and what they have in common."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from . import (
    agent,
    copying,
    database,
    doctor,
    editing,
    files,
    forking,
    maintenance,
    projects,
    pruning,
    repairing,
    search,
    sessions,
    shares,
    show,
    stats,
    trash,
)
from .exits import EPILOG, reported
from .opening import Database


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the help: groups last."""
        return sorted(super().list_commands(ctx), key=lambda name: isinstance(self.commands[name], TyperGroup))

    def invoke(self, ctx: Any) -> Any:
        with reported():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
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


app.command("import")(files.import_files)
app.command("export")(files.export_files)
app.command("list")(sessions.list_sessions)
app.command("search")(search.search)
app.command("show")(show.show)
app.command("rename")(editing.rename)
app.command("pin")(editing.pin)
app.command("unpin")(editing.unpin)
app.command("archive")(editing.archive)
app.command("unarchive")(editing.unarchive)
app.command("move")(editing.move)
app.command("fork")(forking.fork)
app.command("lineage")(forking.lineage)
app.command("history")(forking.history)
app.command("undo")(forking.undo)
app.command("delete")(trash.delete)
app.command("trash")(trash.list_deleted)
app.command("restore")(trash.restore)
app.command("prune")(pruning.prune)
app.command("purge")(trash.purge)
app.command("stats")(stats.stats)
app.command("projects")(projects.list_projects)
app.command("shares")(shares.list_shares)
app.command("revoke")(shares.revoke)
app.command("backup")(maintenance.backup)
app.command("restore-backup")(maintenance.restore_backup)
app.command("copy")(copying.copy)
app.command("verify")(maintenance.verify)
app.command("doctor")(doctor.doctor)
app.command("repair")(repairing.repair)
app.command("salvage")(repairing.salvage)
app.command("compact")(maintenance.compact)
app.command("reindex")(maintenance.reindex)
app.command("upgrade")(database.upgrade)
app.command("info")(database.info)
app.add_typer(agent.app, name="agent")
app.add_typer(database.app, name="db")
