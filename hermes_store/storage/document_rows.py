"""A session's values that are no column, by key: small ones together in `session_extras`, the others one row each.

The original of a value that its column cannot hold (a title that is no text) has its own row whatever its size, because
lists and links look for it by its key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, insert, select, update

from ..errors import DatabaseCorruptError
from ..transcripts import json_codec
from ..validation import COLUMN_KEYS, LINK_KEYS
from ..webui_format import session_json
from .row_types import log_once
from .schema import NOT_STAGED, Session, SessionDocument, SessionExtras
from .statement import RowStatement, Statement, one_of
from .types import RowId, RowIdList, TextList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork

logger = logging.getLogger("hermes_store")

#: The largest value, in bytes of its JSON, that is kept in `session_extras`.
SMALL: Final = 2048


#: The keys whose values always have rows of their own.
_ROWS: Final = COLUMN_KEYS - LINK_KEYS
#: In a key, two halves of a character side by side: as a key of a JSON object, they would be read as that character.
_JOINED: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def is_small(key: str, payload: bytes) -> bool:
    """Whether a value is kept in `session_extras`."""
    if key in COLUMN_KEYS:
        return key in LINK_KEYS and payload == b"null"  # a link to nothing is not looked for
    return len(payload) <= SMALL and _JOINED.search(key) is None


_of_session: Final = SessionDocument.session_id == bindparam("session")
_named: Final = one_of(SessionDocument.key, bindparam("keys", type_=TextList))
_extras: Final = Statement(select(SessionExtras.payload).where(SessionExtras.session_id == bindparam("session")))
_with_digests: Final = (
    select(SessionDocument.key, SessionDocument.payload, SessionDocument.digest)
    .where(_of_session)
    .order_by(SessionDocument.key)
)
_documents: Final = Statement(_with_digests)
_some_documents: Final = Statement(_with_digests.where(_named))
_other_documents: Final = Statement(_with_digests.where(~_named))


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
    small = [key for key in keys if key not in found and key not in _ROWS]
    if small:
        extras = read_extras(unit, session, public_id)
        found |= {key: extras[key] for key in small if key in extras}
    return found


def has_draft(unit: UnitOfWork, session: int, public_id: str, written: Mapping[str, Any]) -> bool:
    """Whether a session has a draft among its documents. Damaged ones count as one: nobody is to lose what is left.

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


_named_keys: Final = Statement(select(SessionDocument.key).where(_of_session, _named))


def has_stored_draft(unit: UnitOfWork, session: int, public_id: str) -> bool:
    """Whether a session has a draft; as `has_draft`, of which no large value is read: there is something in each."""
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
        rows = unit.rows(_some_documents, {"session": session, "keys": list(keys)})
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
        keys = [key for key, _ in unit.rows(_known, {"session": session})]
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
    return decode_extras(unit.value(_extras, {"session": session}), public_id)


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


_known: Final = Statement(select(SessionDocument.key, SessionDocument.digest).where(_of_session))
_insert_documents: Final = RowStatement(
    insert(SessionDocument).values(
        session_id=bindparam("session"), key=bindparam("name"), digest=bindparam("digest"), payload=bindparam("payload")
    ),
    ("session", "name", "digest", "payload"),
)
_update_documents: Final = RowStatement(
    update(SessionDocument)
    .where(_of_session, SessionDocument.key == bindparam("name"))
    .values(digest=bindparam("new_digest"), payload=bindparam("new_payload")),
    ("new_digest", "new_payload", "session", "name"),
)
_delete_documents: Final = Statement(delete(SessionDocument).where(_of_session, _named))
_insert_extras: Final = Statement(
    insert(SessionExtras).values(session_id=bindparam("session"), payload=bindparam("payload"))
)
_update_extras: Final = Statement(
    update(SessionExtras)
    .where(SessionExtras.session_id == bindparam("session"))
    .values(payload=bindparam("new_payload"))
)
_delete_extras: Final = Statement(delete(SessionExtras).where(SessionExtras.session_id == bindparam("session")))


def add(unit: UnitOfWork, session: int, payloads: Mapping[str, bytes]) -> None:
    """Write the values of a session that has none yet; `payloads` are their JSON by key."""
    small = {key: payload for key, payload in payloads.items() if is_small(key, payload)}
    if small:
        unit.execute(_insert_extras, {"session": session, "payload": json_codec.join_object(small)})
    large = {key: payload for key, payload in payloads.items() if key not in small}
    if large:
        digests = {key: json_codec.digest(payload) for key, payload in large.items()}
        unit.execute_many(_insert_documents, [(session, key, digests[key], large[key]) for key in large])


