"""The rows of shares: frozen copies of conversations, each under its token."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, insert, select, tuple_, update

from ..errors import DatabaseCorruptError, ShareExistsError
from ..pagination import check_limit, read_cursor, write_cursor
from ..records import Page, ShareRecord
from ..transcripts import json_codec
from .schema import session_table, share_payload_table, share_table
from .statement import Statement, one_of
from .types import IdList
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork

_CURSOR: Final = "shares"


class ShareRow(NamedTuple):
    """A share without its payload, and what its session says about it."""

    id: int
    token: str
    #: The session's row id.
    session: int
    #: The session's public id.
    session_id: str
    profile: str
    created_at: float
    updated_at: float
    revoked_at: float | None
    #: Of the payload.
    digest: bytes
    #: When the session was deleted.
    deleted_at: float | None

    @property
    def record(self) -> ShareRecord:
        """The record that it is."""
        return ShareRecord.from_trusted({name: getattr(self, name) for name in ShareRecord.model_fields})


_columns: Final = select(
    share_table.c.id,
    share_table.c.token,
    share_table.c.session_id.label("session"),
    session_table.c.session_id,
    session_table.c.profile,
    share_table.c.created_at,
    share_table.c.updated_at,
    share_table.c.revoked_at,
    share_table.c.digest,
    session_table.c.deleted_at,
)
_row: Final = _columns.join(session_table, session_table.c.id == share_table.c.session_id)
#: For pages, which read the shares in the order of an index: an inner join might begin with all sessions. (Conditions
#: that are false for a null would make it an inner one.)
_outer: Final = _columns.outerjoin(session_table, session_table.c.id == share_table.c.session_id)
_by_token: Final = _row.where(share_table.c.token == bindparam("token"))
_find: Final = Statement(_by_token)
_find_and_lock: Final = Statement(_by_token.with_for_update(of=share_table))
_among: Final = Statement(_row.where(one_of(share_table.c.token, bindparam("tokens", type_=IdList))))
_of_session: Final = Statement(_row.where(share_table.c.session_id == bindparam("session")).order_by(share_table.c.id))


def find(unit: UnitOfWork, token: str, *, lock: bool = False) -> ShareRow | None:
    """Return the share of a token; None when there is none.

    Args:
        lock: keep others from changing its row until the transaction ends.
    """
    row = unit.row(_find_and_lock if lock else _find, {"token": token})
    return None if row is None else ShareRow._make(row)


def find_among(unit: UnitOfWork, tokens: Collection[str]) -> dict[str, ShareRow]:
    """Return those of some shares that exist, by token."""
    rows = unit.rows(_among, {"tokens": list(tokens)})
    return {row[1]: ShareRow._make(row) for row in rows}


def of_session(unit: UnitOfWork, session: int) -> list[ShareRow]:
    """Return the shares of a session, which is given by row id; revoked ones, too."""
    return [ShareRow._make(row) for row in unit.rows(_of_session, {"session": session})]


@functools.cache
def _page(of_profile: bool, of_session: bool, is_first: bool) -> Statement:
    order = (share_table.c.created_at, share_table.c.token)
    query = _outer.where(session_table.c.deleted_at.is_(None))
    if of_profile:
        query = query.where(session_table.c.profile.is_not_distinct_from(bindparam("profile")))
    if of_session:
        query = query.where(share_table.c.session_id == bindparam("session"))
    if not is_first:
        last = (bindparam("last_created_at", type_=order[0].type), bindparam("last_token", type_=order[1].type))
        query = query.where(tuple_(*order) < tuple_(*last))
    return Statement(query.order_by(*(column.desc() for column in order)).limit(bindparam("most")))


def page(
    unit: UnitOfWork, profile: str | None, session: int | None, limit: int, after: str | None
) -> Page[ShareRecord]:
    """Return a page of the shares of sessions that are not deleted, the newest first.

    Args:
        profile: only those of this profile's sessions; of all when None.
        session: only those of this session, by row id; of all when None.
        limit, after: as in `Shares.list`.
    """
    limit = check_limit(limit)
    parameters: dict[str, Any] = {"profile": profile, "session": session, "most": limit + 1}
    if after is not None:
        created_at, token = read_cursor(_CURSOR, after, float, str)
        parameters |= {"last_created_at": created_at, "last_token": token}
    rows = unit.rows(_page(profile is not None, session is not None, after is None), parameters)
    records = [ShareRow._make(row).record for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=records, next=write_cursor(_CURSOR, records[-1].created_at, records[-1].token) if more else None)


_payload: Final = Statement(
    select(share_payload_table.c.payload).where(share_payload_table.c.share_id == bindparam("share"))
)


def read(unit: UnitOfWork, share: ShareRow) -> dict[str, Any]:
    """Return the JSON object of a share.

    Raises:
        DatabaseCorruptError: it is damaged or missing.
    """
    payload = unit.value(_payload, {"share": share.id})
    if payload is not None and json_codec.digest(payload) == share.digest:
        value: dict[str, Any] = json_codec.decode(payload)
        return value
    problem = "missing" if payload is None else "not what was written"
    raise DatabaseCorruptError(
        f"The copy of share {share.token!r} is damaged in the database: it is {problem}. Restore a backup, or "
        "`refresh` or `delete` the share."
    )


_insert: Final = Statement(
    insert(share_table)
    .values(
        {name: bindparam(name) for name in ("token", "session_id", "created_at", "updated_at", "revoked_at", "digest")}
    )
    .returning(share_table.c.id)
)
_insert_payload: Final = Statement(
    insert(share_payload_table).values(share_id=bindparam("share"), payload=bindparam("payload"))
)


def add(
    unit: UnitOfWork,
    token: str,
    session: int,
    payload: bytes,
    *,
    created_at: float,
    updated_at: float,
    revoked_at: float | None = None,
) -> None:
    """Insert a share.

    Args:
        session: the session's row id.
        payload: its JSON object.

    Raises:
        ShareExistsError: another share has the token.
    """
    values = {"token": token, "session_id": session, "digest": json_codec.digest(payload)}
    times = {"created_at": created_at, "updated_at": updated_at, "revoked_at": revoked_at}
    try:
        share = unit.value(_insert, {**values, **times})
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "shares", "token"):
            raise ShareExistsError(token) from error
        raise
    unit.execute(_insert_payload, {"share": share, "payload": payload})


_replace: Final = Statement(
    update(share_table)
    .where(share_table.c.id == bindparam("share"))
    .values(
        updated_at=bindparam("new_updated_at"), revoked_at=bindparam("new_revoked_at"), digest=bindparam("new_digest")
    )
)
_delete_payload: Final = Statement(
    delete(share_payload_table).where(share_payload_table.c.share_id == bindparam("share"))
)


def replace(
    unit: UnitOfWork, share: int, payload: bytes, *, updated_at: float, revoked_at: float | None = None
) -> None:
    """Replace the payload of a share, which is given by row id."""
    digest = json_codec.digest(payload)
    times = {"new_updated_at": updated_at, "new_revoked_at": revoked_at}
    unit.execute(_replace, {"share": share, "new_digest": digest, **times})
    # Not an update, as the row may be missing in a damaged database.
    unit.execute(_delete_payload, {"share": share})
    unit.execute(_insert_payload, {"share": share, "payload": payload})


_revoke: Final = Statement(
    update(share_table).where(share_table.c.id == bindparam("share")).values(revoked_at=bindparam("new_revoked_at"))
)


def revoke(unit: UnitOfWork, share: int, revoked_at: float) -> None:
    """Revoke a share, which is given by row id."""
    unit.execute(_revoke, {"share": share, "new_revoked_at": revoked_at})


_delete: Final = Statement(delete(share_table).where(share_table.c.id == bindparam("share")))


def remove(unit: UnitOfWork, share: int) -> None:
    """Remove a share, which is given by row id, with its payload."""
    unit.execute(_delete, {"share": share})


_move: Final = Statement(
    update(share_table).where(share_table.c.session_id == bindparam("before")).values(session_id=bindparam("after_row"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Move the shares of a session to the row that it moved to; both are row ids."""
    unit.execute(_move, {"before": before, "after_row": after})


_remove_lone: Final = Statement(
    delete(share_table).where(~exists().where(session_table.c.id == share_table.c.session_id))
)
_remove_lone_payloads: Final = Statement(
    delete(share_payload_table).where(~exists().where(share_table.c.id == share_payload_table.c.share_id))
)


def remove_lone(unit: UnitOfWork) -> int:
    """Remove the shares that belong to no session, and the copies that belong to no share; return how many."""
    return unit.execute(_remove_lone) + unit.execute(_remove_lone_payloads)
