"""Reading the values of sessions that have no column, and the damage among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, select

from ..errors import DatabaseCorruptError
from ..transcripts import json_codec
from ..validation import COLUMN_KEYS, LINK_KEYS
from ..webui_format import session_json
from .row_types import log_once
from .schema import session_document_table, session_extras_table
from .statement import Statement, one_of
from .types import TextList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork

#: The largest value, in bytes of its JSON, that is kept in `session_extras`.
SMALL: Final = 2048
#: The keys whose values always have rows of their own.
OWN_ROWS: Final = COLUMN_KEYS - LINK_KEYS

OF_SESSION: Final = session_document_table.c.session_id == bindparam("session")
NAMED: Final = one_of(session_document_table.c.key, bindparam("keys", type_=TextList))
EXTRAS: Final = Statement(
    select(session_extras_table.c.payload).where(session_extras_table.c.session_id == bindparam("session"))
)
_with_digests: Final = (
    select(session_document_table.c.key, session_document_table.c.payload, session_document_table.c.digest)
    .where(OF_SESSION)
    .order_by(session_document_table.c.key)
)
_documents: Final = Statement(_with_digests)
SOME_DOCUMENTS: Final = Statement(_with_digests.where(NAMED))
KNOWN: Final = Statement(select(session_document_table.c.key, session_document_table.c.digest).where(OF_SESSION))
_other_documents: Final = Statement(_with_digests.where(~NAMED))


def read(unit: UnitOfWork, session: int, public_id: str, keys: Collection[str] | None = None) -> dict[str, Any]:
    """Return a session's values by key.

    Args:
        session: its row id.
        public_id: its public id, for messages.
        keys: which; all when None.

    Raises:
        DatabaseCorruptError: a value is damaged; it names the key.
    """
    if keys is None:
        return read_extras(unit, session, public_id) | read_rows(unit, session, public_id)
    found = read_rows(unit, session, public_id, keys)
    # The small ones are read for what is not among the others: damaged, they are no obstacle to these.
    small = [key for key in keys if key not in found and key not in OWN_ROWS]
    if small:
        extras = read_extras(unit, session, public_id)
        found |= {key: extras[key] for key in small if key in extras}
    return found


def has_draft(unit: UnitOfWork, session: int, public_id: str, written: Mapping[str, Any]) -> bool:
    """Whether a session has a draft among its documents. Damaged documents count as a draft, so that they are kept.

    Args:
        session: the session's row id.
        public_id: its public id, for messages.
        written: values that were just written: where they have a draft, the others are not read.
    """
    if session_json.has_draft(written):
        return True
    try:
        return session_json.has_draft(read(unit, session, public_id, session_json.DRAFT_KEYS))
    except DatabaseCorruptError:
        return True


_named_keys: Final = Statement(select(session_document_table.c.key).where(OF_SESSION, NAMED))


def has_stored_draft(unit: UnitOfWork, session: int, public_id: str) -> bool:
    """Whether a session has a draft; as `has_draft`, without reading large values, none of which is empty."""
    if unit.rows(_named_keys, {"session": session, "keys": sorted(session_json.DRAFT_KEYS)}):
        return True
    try:
        return session_json.has_draft(read_extras(unit, session, public_id))
    except DatabaseCorruptError:
        return True


def read_rows(
    unit: UnitOfWork,
    session: int,
    public_id: str,
    keys: Collection[str] | None = None,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Return those of a session's values that have rows of their own; as `read`.

    Args:
        without: where `keys` is None, the keys whose values are not read.
    """
    if keys is not None:
        rows = unit.rows(SOME_DOCUMENTS, {"session": session, "keys": list(keys)})
    elif without:
        rows = unit.rows(_other_documents, {"session": session, "keys": list(without)})
    else:
        rows = unit.rows(_documents, {"session": session})
    return {key: verified(public_id, key, payload, digest) for key, payload, digest in rows}


def read_sound(
    unit: UnitOfWork, session: int, public_id: str, keys: Collection[str] | None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return those values that have rows of their own and are as they were written; the others are logged.

    Args:
        session, public_id, keys: as in `read`.
        without: as in `read_rows`.
    """
    try:
        return read_rows(unit, session, public_id, keys, without)
    except (*DRIVER_ERRORS, DatabaseCorruptError) as error:
        if not unit.is_damage(error):
            raise
        values, problems = _salvage_rows(unit, session, public_id, keys, without)
    for problem in problems:
        log_once("%s", problem)
    return values


def salvage(unit: UnitOfWork, session: int, public_id: str) -> tuple[dict[str, Any], list[str]]:
    """Return those values of a session that are as they were written, and why the others are not read; as `read`."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    try:
        values |= read_extras(unit, session, public_id)
    except (*DRIVER_ERRORS, DatabaseCorruptError) as error:
        problems.append(str(error))
    large, more = _salvage_rows(unit, session, public_id, None)
    return values | large, problems + more


def _salvage_rows(
    unit: UnitOfWork, session: int, public_id: str, wanted: Collection[str] | None, without: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    try:
        keys = [key for key, _ in unit.rows(KNOWN, {"session": session})]
    except DRIVER_ERRORS as error:
        return values, [str(error)]
    for key in sorted(set(keys).difference(without) if wanted is None else set(keys).intersection(wanted)):
        try:
            values |= read_rows(unit, session, public_id, [key])
        except (*DRIVER_ERRORS, DatabaseCorruptError) as error:
            problems.append(str(error))
    return values, problems


def verified(public_id: str, key: str, payload: bytes, digest: bytes) -> Any:
    """Return the value of a session's document, which has to be what was written.

    Raises:
        DatabaseCorruptError: it is damaged; it names the key.
    """
    if json_codec.digest(payload) != digest:
        raise _damaged(public_id, key, "not what was written")
    return decode(public_id, key, payload)


def read_extras(unit: UnitOfWork, session: int, public_id: str) -> dict[str, Any]:
    """Return the small values of a session; as `decode_extras`.

    Args:
        session: its row id.
        public_id: its public id, for messages.
    """
    return decode_extras(unit.value(EXTRAS, {"session": session}), public_id)


def decode_extras(payload: bytes | None, public_id: str) -> dict[str, Any]:
    """Return the small values of a session; `payload` is that of its row, None when it has none.

    Raises:
        DatabaseCorruptError: it is damaged.
    """
    if payload is None:
        return {}
    try:
        values = json_codec.decode(payload)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise DatabaseCorruptError(
            f"The row with the small documents of session {public_id!r} is damaged in the database: it is no JSON "
            f"object. Read the others (of more than {SMALL} bytes) by their keys; restore a backup, or `put` small "
            "documents, which replace all that are damaged."
        )
    return values


def decode(public_id: str, key: str, payload: bytes) -> Any:
    """Return the value of a session's document.

    Raises:
        DatabaseCorruptError: it is damaged; it names the key.
    """
    try:
        return json_codec.decode(payload)
    except ValueError as error:
        raise _damaged(public_id, key, "no JSON") from error


def _damaged(public_id: str, key: str, what: str) -> DatabaseCorruptError:
    return DatabaseCorruptError(
        f"Document {key!r} of session {public_id!r} is damaged in the database: it is {what}. Read the others by their "
        "keys; restore a backup, or `put` or `remove` this one."
    )
