"""``hermes-store info`` and ``hermes-store db``: the database itself, and the revision of its tables."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from ..errors import DatabaseMissingError, SchemaOutdatedError
from ..quoting import size
from .asking import Yes, confirmed, require_terminal
from .exits import ExitCode
from .opening import Database, command, missing, open_as_it_is, open_existing, open_or_upgrade
from .output import Json, make_console, print_json, say
from .table import print_facts

app = typer.Typer(
    name="db",
    add_completion=False,
    help="The revision of the database's tables. A database is upgraded when a command writes to it, too; these "
    "commands do it by hand, and show what is there.",
    no_args_is_help=True,
)


def info(db: Database = "", as_json: Json = False) -> None:
    """Say which database is used, and what is in it."""
    with open_existing(db) as store:
        facts = store.info()
        counts = store.stats().model_dump()
    if as_json:
        print_json({**facts.model_dump(), **counts})
        return
    rows = {
        "database": facts.target,
        "engine": f"{_ENGINES.get(facts.dialect, facts.dialect)} {facts.server_version}",
        "size": size(facts.size_bytes),
        "journal": facts.journal_mode,
        "schema": f"revision {facts.schema_revision}",
        "sessions": f"{counts['sessions']:,}" + (f", and {counts['deleted']:,} deleted" if counts["deleted"] else ""),
        "messages": f"{counts['messages']:,}",
        "projects": f"{counts['projects']:,}",
        "for undo": _kept(counts["kept_messages"], counts["kept_bytes"]),
    }
    print_facts(make_console(), rows)


def _kept(messages: int, kept_bytes: int) -> str | None:
    """Return how many messages are kept that were removed or overwritten; None if there are none."""
    return f"{messages:,} removed or overwritten messages ({size(kept_bytes)})" if messages else None


_ENGINES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@app.command("upgrade")
def upgrade(db: Database = "", as_json: Json = False) -> None:
    """Upgrade the tables of an older version. A file that holds data is copied first."""
    try:
        with open_as_it_is(db) as store:
            facts = store.info()
        before = facts.schema_revision
    except SchemaOutdatedError as error:
        before = error.found
        with open_or_upgrade(db, quiet=as_json) as store:
            facts = store.info()
    after = facts.schema_revision
    if as_json:
        print_json({"target": facts.target, "from": before, "to": after})
    elif before == after:
        say(make_console(), f"{facts.target} is at revision {after}, which is the newest.")
    elif before is None:
        say(make_console(), f"{facts.target} had no tables; it is at revision {after} now.")
    else:
        say(make_console(), f"{facts.target} was at revision {before} and is at {after} now.")


@app.command("current")
def current(db: Database = "", as_json: Json = False) -> None:
    """Show the revision of the tables, and whether it is this version's. Nothing is changed."""
    from ..storage import alembic_commands, migrations

    try:
        state = alembic_commands.current(db)
    except DatabaseMissingError as error:
        raise missing(db, error) from error
    if as_json:
        print_json({"target": state.target, "revision": state.revision, "head": migrations.HEAD})
        return
    if state.revision == migrations.HEAD:
        remark = " (head)"
    elif state.revision is None or state.revision in migrations.known_revisions():
        remark = f"; this version needs {migrations.HEAD}: `{command('db upgrade', db)}`"
    else:
        remark = f", which is newer than this version knows ({migrations.HEAD}): upgrade hermes_store"
    say(make_console(), f"{state.revision or 'no tables'}{remark}")


@app.command("history")
def history(as_json: Json = False) -> None:
    """List the revisions that this version knows, the newest first. No database is opened."""
    from ..storage import alembic_commands, migrations

    revisions = alembic_commands.history()
    if as_json:
        print_json({"items": [one._asdict() for one in revisions], "head": migrations.HEAD})
        return
    console = make_console()
    for one in revisions:
        say(console, f"{one.revision}{' (head)' if one.revision == migrations.HEAD else ''}  {one.title}")


@app.command("check")
def check(db: Database = "", as_json: Json = False) -> None:
    """Compare the tables, columns and indexes with those of this version. Nothing is changed.

    The exit code is 1 if they differ.
    """
    from ..storage import alembic_commands, migrations

    try:
        state = alembic_commands.current(db)
        found = alembic_commands.differences(db)
    except DatabaseMissingError as error:
        raise missing(db, error) from error
    if as_json:
        print_json({"target": state.target, "revision": state.revision, "head": migrations.HEAD, "differences": found})
    else:
        console = make_console()
        for difference in found:
            say(console, difference)
        if state.revision != migrations.HEAD:
            say(console, f"{state.target} is at revision {state.revision}, and this version needs {migrations.HEAD}.")
        elif not found:
            say(console, f"The tables of {state.target} are as revision {state.revision} makes them.")
    if found or state.revision != migrations.HEAD:
        raise typer.Exit(ExitCode.SOME_FAILED)


@app.command("sql")
def sql(
    *,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="REVISION", show_default=False, help="Where to begin; else an empty database."),
    ] = None,
    end: Annotated[str, typer.Option("--to", metavar="REVISION", help="Where to end.")] = "head",
    db: Database = "",
) -> None:
    """Print the statements of an upgrade, to run them with another program.

    --db says for which kind of database; it is not opened, and need not be there.
    """
    from ..storage import alembic_commands

    sys.stdout.write(alembic_commands.upgrade_sql(db, start, end))


@app.command("stamp")
def stamp(
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="The revision that the tables are at.")],
    *,
    yes: Yes = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Note the revision in a database that has lost it. The tables are not changed, so it has to be the right one."""
    from ..storage import alembic_commands
    from ..targets import shown

    question = f"Note in {shown(db)} that its tables are at revision {revision}?"
    if not yes:
        require_terminal("Nothing was written")
    if not (yes or confirmed(question)):
        say(make_console(), "Nothing was written.")
        return
    try:
        state = alembic_commands.stamp(db, revision)
    except DatabaseMissingError as error:
        raise missing(db, error) from error
    if as_json:
        print_json({"target": state.target, "revision": state.revision})
    else:
        say(make_console(), f"{state.target} is noted to be at revision {state.revision}.")
