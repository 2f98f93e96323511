"""Who wins where two live objects changed the same field of a session: one rule for each kind of field.

Pure functions of the three versions: base (as it was read), local, and remote (as the store has it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..records import UNTITLED
from .titles import title_from

#: Totals that are only counted up: what both added is added.
COUNTERS: Final = frozenset(
    {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "estimated_cost"}
)
#: The id of the running stream.
ACTIVE: Final = "active_stream_id"
#: What belongs to a running stream, and goes with it.
STREAM: Final = frozenset(
    {ACTIVE, "pending_user_message", "pending_attachments", "pending_started_at", "pending_user_source"}
)
TITLE: Final = "title"
#: Says, in newer versions, that the user gave the title.
MANUAL: Final = "manual_title"
#: Says that a model made the title.
GENERATED: Final = "llm_title_generated"
UPDATED: Final = "updated_at"
#: The list of records that name messages by their positions, and the key of such a position.
CALLS: Final = "tool_calls"
_CALLS_MESSAGE: Final = "assistant_msg_idx"

Number = int | float


def number_of(value: Any) -> Number | None:
    """Return the number that a counter has; 0 for None, and None for what no sum can be made with."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def add_up(base: Any, local: Any, remote: Any) -> Number | None:
    """Return what a counter is with the increments of both.

    None if one of its values is no number, or if both set it back: then no sum is meant.
    """
    from_base, from_local, from_remote = (number_of(value) for value in (base, local, remote))
    if from_base is None or from_local is None or from_remote is None:
        return None
    if from_local < from_base and from_remote < from_base:
        return None
    try:
        return number_of(from_remote + (from_local - from_base))
    except OverflowError:  # an integer too large for a sum with a float
        return None


def later(local: Any, remote: Any) -> Literal["local", "remote"]:
    """Return which of two times is the later one; the local one if the other is no time, or the same."""
    local_time, remote_time = (None if value is None else number_of(value) for value in (local, remote))
    if remote_time is None or (local_time is not None and local_time >= remote_time):
        return "local"
    return "remote"


def stream_owner(
    local_changed: Set[str], remote_changed: Set[str], local: Mapping[str, Any], remote: Mapping[str, Any]
) -> Literal["local", "remote"] | None:
    """Return whose stream state is kept as a whole; None where each field is judged alone.

    A side that began a stream has it, rather than one that ended the former stream, or changed a pending message. If
    both began one, the local one was the last.
    """
    if local_changed.isdisjoint(STREAM) or remote_changed.isdisjoint(STREAM):
        return None
    if ACTIVE in local_changed and local.get(ACTIVE):
        return "local"
    return "remote" if ACTIVE in remote_changed and remote.get(ACTIVE) else None


def is_automatic(values: Mapping[str, Any], changed: Set[str], messages: Callable[[], Iterable[Any]]) -> bool:
    """Whether a program made a title: a model, the first message, or that there is none yet.

    Args:
        values: one side's: its title, and what it has of `MANUAL` and `GENERATED`.
        changed: which keys this side changed.
        messages: returns its first messages.
    """
    if values.get(MANUAL):
        return False
    # Versions that do not know `MANUAL` leave `GENERATED` as it is when the user renames.
    if values.get(GENERATED) and (MANUAL in values or GENERATED in changed):
        return True
    title = values.get(TITLE)
    return title in (None, "", UNTITLED) or title == title_from(messages())


def are_versions(local: Any, remote: Any) -> bool:
    """Whether two messages that are in the place of one message can be versions of it.

    They cannot if their roles or ids differ, or both their contents and their times: then one of the writers removed
    the message and appended another one.
    """
    if not (isinstance(local, dict) and isinstance(remote, dict)):
        return True
    if local.get("role") != remote.get("role"):
        return False
    if any(_differ(local.get(key), remote.get(key)) for key in ("id", "message_id")):
        return False
    times = [message.get("timestamp") or message.get("_ts") for message in (local, remote)]
    return not (_differ(*times) and local.get("content") != remote.get("content"))


def id_of(message: Any) -> str | int | None:
    """Return the id that a message has in it; None if it has none."""
    if isinstance(message, dict):
        for key in ("id", "message_id"):
            if isinstance(message.get(key), str | int):
                return message[key]  # type: ignore[no-any-return]
    return None


def _differ(local: Any, remote: Any) -> bool:
    return local is not None and remote is not None and bool(local != remote)


def are_records(values: Iterable[Any]) -> bool:
    """Whether all of some values are JSON objects."""
    return all(isinstance(value, dict) for value in values)


@dataclass(frozen=True)
class Places:
    """Where the messages of one version are in the merged transcript."""

    positions: Mapping[int, int]
    #: How many messages the version has, and how many more there are in the merged transcript.
    length: int
    growth: int

    def at(self, position: int) -> int:
        """Return where a message is now; one that the version does not have yet will be appended."""
        return position + self.growth if position >= self.length else self.positions.get(position, position)

    def move(self, call: Any) -> Any:
        """Return a record of `CALLS` that names its message by where that is now: the very one if it does already."""
        position = call.get(_CALLS_MESSAGE) if isinstance(call, dict) else None
        if type(position) is not int or self.at(position) == position:
            return call
        return {**call, _CALLS_MESSAGE: self.at(position)}

    def move_in_place(self, call: Any) -> None:
        """Make a record of `CALLS` name its message by where that is now."""
        moved = self.move(call)
        if moved is not call:
            call[_CALLS_MESSAGE] = moved[_CALLS_MESSAGE]
