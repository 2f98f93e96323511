"""The messages of many sessions, as a search reads them: several sessions by one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from ..storage import message_reading, session_keys
from ..storage.engine import Database
from ..storage.message_reading import Stored
from ..storage.session_keys import Length
from ..transcripts.payload_texts import may_have

#: How many ids are looked up, and how many messages are read, at once. (One session may have more messages.)
_IDS: Final = 1_000
_MESSAGES: Final = 2_000


def contents(
    database: Database, session_ids: Sequence[str], first: int | None, text: str | None
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the ids of sessions that are not deleted, and their messages, in the order of the ids.

    No transaction is open between two of them.

    Args:
        first: how many messages of each session; all when None.
        text: leave out the sessions that certainly have no message with this text.
    """
    is_wanted = None if text is None or not text.split() else may_have(text)
    for start in range(0, len(session_ids), _IDS):
        some = session_ids[start : start + _IDS]
        with database.read() as unit:
            lengths = session_keys.lengths(unit, some)
        for part in _parts([lengths[session_id] for session_id in some if session_id in lengths], first):
            with database.read() as unit:
                found = message_reading.read_many(unit, (one.row_id for one in part), first)
            for one in part:
                rows = found.pop(one.row_id, [])
                if is_wanted is None or _is_possible(is_wanted, rows):
                    yield one.session_id, message_reading.decode_sound(one.session_id, rows)


def _is_possible(may_have_it: Callable[[Iterable[bytes]], bool], rows: Sequence[Stored]) -> bool:
    try:
        return may_have_it([row[0] for row in rows])
    except TypeError:  # a damaged payload, which is logged when it is decoded
        return True


def _parts(sessions: Sequence[Length], first: int | None) -> Iterator[list[Length]]:
    part: list[Length] = []
    messages = 0
    for one in sessions:
        count = one.message_count if first is None else min(one.message_count, first)
        if part and messages + count > _MESSAGES:
            yield part
            part, messages = [], 0
        part.append(one)
        messages += count
    if part:
        yield part
