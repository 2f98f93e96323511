"""What Alembic runs for each command.

From Python (`hermes_store.storage.migrations`) it is given a connection. From the command line, the database is
``-x url=…``, else ``HERMES_STORE_URL``, else the default one.
"""

import logging.config
from typing import Any, Literal

from alembic import context
from alembic.util import CommandError

from hermes_store import paths
from hermes_store.errors import HermesStoreError
from hermes_store.storage import migrations
from hermes_store.storage.dialects import Dialect
from hermes_store.storage.schema import Base
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
    "render_item": plain_type,
    "target_metadata": Base.metadata,
    "version_table": migrations.VERSION_TABLE,
    "render_as_batch": True,  # SQLite changes a table by rebuilding it
    "compare_type": True,
    "compare_server_default": True,
}


def main() -> None:
    connection = config.attributes.get("connection")
    if connection is not None:
        run(config.attributes["dialect"], connection=connection)
        return
    if config.config_file_name is not None:
        logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
    url = context.get_x_argument(as_dictionary=True).get("url") or paths.default_target()
    if context.is_offline_mode():
        run(None, dialect_name=migrations.dialect_name(url), literal_binds=True, transactional_ddl=True)
        return
    try:
        with migrations.alembic_connection(url) as (connection, dialect):
            run(dialect, connection=connection)
    except HermesStoreError as error:
        raise CommandError(str(error)) from error


def run(dialect: Dialect | None, **how: Any) -> None:
    connection = how.get("connection")
    if connection is not None:
        migrations.adopt_version_table(connection)
    context.configure(**how, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
    if dialect is not None and connection is not None:
        migrations.mark(connection, dialect)


main()
