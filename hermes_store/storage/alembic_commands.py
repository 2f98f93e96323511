"""Alembic's commands on the library's own migrations, for the command line."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import InvalidInputError, SchemaError
from ..quoting import quoted
from . import migrations
from .dialects import Settings, Target
from .engine import Database
from .schema import complete_metadata, metadata
from .schema_version import current_revision

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Revision(NamedTuple):
    """A migration."""

    revision: str
    #: The revision that it begins with; None for the first.
    previous: str | None
    title: str


class SchemaState(NamedTuple):
    """A database, and the revision of its tables; None where there are none yet."""

    target: str
    revision: str | None


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a name in the database is for Alembic to compare: other programs' tables in a shared schema are not."""
    return kind != "table" or name in metadata.tables


#: What Alembic compares; `migrations/env.py` has it, too.
COMPARED: Final[dict[str, Any]] = {
    "include_name": is_ours,
    "target_metadata": complete_metadata(),
    "compare_type": True,
    "compare_server_default": True,
}


def history() -> list[Revision]:
    """Return the migrations, the newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see the docstring of `migrations`

    scripts = ScriptDirectory.from_config(migrations.alembic_config()).walk_revisions()
    return [Revision(one.revision, str(one.down_revision) if one.down_revision else None, one.doc) for one in scripts]


def current(target: Target) -> SchemaState:
    """Return the revision of a database, which is not changed.

    Raises:
        DatabaseMissingError: there is none.
        DatabaseError: it cannot be read, or is not this library's.
    """
    database = Database(target, Settings(read_only=True))
    try:
        dialect = database.dialect
        with database.translated():
            dialect.create_if_missing(allowed=False)
            return SchemaState(dialect.display, dialect.look(lambda connection: current_revision(connection, dialect)))
    finally:
        database.close()


def differences(target: Target) -> list[str]:
    """Return how the tables of a database differ from those of this version, in words. The database is not changed.

    Raises:
        DatabaseMissingError, DatabaseError: as `current`.
    """
    database = Database(target, Settings(read_only=True))
    try:
        with database.translated():
            database.dialect.create_if_missing(allowed=False)
            return database.dialect.look(_differences)
    finally:
        database.close()


def _differences(connection: Connection) -> list[str]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - see the docstring of `migrations`
    from alembic.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(connection, opts=COMPARED)
    return [words for difference in compare_metadata(context, complete_metadata()) for words in _words(difference)]


def _words(difference: Any) -> Iterable[str]:
    """Yield a difference, as Alembic gives it, in words."""
    if isinstance(difference, list):  # of one column
        for kind, _schema, table, column, *_ in difference:
            yield f"column {column} of table {table} has another {kind.removeprefix('modify_')}"
        return
    kind, *rest = difference
    verb, _, noun = kind.partition("_")
    item = rest[-1]
    table = getattr(getattr(item, "table", None), "name", None) or (rest[1] if noun == "column" else None)
    place = f" of table {table}" if table and noun != "table" else ""
    state = {"add": "is missing", "remove": "is not this version's"}.get(verb, "is another one")
    yield f"{noun} {getattr(item, 'name', item)}{place} {state}"


def upgrade_sql(target: Target, start: str | None, end: str) -> str:
    """Return the statements that bring a database from a revision to another, for its kind of database.

    Args:
        target: names the kind of database. It is not opened, and need not be there.
        start: the revision to begin with; an empty database when None.
        end: the revision to reach, or "head".

    Raises:
        InvalidInputError: there is no such revision, or the first is not before the second.
    """
    from alembic import command  # noqa: PLC0415 - see the docstring of `migrations`

    first = "" if start is None else _known(start)
    last = _known(end)
    if first >= last:
        raise InvalidInputError(f"Revision {first} is not before {last}. Nothing was written.")
    config = migrations.alembic_config()
    config.output_buffer = written = io.StringIO()
    config.attributes["target"] = target
    _run(lambda: command.upgrade(config, f"{first}:{last}" if first else last, sql=True))
    return written.getvalue()


def stamp(target: Target, revision: str) -> SchemaState:
    """Note in a database that its tables are at a revision, without changing them.

    Raises:
        DatabaseMissingError, DatabaseError: as `current`.
        InvalidInputError: there is no such revision.
    """
    from alembic import command  # noqa: PLC0415 - see the docstring of `migrations`

    known = _known(revision)
    database = Database(target, Settings())
    try:
        with database.translated():
            database.dialect.create_if_missing(allowed=False)
    finally:
        database.close()
    config = migrations.alembic_config()
    config.attributes["target"] = target
    _run(lambda: command.stamp(config, known))
    return current(target)


def _known(revision: str) -> str:
    if revision == "head":
        return migrations.HEAD
    if revision not in migrations.known_revisions():
        raise InvalidInputError(
            f"There is no revision {quoted(revision)}; `hermes-store db history` lists them. Nothing was written."
        )
    return revision


def _run(callback: Any) -> None:
    """Call one of Alembic's commands, and raise this library's errors as they are."""
    from alembic.util import CommandError  # noqa: PLC0415 - see the docstring of `migrations`

    try:
        callback()
    except CommandError as error:
        raise error.__cause__ or SchemaError(str(error)) from error
