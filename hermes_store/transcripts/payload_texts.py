"""Whether a text may be in messages, without decoding them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from . import json_codec

#: Payloads with one of these may have any letter: an escape stands for one, and U+0130 and U+212A are the letters
#: outside ASCII that have one of ASCII in lower case.
_ANY_LETTER: Final = (b"\\u", "\u0130".encode(), "\u212a".encode())


def may_have(text: str) -> Callable[[Iterable[bytes]], bool]:
    """Return a function that tells of the payloads of some messages whether the text may be in a message.

    It may, if all parts of the text between white space are in the payloads, in upper or lower case. So nothing is
    missed where texts of a message are joined by white space.
    """
    parts = text.lower().split()
    lower = bytes.lower if all(map(str.isascii, parts)) else _lower
    needles = [lower(json_codec.encode(part)[1:-1]) for part in parts]
    needles.sort(key=len, reverse=True)  # a longer one is found, or not, more quickly

    def is_possible(payloads: Iterable[bytes]) -> bool:
        joined = b" ".join(payloads)
        lowered = lower(joined)
        # (One byte is looked for more quickly.)
        return all(needle in lowered for needle in needles) or any(
            mark[:1] in joined and mark in joined for mark in _ANY_LETTER
        )

    return is_possible


def _lower(payload: bytes) -> bytes:
    # Which of two letters a sigma is in lower case depends on what is next to it, which may be an escape here.
    return payload.decode("utf-8", "replace").lower().replace("\u03c2", "\u03c3").encode()
