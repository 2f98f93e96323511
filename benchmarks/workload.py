"""The messages that are written and read, and how the contenders that are written by hand encode them."""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pydantic_core

#: The epoch seconds at which everything begins.
BEGINNING: Final = 1.7e9
_TEXT: Final = (
    "the agent reads a file and writes plan patch test error session store query index row page commit token model "
    'prompt answer because when then value list async python table blob lock retry naïve 测试 🚀 \n `code` "x"'
)
_WORDS: Final = _TEXT.split(" ")


@functools.cache
def _text(number: int) -> str:
    return " ".join(random.Random(number).choices(_WORDS, k=140))


def message(number: int) -> dict[str, Any]:
    """Return a message of about 900 bytes; every fifth has a tool call."""
    value: dict[str, Any] = {
        "role": "user" if number % 2 == 0 else "assistant",
        "content": f"Message {number}. {_text(number % 500)}",
        "timestamp": BEGINNING + number,
    }
    if number % 5 == 3:
        arguments = {"path": "/src/a.py", "line": number}
        value["tool_calls"] = [{"id": f"call_{number}", "name": "read_file", "args": arguments}]
    return value


def messages(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return as many messages in order."""
    return [message(number) for number in range(first, first + count)]


def endless() -> Iterator[dict[str, Any]]:
    """Yield one message after the other."""
    return map(message, itertools.count())


def batches(size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of as many messages."""
    return (messages(size, number * size) for number in itertools.count())


def names(prefix: str) -> Iterator[str]:
    """Yield "prefix0", "prefix1" and so on."""
    return (f"{prefix}{number}" for number in itertools.count())


class Encoded(NamedTuple):
    """A message as the tables have it."""

    payload: bytes
    digest: bytes
    role: str | None
    timestamp: float | None


def encode(value: dict[str, Any]) -> Encoded:
    """Encode a message with the codec and the digest that the library uses, without its checks."""
    payload = pydantic_core.to_json(value, inf_nan_mode="constants")
    return Encoded(payload, digest(payload), value.get("role"), value.get("timestamp"))


def users(encoded: Sequence[Encoded]) -> int:
    """Return how many messages are the user's."""
    return sum(one.role == "user" for one in encoded)


def digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


def decode(payloads: list[bytes]) -> list[Any]:
    """Decode messages with one call."""
    decoded: list[Any] = pydantic_core.from_json(b"[" + b",".join(payloads) + b"]")
    return decoded
