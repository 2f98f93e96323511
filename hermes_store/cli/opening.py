"""Which database a command works on, and opening it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from .. import paths
from ..errors import DatabaseMissingError, HermesStoreError, SchemaError, SchemaOutdatedError
from .exits import CommandError, ExitCode

if TYPE_CHECKING:
    from ..store import Store


def resolved(ctx: typer.Context, value: str) -> str:
    """Return the option after the command, else the one before it, else the default."""
    parent = ctx.parent
    if parent is None:
        return value
    while parent.parent is not None:
        parent = parent.parent
    return value or parent.params.get("db") or paths.default_target()


Database = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="TARGET",
        callback=resolved,
        show_default=False,
        help="The database: a path, sqlite:///… or postgresql://…; else $HERMES_STORE_URL, else hermes.db in the "
        "state directory of hermes-webui ($HERMES_WEBUI_STATE_DIR, else $HERMES_HOME/webui or ~/.hermes/webui).",
    ),
]


def open_existing(target: str) -> Store:
    """Open a database for reading; never make one.

    Raises:
        DatabaseMissingError: there is none, or it is empty.
        SchemaError: it needs an upgrade.
    """
    from ..targets import shown

    try:
        return open_as_it_is(target)
    except SchemaOutdatedError as error:
        if error.found is None:
            raise DatabaseMissingError(
                f"The database {shown(target)} is empty; `{command('import', target)}` fills it."
            ) from error
        raise SchemaError(
            f"The database {shown(target)} is at revision {error.found}, and this version needs {error.known}; "
            f"`{command('upgrade', target)}` brings it there."
        ) from error


def open_to_write(target: str, *, quiet: bool) -> Store:
    """Open a database for writing; never make or upgrade one.

    Args:
        quiet: as for `open_or_upgrade`.

    Raises:
        DatabaseMissingError: there is none, or it is empty.
        SchemaError: it needs an upgrade.
    """
    with open_existing(target) as store:  # it has better messages, and makes none
        takes_long = _has_unfinished_index(store)
    return _open(target, migrate=False, takes_long=takes_long, quiet=quiet)


def open_or_upgrade(target: str, *, quiet: bool) -> Store:
    """Open a database for writing; make or upgrade it where that is needed.

    Args:
        quiet: do not show how far that is where it takes long: an upgrade, or filling the index of words.
    """
    try:
        with open_as_it_is(target) as store:
            takes_long = _has_unfinished_index(store)
    except SchemaOutdatedError as error:
        takes_long = error.found is not None
    except HermesStoreError:  # opening it for writing says what is wrong
        takes_long = False
    return _open(target, migrate=True, takes_long=takes_long, quiet=quiet)


def _open(target: str, *, migrate: bool, takes_long: bool, quiet: bool) -> Store:
    from ..store import Store
    from .output import make_console
    from .progress import log_lines_shown, progress

    if not takes_long:
        return Store.open(target, migrate=migrate)
    try:
        with (
            progress(make_console(), "Upgrading", "messages", quiet=quiet) as draw,
            log_lines_shown(lambda text: draw(0, 0, text)),
        ):
            return Store.open(target, migrate=migrate)
    except KeyboardInterrupt:
        raise CommandError(f"Interrupted. {_state(target)}", ExitCode.INTERRUPTED) from None


def _has_unfinished_index(store: Store) -> bool:
    """Whether opening a database for writing puts messages into its index of words."""
    from ..storage import search_state

    with store.database.read() as unit:
        index = search_state.read(unit)
    return index.is_enabled and not index.is_complete


def _state(target: str) -> str:
    try:
        open_as_it_is(target).close()
    except HermesStoreError:
        return "The database is as it was."
    return "Its tables are upgraded; the next command that writes goes on with its index of words."


def open_as_it_is(target: str) -> Store:
    """Open a database for reading; never make one.

    Raises:
        DatabaseMissingError: there is none.
        SchemaOutdatedError: it needs an upgrade, or has no tables yet.
    """
    from ..store import Store

    try:
        return Store.open(target, read_only=True)
    except DatabaseMissingError as error:
        raise missing(target, error) from error


def missing(target: str, error: DatabaseMissingError) -> DatabaseMissingError:
    """Return the error to raise for a database that is not there, which says how to create one."""
    from ..targets import shown

    if target == ":memory:" or ("://" in target and not target.startswith("sqlite")):
        return error
    return DatabaseMissingError(f"There is no database at {shown(target)}; `{command('import', target)}` makes one.")


def command(verb: str, target: str) -> str:
    """Return a command line to suggest."""
    if target == paths.default_target():
        return f"hermes-store {verb}"
    return f"hermes-store {verb} --db {shlex.quote(target) if '://' not in target else 'URL'}"
