"""PgBouncer between this library and the server.

In its transaction mode, each transaction may be on another connection of the server. So what a connection is given when
it is made, or a SET gives it, does not hold: settings are set in each transaction. The driver prepares nothing. In its
session mode that is right as well, and PgBouncer refuses settings at the beginning in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event

from ... import errors

#: The parameter of a URL that says that there is one. Otherwise it is found out.
_PARAMETER: Final = "hermes_pooler"
#: What a connection is made with: PgBouncer knows nothing of statements that were prepared on another one. The empty
#: text keeps libpq from taking the settings of PGOPTIONS.
ARGUMENTS: Final[Mapping[str, Any]] = {"prepare_threshold": None, "options": ""}
_OPTION: Final = re.compile(r"(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\s\\])*)")
#: Those that have another name inside a transaction.
_WITHIN: Final = {"default_transaction_read_only": "transaction_read_only"}


def without_parameter(url: URL) -> tuple[URL, bool]:
    """Return a URL as the driver takes it, and whether it says that there is a pooler.

    Raises:
        UnsupportedDatabaseError: it says something else.
    """
    mode = url.query.get(_PARAMETER)
    if mode not in (None, "transaction"):
        raise errors.UnsupportedDatabaseError(
            f"{_PARAMETER} is 'transaction', or is left out, also for PgBouncer's session mode. Nothing was opened."
        )
    return url.difference_update_query([_PARAMETER]), mode is not None


def refuses_settings(error: BaseException) -> bool:
    """Whether an error is PgBouncer's, which was given settings when it was connected to."""
    return "unsupported startup parameter" in str(error)


def settings_of(options: str) -> dict[str, str]:
    """Return settings by name, as they are called in a transaction; `options` are as in libpq's parameter."""
    return {_WITHIN.get(name, name): re.sub(r"\\(.)", r"\1", value) for name, value in _OPTION.findall(options)}


def set_in_each_transaction(engine: Engine, options: str) -> None:
    """Set settings at the beginning of each transaction.

    Args:
        engine: makes the connections.
        options: the settings, as in libpq's parameter of that name.
    """
    settings = settings_of(options)
    calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
    values = tuple(one for setting in settings.items() for one in setting)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT {calls}", values)

    event.listen(engine, "begin", begin)
