"""A message encoded for the database: its payload, its digest, and the columns that come from it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from . import json_codec

ROLE_LIMIT: Final = 64
USER: Final = "user"
#: The role of messages that a tool wrote, in answer to the model. They do not count as activity.
TOOL: Final = "tool"
#: 2100-01-01: no later time is believed, because a session with one would be the first of every list for ever.
LATEST: Final = 4102444800.0
#: 2000-01-01: no milliseconds, microseconds or nanoseconds are believed to be an earlier time.
_EARLIEST_SCALED: Final = 946684800.0


class Encoded(NamedTuple):
    """A message ready to be written: its payload, and the columns that come from it."""

    payload: bytes
    digest: bytes
    role: str | None
    timestamp: float | None


def encode(messages: Iterable[Any]) -> list[Encoded]:
    """Return messages ready to be written.

    Raises:
        InvalidPayloadError: one is not a JSON value; it names the place.
    """
    return [encode_one(message, f"message {index}") for index, message in enumerate(messages)]


def encode_and_release(messages: list[Any]) -> list[Encoded]:
    """Encode messages, and replace each in the list by None, so that a large transcript is in memory only once.

    Args:
        messages: as `json_codec.decode_strictly` returned them.
    """
    encoded = []
    for index, message in enumerate(messages):
        try:
            payload = json_codec.encode_strictly(message)
        except ValueError:
            payload = json_codec.encode(message, f"message {index}")
        encoded.append(_encoded(message, payload))
        messages[index] = None
    return encoded


def encode_one(message: Any, place: str = "message") -> Encoded:
    """Return a message ready to be written; as `encode`."""
    return _encoded(message, json_codec.encode(message, place))


def _encoded(message: Any, payload: bytes) -> Encoded:
    role = timestamp = None
    if isinstance(message, dict):
        role = message.get("role")
        if not isinstance(role, str) or len(role) > ROLE_LIMIT:
            role = None
        timestamp = parse_time(message.get("timestamp"))
        if timestamp is None:
            timestamp = parse_time(message.get("_ts"))
    return Encoded(payload, json_codec.digest(payload), role, timestamp)


def users(messages: Iterable[Encoded]) -> int:
    """Return how many messages have the role "user"."""
    return sum([message.role == USER for message in messages])


def last_timestamp(messages: Sequence[Encoded]) -> float | None:
    """Return the timestamp of the last message that has one."""
    return next((message.timestamp for message in reversed(messages) if message.timestamp is not None), None)


def last_activity(messages: Sequence[Encoded]) -> float | None:
    """Return the timestamp of the last message that has one and is not the result of a tool."""
    return next((one.timestamp for one in reversed(messages) if one.timestamp is not None and one.role != TOOL), None)


def parse_time(value: Any) -> float | None:
    """Return the epoch seconds that a number or an ISO 8601 text says; None when it says no sane time.

    A text without a zone is taken as UTC. A number that is a time since 2000 in milliseconds, microseconds or
    nanoseconds is taken as such.
    """
    if type(value) is float and 0 < value <= LATEST:  # as most are
        return value
    if isinstance(value, str):
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        value = moment.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if 0 < value <= LATEST:  # false for NaN, too
        return float(value)
    for unit in (1e3, 1e6, 1e9):
        if _EARLIEST_SCALED * unit <= value <= LATEST * unit:
            return float(value / unit)
    return None
