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
from ..webui_format.field_mapping import LINK_COLUMNS
from .document_reading import EXTRAS, KNOWN, NAMED, OF_SESSION, OWN_ROWS, SMALL, SOME_DOCUMENTS, decode_extras
from .schema import NOT_STAGED, session_document_table, session_extras_table, session_table
from .statement import RowStatement, Statement, one_of
from .types import RowId, RowIdList
from .unit_of_work import UnitOfWork

logger = logging.getLogger("hermes_store")

#: In a key, two halves of a character side by side: as a key of a JSON object, they would be read as that character.
_JOINED: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def is_small(key: str, payload: bytes) -> bool:
    """Whether a value is kept in `session_extras`."""
    if key in COLUMN_KEYS:
        return key in LINK_KEYS and payload == b"null"  # a link to nothing is not looked for
    return len(payload) <= SMALL and _JOINED.search(key) is None


_insert_documents: Final = RowStatement(
    insert(session_document_table).values(
        session_id=bindparam("session"), key=bindparam("name"), digest=bindparam("digest"), payload=bindparam("payload")
    ),
    ("session", "name", "digest", "payload"),
)
_update_documents: Final = RowStatement(
    update(session_document_table)
    .where(OF_SESSION, session_document_table.c.key == bindparam("name"))
    .values(digest=bindparam("new_digest"), payload=bindparam("new_payload")),
    ("new_digest", "new_payload", "session", "name"),
)
_delete_documents: Final = Statement(delete(session_document_table).where(OF_SESSION, NAMED))
_insert_extras: Final = Statement(
    insert(session_extras_table).values(session_id=bindparam("session"), payload=bindparam("payload"))
)
_update_extras: Final = Statement(
    update(session_extras_table)
    .where(session_extras_table.c.session_id == bindparam("session"))
    .values(payload=bindparam("new_payload"))
)
_delete_extras: Final = Statement(
    delete(session_extras_table).where(session_extras_table.c.session_id == bindparam("session"))
)


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
    known: dict[str, bytes] = dict(unit.rows(KNOWN, {"session": session}))
    large = {key: payload for key, payload in payloads.items() if not is_small(key, payload)}
    return [len(payload) for key, payload in large.items() if known.get(key) != json_codec.digest(payload)]


_move_extras: Final = Statement(
    update(session_extras_table)
    .where(session_extras_table.c.session_id == bindparam("before"))
    .values(session_id=bindparam("after_row"))
)
_move_documents: Final = Statement(
    update(session_document_table)
    .where(session_document_table.c.session_id == bindparam("before"))
    .values(session_id=bindparam("after_row"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Move the documents of a session to another row, which has none; both are row ids."""
    for statement in (_move_extras, _move_documents):
        unit.execute(statement, {"before": before, "after_row": after})


_copy_extras: Final = Statement(
    insert(session_extras_table).from_select(
        ["session_id", "payload"],
        select(bindparam("copy", type_=RowId), session_extras_table.c.payload).where(
            session_extras_table.c.session_id == bindparam("session")
        ),
    )
)
_copy_documents: Final = Statement(
    insert(session_document_table).from_select(
        ["session_id", "key", "digest", "payload"],
        select(
            bindparam("copy", type_=RowId),
            session_document_table.c.key,
            session_document_table.c.digest,
            session_document_table.c.payload,
        ).where(OF_SESSION, ~NAMED),
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
    stored = unit.value(EXTRAS, {"session": session})
    extras = json_codec.join_object(small) if small else None
    changed = _replace_extras(unit, session, stored, extras)
    return _write_documents(unit, session, payloads, None) or changed


def _write_extras(
    unit: UnitOfWork, session: int, public_id: str, payloads: Mapping[str, bytes], gone: Collection[str]
) -> bool:
    if OWN_ROWS.issuperset((*payloads, *gone)):
        return False
    stored = unit.value(EXTRAS, {"session": session})
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
    known: dict[str, bytes] = dict(unit.rows(KNOWN, {"session": session}))
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
    found = unit.rows(SOME_DOCUMENTS, {"session": session, "keys": list(keys)})
    return {key for key, payload, digest in found if json_codec.digest(payload) == digest}


#: By the key of a link: the column that has it where the linked row exists.
_unlinked: Final = {
    key: select(session_table.c.id, session_table.c.profile, session_document_table.c.payload)
    .join(session_document_table, session_document_table.c.session_id == session_table.c.id)
    .where(session_document_table.c.key == bindparam("name"), session_table.c[column].is_(None), NOT_STAGED)
    for key, column in LINK_COLUMNS.items()
}
_all_unlinked: Final = {key: Statement(query) for key, query in _unlinked.items()}
_one_unlinked: Final = {
    key: Statement(query.where(session_table.c.id == bindparam("session"))) for key, query in _unlinked.items()
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
    select(session_table.c.id, session_document_table.c.payload)
    .join(session_document_table, session_document_table.c.session_id == session_table.c.id)
    .where(session_document_table.c.key == bindparam("name"), NOT_STAGED)
)


def sessions_with(unit: UnitOfWork, key: str) -> list[tuple[int, bytes]]:
    """Return the row ids of the sessions that have a value for a column's key, with its JSON; as `unlinked`."""
    rows = unit.rows(_naming, {"name": key})
    return [(row_id, payload) for row_id, payload in rows if json_codec.is_whole(payload)]


_delete_of_sessions: Final = Statement(
    delete(session_document_table).where(
        one_of(session_document_table.c.session_id, bindparam("sessions", type_=RowIdList)),
        session_document_table.c.key == bindparam("name"),
    )
)


def remove_rows(unit: UnitOfWork, sessions: Collection[int], key: str) -> None:
    """Remove the value of a column's key from sessions, which are given by row id."""
    unit.execute(_delete_of_sessions, {"sessions": list(sessions), "name": key})


_lost_sessions: Final = Statement(
    select(session_document_table.c.session_id)
    .where(~exists().where(session_table.c.id == session_document_table.c.session_id))
    .distinct(),
    checked=False,
)
_remove_lone_extras: Final = Statement(
    delete(session_extras_table).where(~exists().where(session_table.c.id == session_extras_table.c.session_id))
)


def without_session(unit: UnitOfWork) -> list[Any]:
    """Return the row ids of sessions that large documents refer to and that are not there."""
    return unit.values(_lost_sessions)


def remove_lone_extras(unit: UnitOfWork) -> int:
    """Remove the small documents that belong to no session, and return how many rows."""
    return unit.execute(_remove_lone_extras)
