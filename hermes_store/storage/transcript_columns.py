"""The columns of a session that follow from its messages: how many there are, and the times of the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, literal_column, select

from ..transcripts.encoding import TOOL, Encoded, last_activity, last_timestamp
from .schema import message_table
from .session_keys import SessionKey
from .statement import Statement
from .unit_of_work import UnitOfWork


def of_all(messages: Sequence[Encoded]) -> dict[str, Any]:
    """Return the columns of a session that has these messages and no others."""
    return {
        "message_count": len(messages),
        "last_message_at": last_timestamp(messages),
        "last_activity_at": last_activity(messages),
    }


def of_appended(count: int, messages: Sequence[Encoded]) -> dict[str, Any]:
    """Return the columns that change when messages are appended to a session that has `count` of them."""
    columns = {**of_all(messages), "message_count": count + len(messages)}
    return {name: value for name, value in columns.items() if value is not None}


def _last(*conditions: Any) -> Select[Any]:
    query = select(message_table.c.timestamp).where(
        message_table.c.session_id == bindparam("session"), message_table.c.timestamp.is_not(None)
    )
    return query.where(*conditions).order_by(message_table.c.position.desc()).limit(1)


_is_activity: Final = message_table.c.role.is_distinct_from(literal_column(f"'{TOOL}'"))
_last_message_at: Final = Statement(_last())
_both_times: Final = Statement(
    select(
        _last().scalar_subquery().label("last_message_at"),
        _last(_is_activity).scalar_subquery().label("last_activity_at"),
    )
)


def times_after(unit: UnitOfWork, key: SessionKey, written: Encoded | None = None) -> dict[str, Any]:
    """Return the times of a session of which a message was overwritten, or messages were removed.

    Args:
        key: the session before that.
        written: the message that is there now, if one was overwritten.
    """
    # Where no message had such a time, only the one that was written can have it: looking for one would read them all.
    columns = of_all([] if written is None else [written])
    del columns["message_count"]
    if key.last_activity_at is not None:
        columns = last_times(unit, key.id)
    elif key.last_message_at is not None:
        columns["last_message_at"] = unit.value(_last_message_at, {"session": key.id})
    return columns


def last_times(unit: UnitOfWork, session: int) -> dict[str, Any]:
    """Return what `last_message_at` and `last_activity_at` of a session have to be, by row id: as its messages say."""
    [(last_message_at, last_activity_at)] = unit.rows(_both_times, {"session": session})
    return {"last_message_at": last_message_at, "last_activity_at": last_activity_at}
