"""JSON text of values that are nested deeper than the codecs can follow, written and read without recursion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final


def encode(value: Any) -> Iterator[str]:
    """Yield the pieces of `value`'s JSON text (compact) without recursion."""
    scalar = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
    stack: list[tuple[Iterator[Any], str]] = []
    current = value
    while True:
        closer = ""
        if isinstance(current, dict):
            opener, closer, children = "{", "}", iter(list(current.items()))
        elif isinstance(current, list | tuple):
            opener, closer, children = "[", "]", iter(current)
        if closer:
            yield opener
            stack.append((children, closer))
            separator = ""
        else:
            yield scalar(current)
            separator = ","
        while stack:
            children, closer = stack[-1]
            try:
                current = next(children)
            except StopIteration:
                stack.pop()
                yield closer
                separator = ","
                continue
            yield separator
            if closer == "}":
                key, current = current
                yield scalar(key) + ":"
            break
        else:
            return


_scan_scalar: Final = json.JSONDecoder().raw_decode
_skip_blank: Final = re.compile(r"[ \t\n\r]*").match


def decode(text: str) -> Any:  # noqa: PLR0912 - one loop, so that depth is no limit
    """Parse JSON text without recursion; the scalars by the standard library's scanner."""
    holders: list[list[Any] | dict[str, Any]] = []
    keys: list[str] = []
    pos = _blank_end(text, 0)
    while True:
        value: Any
        opener = text[pos : pos + 1]
        if opener in ("[", "{"):
            value = [] if opener == "[" else {}
            pos = _blank_end(text, pos + 1)
            if text[pos : pos + 1] != ("]" if opener == "[" else "}"):
                holders.append(value)
                if opener == "{":
                    pos = _scan_key(text, pos, keys)
                continue
            pos += 1
        else:
            value, pos = _scan_scalar(text, pos)
        while True:  # the value is whole: hand it to its holder, which may be whole by it
            pos = _blank_end(text, pos)
            if not holders:
                if pos != len(text):
                    raise json.JSONDecodeError("Extra data", text, pos)
                return value
            holder = holders[-1]
            if isinstance(holder, list):
                holder.append(value)
            else:
                holder[keys.pop()] = value
            mark = text[pos : pos + 1]
            if mark == ",":
                pos = _blank_end(text, pos + 1)
                if isinstance(holder, dict):
                    pos = _scan_key(text, pos, keys)
                break
            if mark != ("]" if isinstance(holder, list) else "}"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, pos)
            pos += 1
            value = holders.pop()


def _blank_end(text: str, pos: int) -> int:
    match = _skip_blank(text, pos)
    return match.end() if match else pos


def _scan_key(text: str, pos: int, keys: list[str]) -> int:
    """Read ``"key":`` at `pos`, push the key, and return where its value begins."""
    if text[pos : pos + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, pos)
    key, pos = _scan_scalar(text, pos)
    pos = _blank_end(text, pos)
    if text[pos : pos + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, pos)
    keys.append(key)
    return _blank_end(text, pos + 1)
