"""Checks of the messages that a session's cuts keep: whether there are as many as were kept, and the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from ..transcripts import json_codec, kept_runs
from .schema import kept_message_table, message_cut_table
from .statement import Statement
from .unit_of_work import UnitOfWork

#: How many bytes of payloads are read by one statement, unless a single one is larger.
_PART_BYTES: Final = 1 << 20
_PART_ROWS: Final = 1_000

_cuts: Final = Statement(
    select(
        message_cut_table.c.id,
        message_cut_table.c.revision,
        message_cut_table.c.message_count,
        message_cut_table.c.messages,
        message_cut_table.c.runs,
    )
    .where(message_cut_table.c.session_id == bindparam("session"))
    .order_by(message_cut_table.c.id),
    checked=False,
)
_of_cut: Final = kept_message_table.c.cut_id == bindparam("cut_row")
_sizes: Final = Statement(
    select(kept_message_table.c.position, func.length(kept_message_table.c.payload))
    .where(_of_cut, kept_message_table.c.position > bindparam("after"))
    .order_by(kept_message_table.c.position)
    .limit(bindparam("most")),
    checked=False,
)
_payloads: Final = Statement(
    select(kept_message_table.c.position, kept_message_table.c.digest, kept_message_table.c.payload)
    .where(_of_cut, kept_message_table.c.position.between(bindparam("first"), bindparam("last")))
    .order_by(kept_message_table.c.position),
    checked=False,
)
_BEFORE_ALL: Final = -(2**62)


def problems(unit: UnitOfWork, session: int) -> Iterator[str]:
    """Yield what is wrong with the kept messages of a session, which is given by row id."""
    for cut, revision, message_count, messages, runs in unit.rows(_cuts, {"session": session}):
        where = f"what was cut after revision {revision - 1 if type(revision) is int else revision!r}"
        try:
            gaps = kept_runs.gaps(kept_runs.decode(runs, message_count), message_count)
            expected = sum(last - first + 1 for first, last in gaps)
        except (ValueError, TypeError) as error:
            yield f"{where} has damaged runs ({error})"
            continue
        found = 0
        for position, digest, payload in _kept(unit, cut):
            found += 1
            if payload is None:
                yield f"{where} has no body for message {position!r}"
            elif type(payload) is not bytes or json_codec.digest(payload) != digest:
                yield f"{where} has another message {position!r} than was written"
        if not found == messages == expected:
            yield f"{where} has {found} messages; its row counts {messages!r}, and has to count {expected}"


def _kept(unit: UnitOfWork, cut: int) -> Iterator[Any]:
    after = _BEFORE_ALL
    while rows := unit.rows(_sizes, {"cut_row": cut, "after": after, "most": _PART_ROWS}):
        first, size = rows[0][0], 0
        for position, length in rows:
            if size and size + (length or 0) > _PART_BYTES:
                yield from unit.rows(_payloads, {"cut_row": cut, "first": first, "last": after})
                first, size = position, 0
            size += length or 0
            after = position
        yield from unit.rows(_payloads, {"cut_row": cut, "first": first, "last": after})
        if type(after) is not int:  # a damaged position, which nothing is after
            return
