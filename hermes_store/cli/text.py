"""Text for a terminal: harmless, short, and as people say it."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any, Final

from ..quoting import count

# Controls (ESC begins terminal commands), line and paragraph separators, marks that turn the direction of
# what follows them, characters without a width (but for the joiners that emoji and some scripts need), tags, and lone
# surrogates, which no terminal's encoding has.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` as it may go to a terminal: nothing in it commands or breaks the output.

    Args:
        lines: keep line breaks and tabs (these as spaces); otherwise each run of white space becomes one space.
    """
    text = re.sub("\r\n|[\u2028\u2029]", "\n", text).expandtabs() if lines else " ".join(text.split())
    return _UNPRINTABLE.sub(_picture, text)


def titled(title: str) -> str:
    """Return a session's title, or what stands for one that is empty."""
    from ..records import UNTITLED

    return title if title.strip() else UNTITLED


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ for ESC, ␀ for NUL
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


def harmless_json(value: Any) -> bytes:
    """Return `value` as JSON text whose strings command no terminal.

    The same value is in it, except that NaN and the infinities, which JSON does not have, are the texts "NaN",
    "Infinity" and "-Infinity".
    """
    from ..transcripts import json_codec

    # Outside of its strings, JSON has none of these characters but line breaks, which `encode` does not write.
    text = json_codec.encode(value).decode("utf-8")
    if _NOT_FINITE.search(text):
        text = _OUTSIDE.sub(lambda match: f'"{match[0]}"' if match[0][0] != '"' else match[0], text)
    return _UNPRINTABLE.sub(_escape, text).encode("utf-8")


_NOT_FINITE: Final = re.compile("NaN|Infinity")
#: A text of JSON, or one of the constants, which stand outside of texts only.
_OUTSIDE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity')


def _escape(match: re.Match[str]) -> str:
    """Return a character as JSON's escapes, of which one beyond U+FFFF has two."""
    halves = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2))


def json_line(value: Any) -> str:
    """Return `value` as printable JSON, in one line."""
    return harmless_json(value).decode("utf-8")


def shortened(text: str, *, lines: int, characters: int) -> str:
    """Return the beginning of `text`, and how much was left out."""
    kept = "\n".join(text[:characters].split("\n")[:lines])
    missing = len(text) - len(kept)
    if missing <= 40:  # saying so would be as long
        return text
    return f"{kept.rstrip()} … ({count(missing, 'character')} more)"


_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = (
    (_HOUR, _MINUTE, "min"),
    (_DAY, _HOUR, "h"),
    (60 * _DAY, _DAY, "d"),
    (730 * _DAY, 30.44 * _DAY, "mo"),
    (math.inf, 365.25 * _DAY, "y"),
)


def age(then: float, now: float) -> str:
    """Return how long ago a time is, in a few characters: "12 min", "3 h", "5 d", "4 mo"."""
    seconds = now - then
    if abs(seconds) < _MINUTE:
        return "now"
    if abs(seconds) > 1000 * 365.25 * _DAY:  # a time that nobody meant
        return "?"
    unit, name = next((unit, name) for limit, unit, name in _UNITS if abs(seconds) < limit)
    return f"{'in ' if seconds < 0 else ''}{abs(seconds) / unit:.0f} {name}"


def moment(then: float) -> str:
    """Return a time as date and time of day, where this machine is."""
    try:
        return f"{datetime.datetime.fromtimestamp(then).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # the year 1e290
        return str(then)