def has_own_row(key: str, payload: bytes) -> bool:
    """Whether a value has a row of its own that nothing looks for by its key."""
    return key not in COLUMN_KEYS and not is_small(key, payload)


def changed_sizes(unit: UnitOfWork, session: int, payloads: Mapping[str, bytes]) -> list[int]:
    """Return the sizes in bytes of those values that `replace` would write into rows of their own."""
    known: dict[str, bytes] = dict(unit.rows(_known, {"session": session}))
    large = {key: payload for key, payload in payloads.items() if not is_small(key, payload)}
    return [len(payload) for key, payload in large.items() if known.get(key) != json_codec.digest(payload)]


_move_extras: Final = Statement(
    update(SessionExtras)
    .where(SessionExtras.session_id == bindparam("before"))
    .values(session_id=bindparam("after_row"))
)
_move_documents: Final = Statement(
    update(SessionDocument)
    .where(SessionDocument.session_id == bindparam("before"))
    .values(session_id=bindparam("after_row"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Let the values of a session be those of another row, which has none; both are row ids."""
    for statement in (_move_extras, _move_documents):
        unit.execute(statement, {"before": before, "after_row": after})


_copy_extras: Final = Statement(
    insert(SessionExtras).from_select(
        ["session_id", "payload"],
        select(bindparam("copy", type_=RowId), SessionExtras.payload).where(
            SessionExtras.session_id == bindparam("session")
        ),
    )
)
_copy_documents: Final = Statement(
    insert(SessionDocument).from_select(
        ["session_id", "key", "digest", "payload"],
        select(
            bindparam("copy", type_=RowId), SessionDocument.key, SessionDocument.digest, SessionDocument.payload
        ).where(_of_session, ~_named),
    )
)


def copy(unit: UnitOfWork, session: int, copied: int, without: Collection[str] = ()) -> None:
    """Insert the values of a session into another one, which has none; both are row ids.

    Args:
        without: keys of large values that are not copied.
    """
    unit.execute(_copy_extras, {"session": session, "copy": copied})
    unit.execute(_copy_documents, {"session": session, "copy": copied, "keys": list(without)})


def write(
    unit: UnitOfWork, session: int, public_id: str, payloads: Mapping[str, bytes], remove: Collection[str] = ()
) -> bool:
    """Set some of a session's values and remove others, writing what differs; return whether anything did.

    Damaged values are replaced. The small ones are in one row, which is left as it is when none of them is written.

    Args:
        session: its row id.
        public_id: its public id, for messages.
        payloads: the JSON of values by key.
        remove: keys whose values go.
    """
    gone = set(remove) - payloads.keys()
    changed = _write_extras(unit, session, public_id, payloads, gone)
    return _write_documents(unit, session, payloads, gone) or changed


def replace(unit: UnitOfWork, session: int, payloads: Mapping[str, bytes]) -> bool:
    """Make a session have these values and no others, writing what differs; return whether anything did.

    Args:
        session: its row id.
        payloads: the JSON of its values by key.
    """
    small = {key: payload for key, payload in payloads.items() if is_small(key, payload)}
    stored = unit.value(_extras, {"session": session})
    extras = json_codec.join_object(small) if small else None
    changed = _replace_extras(unit, session, stored, extras)
    return _write_documents(unit, session, payloads, None) or changed


def _write_extras(
    unit: UnitOfWork, session: int, public_id: str, payloads: Mapping[str, bytes], gone: Collection[str]
) -> bool:
    if _ROWS.issuperset((*payloads, *gone)):
        return False
    stored = unit.value(_extras, {"session": session})
    small = {key: payload for key, payload in payloads.items() if is_small(key, payload)}
    try:
        values = decode_extras(stored, public_id)
    except DatabaseCorruptError as error:
        if not small:
            return False
        logger.warning("%s They are replaced by %s.", error, ", ".join(map(repr, small)))
        values = {}
    merged: dict[str, bytes] = {}
    for key, value in values.items():
        if key in payloads:
            if is_small(key, payloads[key]):
                merged[key] = payloads[key]
        elif key not in gone:
            merged[key] = json_codec.encode(value)
    merged |= small
    return _replace_extras(unit, session, stored, json_codec.join_object(merged) if merged else None)


def _replace_extras(unit: UnitOfWork, session: int, stored: bytes | None, payload: bytes | None) -> bool:
    if payload == stored:
        return False
    if payload is None:
        unit.execute(_delete_extras, {"session": session})
    elif stored is None:
        unit.execute(_insert_extras, {"session": session, "payload": payload})
    else:
        unit.execute(_update_extras, {"session": session, "new_payload": payload})
    return True


def _write_documents(
    unit: UnitOfWork, session: int, payloads: Mapping[str, bytes], gone: Collection[str] | None
) -> bool:
    """Write those values that have rows of their own; `gone` are the keys to remove, None for all that are left out."""
    known: dict[str, bytes] = dict(unit.rows(_known, {"session": session}))
    large = {key: payload for key, payload in payloads.items() if not is_small(key, payload)}
    digests = {key: json_codec.digest(payload) for key, payload in large.items()}
    same = [key for key, digest in digests.items() if known.get(key) == digest]
    written = large.keys() - (_intact(unit, session, same) if same else set())
    new = sorted(written - known.keys())
    if new:
        unit.execute_many(_insert_documents, [(session, key, digests[key], large[key]) for key in new])
    old = sorted(written & known.keys())
    if old:
        unit.execute_many(_update_documents, [(digests[key], large[key], session, key) for key in old])
    surplus = known.keys() - large.keys()
    if gone is not None:
        surplus &= {*payloads, *gone}
    if surplus:
        unit.execute(_delete_documents, {"session": session, "keys": sorted(surplus)})
    return bool(written or surplus)


def _intact(unit: UnitOfWork, session: int, keys: Collection[str]) -> set[str]:
    """Return those of some values that have their digests."""
    found = unit.rows(_some_documents, {"session": session, "keys": list(keys)})
    return {key for key, payload, digest in found if json_codec.digest(payload) == digest}


#: By the key of a link: the column that has it where the linked row exists.
_LINK_COLUMNS: Final = {"project_id": Session.project_id, "parent_session_id": Session.parent_id}
_unlinked: Final = {
    key: select(Session.id, Session.profile, SessionDocument.payload)
    .join(SessionDocument, SessionDocument.session_id == Session.id)
    .where(SessionDocument.key == bindparam("name"), column.is_(None), NOT_STAGED)
    for key, column in _LINK_COLUMNS.items()
}
_all_unlinked: Final = {key: Statement(query) for key, query in _unlinked.items()}
_one_unlinked: Final = {
    key: Statement(query.where(Session.id == bindparam("session"))) for key, query in _unlinked.items()
}


def unlinked(unit: UnitOfWork, key: str, session: int | None = None) -> list[tuple[int, str, bytes]]:
    """Return the sessions that have the id of a project or of a parent as a value only, and are not linked to any.

    Args:
        key: "project_id" or "parent_session_id".
        session: only this one, by row id.

    Returns:
        Their row ids and profiles, with the value's JSON. Those whose value is damaged are left out.
    """
    if session is None:
        rows = unit.rows(_all_unlinked[key], {"name": key})
    else:
        rows = unit.rows(_one_unlinked[key], {"name": key, "session": session})
    return [(row_id, profile, payload) for row_id, profile, payload in rows if json_codec.is_whole(payload)]


_naming: Final = Statement(
    select(Session.id, SessionDocument.payload)
    .join(SessionDocument, SessionDocument.session_id == Session.id)
    .where(SessionDocument.key == bindparam("name"), NOT_STAGED)
)


def sessions_with(unit: UnitOfWork, key: str) -> list[tuple[int, bytes]]:
    """Return the row ids of the sessions that have a value for a column's key, with its JSON; as `unlinked`."""
    rows = unit.rows(_naming, {"name": key})
    return [(row_id, payload) for row_id, payload in rows if json_codec.is_whole(payload)]


_delete_of_sessions: Final = Statement(
    delete(SessionDocument).where(
        one_of(SessionDocument.session_id, bindparam("sessions", type_=RowIdList)),
        SessionDocument.key == bindparam("name"),
    )
)


def remove_rows(unit: UnitOfWork, sessions: Collection[int], key: str) -> None:
    """Remove the value of a column's key from sessions, which are given by row id."""
    unit.execute(_delete_of_sessions, {"sessions": list(sessions), "name": key})


_lost_sessions: Final = Statement(
    select(SessionDocument.session_id).where(~exists().where(Session.id == SessionDocument.session_id)).distinct(),
    checked=False,
)
_remove_lone_extras: Final = Statement(
    delete(SessionExtras).where(~exists().where(Session.id == SessionExtras.session_id))
)


def without_session(unit: UnitOfWork) -> list[Any]:
    """Return the row ids of sessions that large documents refer to and that are not there."""
    return unit.values(_lost_sessions)


def remove_lone_extras(unit: UnitOfWork) -> int:
    """Remove the small documents that belong to no session, and return how many rows."""
    return unit.execute(_remove_lone_extras)
