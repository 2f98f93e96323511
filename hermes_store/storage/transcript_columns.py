"""The columns of a session that follow from its messages: how many there are, and the times of the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, literal_column, select

from ..transcripts import encoding
from ..transcripts.encoding import TOOL, USER, Encoded, last_activity, last_timestamp
from .message_differences import Difference
from .schema import message_table
from .session_keys import SessionKey
from .statement import Statement
from .unit_of_work import UnitOfWork


def of_all(messages: Sequence[Encoded]) -> dict[str, Any]:
    """Return the columns of a session that has these messages and no others."""
    return {"message_count": len(messages), "user_message_count": encoding.users(messages), **_times(messages)}


def _times(messages: Sequence[Encoded]) -> dict[str, Any]:
    return {"last_message_at": last_timestamp(messages), "last_activity_at": last_activity(messages)}


def of_appended(key: SessionKey, messages: Sequence[Encoded]) -> dict[str, Any]:
    """Return the columns that change when messages are appended to a session."""
    columns = of_all(messages)
    columns["message_count"] += key.message_count
    columns["user_message_count"] += key.user_message_count
    return {name: value for name, value in columns.items() if value is not None}


def of_difference(key: SessionKey, users: int, difference: Difference, messages: Sequence[Encoded]) -> dict[str, Any]:
    """Return the columns of a session whose transcript became another one.

    Of the messages that stayed, it looks at the last ones alone, for their times.

    Args:
        key: the session before that.
        users: how many messages with the role "user" were removed or overwritten.
        difference: between both transcripts.
        messages: the present one.
    """
    if difference.row_ids is None:
        return of_all(messages)
    changes = difference.changes
    written = [messages[position] for position in (*changes.updated, *changes.inserted)]
    users = key.user_message_count - users + encoding.users(written)
    return {"message_count": len(messages), "user_message_count": users, **_times(messages)}


_in_session: Final = message_table.c.session_id == bindparam("session")


def _last(*conditions: Any) -> Select[Any]:
    query = select(message_table.c.timestamp).where(_in_session, message_table.c.timestamp.is_not(None))
    return query.where(*conditions).order_by(message_table.c.position.desc()).limit(1)


_is_activity: Final = message_table.c.role.is_distinct_from(literal_column(f"'{TOOL}'"))
_last_message_at: Final = Statement(_last())
_both_times: Final = (
    _last().scalar_subquery().label("last_message_at"),
    _last(_is_activity).scalar_subquery().label("last_activity_at"),
)
_users: Final = (
    select(func.count())
    .select_from(message_table)
    .where(_in_session, message_table.c.role == literal_column(f"'{USER}'"))
    .scalar_subquery()
    .label("user_message_count")
)
_last_times: Final = Statement(select(*_both_times))
_stored: Final = Statement(select(_users, *_both_times))


def of_changed(unit: UnitOfWork, key: SessionKey, users: int, written: Encoded | None = None) -> dict[str, Any]:
    """Return the other columns than `message_count` after a message was overwritten, or messages were removed.

    Args:
        key: the session before that.
        users: how many messages with the role "user" were removed or overwritten.
        written: the message that is there now, if one was overwritten.
    """
    # Where no message had such a time, only the one that was written can have it: looking for one would read them all.
    columns = of_all([] if written is None else [written])
    del columns["message_count"]
    columns["user_message_count"] += key.user_message_count - users
    if key.last_activity_at is not None:
        columns |= last_times(unit, key.id)
    elif key.last_message_at is not None:
        columns["last_message_at"] = unit.value(_last_message_at, {"session": key.id})
    return columns


def last_times(unit: UnitOfWork, session: int) -> dict[str, Any]:
    """Return what `last_message_at` and `last_activity_at` of a session have to be, by row id: as its messages say."""
    [(last_message_at, last_activity_at)] = unit.rows(_last_times, {"session": session})
    return {"last_message_at": last_message_at, "last_activity_at": last_activity_at}


def of_stored(unit: UnitOfWork, session: int) -> dict[str, Any]:
    """Return what the other columns than `message_count` of a session have to be; as `last_times`.

    It looks at each of the session's messages.
    """
    [(users, last_message_at, last_activity_at)] = unit.rows(_stored, {"session": session})
    return {
        "user_message_count": users,
        "last_message_at": last_message_at,
        "last_activity_at": last_activity_at,
    }
