"""Cuts: what writes remove from transcripts or overwrite in them, kept so that it can be brought back.

What is kept is bounded. When a cut is made, the oldest ones of its session are removed that are more than
`SESSION_CUTS`, or for which there is no room in `SESSION_BYTES`; its last cut stays, whatever its size. At every
sixteenth cut, the oldest ones of all are removed that are older than `KEPT_SECONDS`, or for which there is no room in
`ALL_BYTES` and `ALL_CUTS`. Removing the oldest cuts leaves the others complete: a former state is found from the
present one backwards.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from ..errors import DatabaseCorruptError
from ..transcripts import kept_runs
from ..transcripts.encoding import Encoded
from ..transcripts.kept_runs import Run
from . import kept_rows
from .message_differences import Difference
from .schema import kept_message_table, message_cut_table, session_table
from .session_keys import SessionKey
from .statement import Statement, one_of
from .types import RowIdList
from .unit_of_work import UnitOfWork

#: The bounds for one session: cuts, and bytes of payloads.
SESSION_CUTS: Final = 100
SESSION_BYTES: Final = 64 * 2**20
#: The bounds for a store.
ALL_CUTS: Final = 10_000
ALL_BYTES: Final = 2**30
#: How long what was cut is kept, in seconds: 30 days.
KEPT_SECONDS: Final = 30 * 86400.0
#: The bounds for a store are checked once in this number of cuts.
_EVERY: Final = 16
#: How many of a store's oldest cuts are removed at once, at most, and bytes of them, unless one is larger.
_OLDEST: Final = 100
_OLDEST_BYTES: Final = 16 * 2**20

Verb = Literal["truncate", "clear", "replace", "update", "save", "import", "stream", "undo"]
#: The cuts that are no user's: what they keep is for older states.
_NOT_UNDONE: Final = ("undo", "stream")


class Cut(NamedTuple):
    """A cut; see `message_cut_table`."""

    id: int
    verb: str
    cut_at: float
    since_revision: int
    revision: int
    undo_revision: int
    undone_revision: int | None
    message_count: int
    messages: int
    size: int
    #: As stored.
    runs: bytes

    def unchanged(self) -> list[Run]:
        """Return the messages that it left unchanged.

        Raises:
            DatabaseCorruptError: the row is damaged.
        """
        try:
            return kept_runs.decode(self.runs, self.message_count)
        except ValueError as error:
            raise damaged(f"its runs are damaged ({error})") from error


def damaged(problem: str) -> DatabaseCorruptError:
    """Return the error for kept messages that cannot be brought back."""
    return DatabaseCorruptError(
        f"What is kept of a session's former messages is damaged in the database: {problem}. Nothing was written; "
        "restore a backup, or remove what is kept with messages.purge_history."
    )


# ── Keeping ──

_insert: Final = Statement(
    insert(message_cut_table)
    .values(
        {
            name: bindparam(name)
            for name in (
                *("session_id", "verb", "cut_at", "since_revision", "revision", "undo_revision", "undone_revision"),
                *("message_count", "runs"),
            )
        }
    )
    .returning(message_cut_table.c.id)
)
_set_size: Final = Statement(
    update(message_cut_table)
    .where(message_cut_table.c.id == bindparam("cut_row"))
    .values({name: bindparam(name) for name in ("message_count", "messages", "size")})
)


def keep(unit: UnitOfWork, key: SessionKey, verb: Verb, runs: Sequence[Run]) -> int:
    """Keep the messages of a session that are about to be removed or overwritten; none if it is only appended to.

    Args:
        key: the session, whose row is locked, before the write.
        verb: what writes.
        runs: what stays unchanged.

    Returns:
        How many of these messages have the role "user".
    """
    if kept_runs.is_append(runs, key.message_count):
        return 0
    cut, users = add(unit, key, verb, runs)
    trim(unit, key.id, cut)
    return users


def keep_difference(unit: UnitOfWork, key: SessionKey, verb: Verb, difference: Difference) -> int:
    """Keep what writing a difference removes or overwrites; as `keep`."""
    if difference.row_ids is None:
        return keep_damaged(unit, key, verb)
    return keep(unit, key, verb, kept_runs.runs_of(difference.changes))


def add(
    unit: UnitOfWork, key: SessionKey, verb: Verb, runs: Sequence[Run], *, undone_revision: int | None = None
) -> tuple[int, int]:
    """Keep messages as `keep`, without looking at the bounds; return the cut's row id, and what `keep` returns."""
    cut = _add(unit, key, verb, runs, undone_revision)
    kept_rows.copy_ranges(unit, cut, key.id, list(kept_runs.gaps(runs, key.message_count)))
    return cut, _note_size(unit, cut, key.message_count)


