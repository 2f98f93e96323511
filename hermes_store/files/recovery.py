"""What could be read of a damaged session file, and the words in which the report says so."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Any, Final

from ..quoting import count
from ..transcripts import encoding, json_codec
from ..transcripts.encoding import Encoded

#: Keys that say that an object is a session.
SESSION_KEYS: Final = ("session_id", "title", "messages")
#: How many places a report names.
_MOST_PLACES: Final = 10


@dataclass
class Recovered:
    """A session that is put together from the pieces of a damaged file."""

    #: The session's object, but for its messages.
    data: dict[str, Any] = field(default_factory=dict)
    messages: list[Encoded] = field(default_factory=list)
    #: Whether the end of the object was seen.
    is_closed: bool = False
    #: The bytes that were left out: where they begin and end, and how many messages come before them.
    lost: list[tuple[int, int, int]] = field(default_factory=list)
    #: The places of the messages, and the keys of the values, in which bytes were replaced by escapes.
    escaped: list[str] = field(default_factory=list)
    #: How many messages each other session in the same file has.
    others: list[int] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def add_member(self, key: str, value: Any, *, is_escaped: bool = False) -> None:
        """Keep a value of the session; of several for one key, the first."""
        if key in self.data:
            return
        self.data[key] = value
        if is_escaped:
            self.escaped.append(key)

    def add_message(self, value: Any, *, is_escaped: bool = False) -> None:
        """Keep a message. One that comes after the end of the session is kept unless the session has it already."""
        place = f"message {len(self.messages)}"
        message = encoding.encode_one(value, place)
        if self.is_closed:
            if not self._known:
                self._known.update(known.digest for known in self.messages)
            if message.digest in self._known:
                return
            self._known.add(message.digest)
        self.messages.append(message)
        if is_escaped:
            self.escaped.append(place)

    def take_back_value(self) -> None:
        """Leave out the last message if it is no object."""
        if self.messages and not self.messages[-1].payload.startswith(b"{"):
            self.messages.pop()

    def lose(self, start: int, end: int) -> None:
        """Leave out the bytes from `start` to `end`."""
        if self.lost and self.lost[-1][2] == len(self.messages):
            self.lost[-1] = (self.lost[-1][0], max(end, self.lost[-1][1]), len(self.messages))
        else:
            self.lost.append((start, end, len(self.messages)))

    def describe(self, size: int) -> str:
        """Return what is there and what is missing, in words."""
        found = len(self.messages)
        lost = list(self.lost)
        torn = not self.is_closed and (not lost or lost[-1][1] >= size)
        if torn and lost:
            lost.pop()
        read = count(found, "whole message was", "whole messages were")
        parts = [f"{read} read" if found else "no messages could be read"]
        if torn and found:
            parts[0] += ", and what comes after them is missing"
        if lost:
            places = [f"{end - start} at {start} ({_after(before)})" for start, end, before in lost]
            parts.append(f"bytes that were left out as damaged: {_listed(places)}")
        if self.escaped:
            parts.append(f"bytes that are no text are kept as escapes in {_listed(self.escaped)}")
        if "session_id" not in self.data:  # which is the first key of every version
            parts.append("the beginning of the session is missing or damaged")
        if self.others:
            numbers = _listed([str(number) for number in self.others])
            parts.append(f"the file holds {len(self.others) + 1} sessions; left out are those of {numbers} messages")
        return "; ".join(parts)


def _after(number: int) -> str:
    return f"after message {number - 1}" if number else "before any message"


def _listed(places: list[str]) -> str:
    named = ", ".join(places[:_MOST_PLACES])
    return named if len(places) <= _MOST_PLACES else f"{named} and {len(places) - _MOST_PLACES} more places"


def choose(sessions: list[Recovered]) -> Recovered:
    """Return the session of a file that has most messages, the last of equals, with a count of the others."""
    best = max(range(len(sessions)), key=lambda index: (len(sessions[index].messages), index))
    chosen = sessions[best]
    chosen.others = [len(one.messages) for index, one in enumerate(sessions) if index != best and _is_session(one)]
    return chosen


def _is_session(one: Recovered) -> bool:
    return bool(one.messages) or any(key in one.data for key in SESSION_KEYS)


def decode(content: bytes) -> tuple[Any, bool]:
    """Return the value of a piece of a damaged file, and whether bytes in it were replaced by escapes.

    Raises:
        ValueError: it is no whole value.
    """
    with contextlib.suppress(ValueError):  # then it is read again, as a damaged one
        return json_codec.decode_strictly(content), False
    value = json_codec.decode_damaged(content)
    if isinstance(value, dict) and any(map(_has_control, value)):
        raise ValueError("a key has a character in it that no JSON text has")
    return value, not _is_plain(content)


_has_control: Final = re.compile("[\x00-\x1f]").search


def _is_plain(content: bytes) -> bool:
    """Whether a whole value is JSON as it is, only nested deep or with lone surrogates."""
    if b"\0" in content:  # the standard library would guess at another encoding
        return False
    return json_codec.is_whole(content)


def is_message(value: Any) -> bool:
    """Whether a value of which it is not known where it belongs is a message."""
    return (
        isinstance(value, dict) and isinstance(value.get("role"), str) and ("content" in value or "tool_calls" in value)
    )


def is_session(value: dict[str, Any]) -> bool:
    """Whether an object that is whole is a session, and no message or part of one."""
    if is_message(value):
        return "session_id" in value and "messages" in value
    return any(key in value for key in SESSION_KEYS)


def is_inner_session(value: Any) -> bool:
    """Whether a value inside of a session is another whole session, as the WebUI writes it."""
    return (
        isinstance(value, dict)
        and "session_id" in value
        and isinstance(value.get("messages"), list)
        and not is_message(value)
    )


def may_be_message(value: Any, *, is_damaged: bool) -> bool:
    """Whether an element of an array may be a message, and nothing that damage brought there from another array.

    Args:
        value: the element.
        is_damaged: whether there is damage before it; otherwise any value may be a message.
    """
    if is_damaged:
        return isinstance(value, dict) and ("role" in value or "content" in value)
    return not isinstance(value, dict) or "role" in value or "type" not in value


def are_messages(key: str, value: Any) -> bool:
    """Whether an array of another key than "messages" has the messages: damage changed its key."""
    is_array = isinstance(value, list) and bool(value) and key not in ("messages", "context_messages")
    return is_array and 2 * sum(map(is_message, value)) > len(value)


def is_tool_call(value: Any) -> bool:
    """Whether an object is one of a session's tool calls, which come after the messages."""
    return isinstance(value, dict) and "role" not in value and ("assistant_msg_idx" in value or "args" in value)
