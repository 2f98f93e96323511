"""What the errors of PostgreSQL, libpq and psycopg mean: the error of this library, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ... import errors
from .base import RETRY

Meaning = tuple[type[errors.DatabaseError], str]

#: What an error says whose commit may be done.
UNKNOWN: Final = (
    "The connection broke during the commit. All of the transaction was written, or nothing. Read the data before you "
    "repeat it."
)


def meaning_of(error: BaseException) -> Meaning:
    """Return the class for an error, and what its message says after the server's."""
    state = state_of(error)
    if state == "42501" and "for schema" in str(error):
        state = _SCHEMA
    if state == "0A000" and re.search("recovery|standby", str(error)):
        return _STANDBY
    return _MEANINGS.get(state) or _MEANINGS.get(state[:3]) or _MEANINGS.get(state[:2]) or _OTHER


def state_of(error: BaseException) -> str:
    """Return the server's code of an error, or one like it for an error of the driver's own."""
    state: str = getattr(error, "sqlstate", None) or ""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, PoolTimeoutError):
        return _POOL
    if not state and names & {"OperationalError", "InterfaceError"}:
        state = "08000"  # from the driver, not from the server: there is none
    if not state and "ProgrammingError" in names and re.search(_BAD_OPTION, str(error)):
        state = _PARAMETER
    if state == "08000" and re.search(_BAD_VALUE, str(error)):
        state = _PARAMETER
    if state == "08000" and re.search(r'database ".*" does not exist', str(error)):
        state = "3D000"  # while it connects, the driver does not pass on the server's code
    return state


_POOL: Final = "pool"
_PARAMETER: Final = "parameter"
_SCHEMA: Final = "schema"
#: What the driver, libpq and the server say of a parameter of the URL that they do not take, without a code.
_BAD_OPTION: Final = "connection option|bad value for"
_BAD_VALUE: Final = (
    r"invalid \w+ value|definition of service|service file|requires a value$|unrecognized configuration parameter|"
    r"invalid value for parameter|invalid (integer|port)"
)
_OTHER: Final[Meaning] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_GONE: Final[Meaning] = (
    errors.DatabaseUnavailableError,
    "The server cannot be reached, or the connection broke; a transaction that was under way is rolled back.",
)
_STANDBY: Final[Meaning] = (
    errors.DatabaseReadOnlyError,
    "This server is a standby, which only reads. Nothing was written; connect to the primary.",
)
_MEANINGS: Final[Mapping[str, Meaning]] = {
    "40": (errors.DatabaseLockedError, RETRY),  # serialization failure, deadlock
    "55P03": (
        errors.DatabaseLockedError,
        "Another writer holds the row longer than the busy timeout. " + RETRY,
    ),
    "53": (
        errors.DatabaseFullError,
        "The server is out of disk, memory or connections. Nothing was written.",
    ),
    "25006": (
        errors.DatabaseReadOnlyError,
        (
            "Nothing was written. The store was opened with read_only=True, default_transaction_read_only is on for "
            "the server, the database, the role or the URL, or the server is a standby."
        ),
    ),
    "57014": (
        errors.DatabaseTimeoutError,
        (
            "The server cancelled the statement: statement_timeout is too short for it, or an administrator ended it. "
            "The transaction is rolled back."
        ),
    ),
    "25P03": (
        errors.DatabaseTimeoutError,
        (
            "The transaction was idle longer than idle_in_transaction_session_timeout, and is rolled back. Keep "
            "transactions short."
        ),
    ),
    "25P04": (
        errors.DatabaseTimeoutError,
        "The transaction took longer than transaction_timeout, and is rolled back. Keep transactions short.",
    ),
    "0A000": (
        errors.UnsupportedDatabaseError,
        "The server does not have what this library needs. The transaction is rolled back.",
    ),
    _POOL: (
        errors.DatabaseLockedError,
        "All connections of this process are in use by other threads longer than the busy timeout. " + RETRY,
    ),
    _PARAMETER: (
        errors.UnsupportedDatabaseError,
        "The driver or the server does not take a parameter of the URL. Nothing was opened.",
    ),
    "3F000": (
        errors.UnsupportedDatabaseError,
        "The search_path of the URL, the role or the database names no schema that exists. Make it: CREATE SCHEMA.",
    ),
    "42501": (
        errors.DatabaseReadOnlyError,
        (
            "Nothing was written; the role needs rights on the tables and sequences: GRANT SELECT, INSERT, UPDATE, "
            "DELETE ON ALL TABLES, and USAGE ON ALL SEQUENCES, IN SCHEMA … TO …"
        ),
    ),
    _SCHEMA: (
        errors.DatabaseReadOnlyError,
        (
            "Nothing was written; the role may not make tables in the schema (from PostgreSQL 15 on only its owner "
            "may): GRANT CREATE, USAGE ON SCHEMA … TO …, or let the owner open the store once."
        ),
    ),
    "XX001": (errors.DatabaseCorruptError, "The server found damaged data. Restore a backup."),
    "XX002": (errors.DatabaseCorruptError, "The server found a damaged index. REINDEX it."),
    "08": _GONE,
    "57P": _GONE,
    "28": (errors.DatabaseUnavailableError, "The server refused the user or the password."),
    "3D": (errors.DatabaseMissingError, "Make it with `createdb`, or correct the URL."),
}