def add_former(unit: UnitOfWork, key: SessionKey, messages: Mapping[int, Encoded], runs: Sequence[Run]) -> None:
    """Keep messages that a session never had, as if its next revision had removed them.

    Args:
        key: the session, whose row is locked, as it is said to have been with them.
        messages: those that it does not have, by position in the former transcript.
        runs: the others.
    """
    cut = _add(unit, key, "import", runs, None)
    kept_rows.add(unit, cut, messages)
    _note_size(unit, cut, key.message_count)
    trim(unit, key.id, cut)


def keep_damaged(unit: UnitOfWork, key: SessionKey, verb: Verb) -> int:
    """Keep all messages of a session whose positions are damaged, and forget its older cuts, which need positions.

    Returns:
        As `keep`.
    """
    forget(unit, key.id)
    cut = _add(unit, key, verb, [], None)
    kept_rows.copy_all(unit, cut, key.id)
    return _note_size(unit, cut, None)


def _add(unit: UnitOfWork, key: SessionKey, verb: str, runs: Sequence[Run], undone: int | None) -> int:
    values = {
        "session_id": key.id,
        "verb": verb,
        "cut_at": time.time(),
        "since_revision": key.transcript_revision,
        "revision": key.revision + 1,
        "undo_revision": key.revision + 1,
        "undone_revision": undone,
        "message_count": key.message_count,
        "runs": kept_runs.encode(runs),
    }
    cut: int = unit.value(_insert, values)
    return cut


def _note_size(unit: UnitOfWork, cut: int, count: int | None) -> int:
    messages, users, size = kept_rows.measure(unit, cut)
    count = messages if count is None else count
    unit.execute(_set_size, {"cut_row": cut, "message_count": count, "messages": messages, "size": size})
    return users


# ── Bounds ──

_sizes: Final = Statement(
    select(message_cut_table.c.id, message_cut_table.c.size)
    .where(message_cut_table.c.session_id == bindparam("session"))
    .order_by(message_cut_table.c.id.desc()),
    checked=False,
)
_remove: Final = Statement(
    delete(message_cut_table).where(one_of(message_cut_table.c.id, bindparam("rows", type_=RowIdList)))
)
_total: Final = Statement(select(func.count(), func.coalesce(func.sum(message_cut_table.c.size), 0)), checked=False)
_oldest: Final = Statement(
    select(message_cut_table.c.id, message_cut_table.c.size, message_cut_table.c.cut_at)
    .order_by(message_cut_table.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True),
    checked=False,
)


def trim(unit: UnitOfWork, session: int, newest: int) -> None:
    """Remove the oldest cuts that are more than the bounds allow.

    Args:
        session: the row id of the session of which a cut was made.
        newest: the cut's row id.
    """
    rows = unit.rows(_sizes, {"session": session})
    total = 0
    surplus = []
    for number, (cut, size) in enumerate(rows):
        total += _number(size)
        if number and (number >= SESSION_CUTS or total > SESSION_BYTES):
            surplus.append(cut)
    if surplus:
        unit.execute(_remove, {"rows": surplus})
    if newest % _EVERY == 0:
        _trim_all(unit, newest)


def _trim_all(unit: UnitOfWork, newest: int) -> None:
    [(count, size)] = unit.rows(_total)
    surplus, surplus_bytes = _number(count) - ALL_CUTS, _number(size) - ALL_BYTES
    until = time.time() - KEPT_SECONDS
    removed: list[int] = []
    total = 0
    for cut, of_cut, cut_at in unit.rows(_oldest, {"most": _OLDEST}):
        is_old = type(cut_at) is float and cut_at < until
        is_surplus = len(removed) < surplus or total < surplus_bytes
        if cut == newest or not (is_old or is_surplus) or (removed and total + _number(of_cut) > _OLDEST_BYTES):
            break
        removed.append(cut)
        total += _number(of_cut)
    if removed:
        unit.execute(_remove, {"rows": removed})


def _number(value: Any) -> int:
    """Return a size, or a sum of sizes, which PostgreSQL gives as a decimal number; 0 for what a damaged row has."""
    return int(value) if isinstance(value, int | float | Decimal) and -(2**62) < value < 2**62 else 0


_remove_of_session: Final = Statement(
    delete(message_cut_table).where(message_cut_table.c.session_id == bindparam("session"))
)


def forget(unit: UnitOfWork, session: int) -> None:
    """Remove all that is kept of a session, which is given by row id."""
    unit.execute(_remove_of_session, {"session": session})


