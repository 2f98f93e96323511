"""What Alembic runs for each command.

From Python (`hermes_store.storage.migrations`) it is given a connection, or the name of a database. From the command
line, the database is ``-x url=…``, else ``HERMES_STORE_URL``, else the default one.
"""

import logging.config
from typing import Any, Literal

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from hermes_store import paths
from hermes_store.errors import HermesStoreError
from hermes_store.storage import migrations, schema_version
from hermes_store.storage.alembic_commands import COMPARED
from hermes_store.storage.dialects import Dialect
from hermes_store.storage.types import JsonBytes, LosslessText

config = context.config


def plain_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write the library's column types into new migrations as what they are in the database."""
    if kind == "type" and isinstance(item, LosslessText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, JsonBytes):
        return "sa.LargeBinary()"
    return False


OPTIONS: dict[str, Any] = {
    **COMPARED,
    "render_item": plain_type,
    "render_as_batch": True,  # SQLite changes a table by rebuilding it
}


def main() -> None:
    connection = config.attributes.get("connection")
    if connection is not None:
        run(connection, config.attributes["dialect"])
        return
    if config.config_file_name is not None:
        logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
    url = config.attributes.get("target") or context.get_x_argument(as_dictionary=True).get("url")
    url = url or paths.default_target()
    if context.is_offline_mode():
        write_sql(migrations.dialect_of(url))
        return
    try:
        with migrations.alembic_connection(url) as (connection, dialect):
            run(connection, dialect)
    except HermesStoreError as error:
        raise CommandError(str(error)) from error


def run(connection: Connection, dialect: Dialect) -> None:
    """Run a command on a database."""
    table = schema_version.version_table(connection)
    # Named, as PostgreSQL's search path may have another store's in its next schema.
    schema = dialect.schema(connection)
    context.configure(connection=connection, version_table=table, version_table_schema=schema, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
        schema_version.settle(connection, dialect, table)


def table_of(revision: object) -> str:
    """Return the name of the version table at a revision."""
    is_first = revision == schema_version.FIRST_REVISION
    return schema_version.FIRST_VERSION_TABLE if is_first else schema_version.VERSION_TABLE


def write_sql(dialect: Dialect) -> None:
    """Write the statements of a command (``--sql``) for a database that need not be there."""
    start, end = context.get_starting_revision_argument(), context.get_revision_argument()
    source, target = table_of(start or end), table_of(end)
    context.configure(
        dialect_name=dialect.name, literal_binds=True, transactional_ddl=True, version_table=source, **OPTIONS
    )
    with context.begin_transaction():
        context.run_migrations()
        if end is not None and source != target:
            for statement in schema_version.moved(source, target, str(end)):
                context.execute(statement)
        for statement in dialect.marks(int(str(end or 0))):
            context.execute(statement)


main()