@functools.cache
def _expired(of_profile: bool) -> Statement:
    query = select(message_cut_table.c.id, message_cut_table.c.messages, message_cut_table.c.size).where(
        message_cut_table.c.cut_at <= bindparam("until")
    )
    if of_profile:
        query = query.join(session_table, session_table.c.id == message_cut_table.c.session_id)
        query = query.where(session_table.c.profile == bindparam("of_profile"))
    query = query.order_by(message_cut_table.c.id).limit(bindparam("most"))
    return Statement(query.with_for_update(skip_locked=True, of=message_cut_table), checked=False)


def remove_expired(unit: UnitOfWork, until: float, profile: str | None) -> tuple[int, int]:
    """Remove some of the cuts made at a time or before it, the oldest first; return how many, and their messages.

    Args:
        profile: only this profile's; all when None.
    """
    parameters: dict[str, Any] = {"until": until, "most": _OLDEST}
    if profile is not None:
        parameters["of_profile"] = profile
    removed: list[int] = []
    total = messages = 0
    for cut, count, size in unit.rows(_expired(profile is not None), parameters):
        if removed and total + _number(size) > _OLDEST_BYTES:
            break
        removed.append(cut)
        total += _number(size)
        messages += _number(count)
    if removed:
        unit.execute(_remove, {"rows": removed})
    return len(removed), messages


# ── Reading ──

_sums: Final = (
    func.count(),
    func.coalesce(func.sum(message_cut_table.c.messages), 0),
    func.coalesce(func.sum(message_cut_table.c.size), 0),
)
_of_all: Final = Statement(select(*_sums).select_from(message_cut_table), checked=False)
_of_one_profile: Final = Statement(
    select(*_sums)
    .select_from(message_cut_table)
    .join(session_table, session_table.c.id == message_cut_table.c.session_id)
    .where(session_table.c.profile == bindparam("of_profile")),
    checked=False,
)


def totals(unit: UnitOfWork, profile: str | None) -> dict[str, int]:
    """Return how much is kept of a profile's sessions (of all when None), by the names of `StoreStats`."""
    if profile is None:
        [row] = unit.rows(_of_all)
    else:
        [row] = unit.rows(_of_one_profile, {"of_profile": profile})
    return dict(zip(("cuts", "kept_messages", "kept_bytes"), map(_number, row), strict=True))


_cuts: Final = select(*(message_cut_table.c[name] for name in Cut._fields)).where(
    message_cut_table.c.session_id == bindparam("session")
)
_all: Final = Statement(_cuts.order_by(message_cut_table.c.id.desc()))
_last: Final = Statement(
    _cuts.where(
        *(message_cut_table.c.verb != literal_column(f"'{verb}'") for verb in _NOT_UNDONE),
        message_cut_table.c.id < bindparam("before"),
    )
    .order_by(message_cut_table.c.id.desc())
    .limit(1)
)
_digests: Final = Statement(
    select(kept_message_table.c.digest)
    .join(message_cut_table, message_cut_table.c.id == kept_message_table.c.cut_id)
    .where(message_cut_table.c.session_id == bindparam("session"))
)
_last_revision: Final = Statement(
    select(message_cut_table.c.revision)
    .where(message_cut_table.c.session_id == bindparam("session"))
    .order_by(message_cut_table.c.id.desc())
    .limit(1)
)


def cuts_of(unit: UnitOfWork, session: int) -> list[Cut]:
    """Return the cuts of a session, which is given by row id, the last one first."""
    return [Cut._make(row) for row in unit.rows(_all, {"session": session})]


def digests(unit: UnitOfWork, session: int) -> Collection[bytes]:
    """Return the digests of the messages that are kept of a session, which is given by row id."""
    return unit.values(_digests, {"session": session})


def last_to_undo(unit: UnitOfWork, session: int, before: int = 2**63 - 1) -> Cut | None:
    """Return the last cut of a session that can be undone; None if there is none.

    Args:
        before: a cut's row id: only those before it.
    """
    row = unit.row(_last, {"session": session, "before": before})
    return None if row is None else Cut._make(row)


def last_revision(unit: UnitOfWork, session: int) -> int:
    """Return the revision that the last cut of a session made; 0 if there is none."""
    found: int | None = unit.value(_last_revision, {"session": session})
    return found or 0


_set_undo_revision: Final = Statement(
    update(message_cut_table)
    .where(message_cut_table.c.id == bindparam("cut_row"))
    .values(undo_revision=bindparam("undo_revision"))
)


def allow_undo_at(unit: UnitOfWork, cut: int, revision: int) -> None:
    """Note that a session is again as it was after a cut; `revision` is its `transcript_revision` now."""
    unit.execute(_set_undo_revision, {"cut_row": cut, "undo_revision": revision})


def remove(unit: UnitOfWork, cuts: Iterable[int]) -> None:
    """Remove cuts, which are given by row id, with what they keep."""
    unit.execute(_remove, {"rows": list(cuts)})
