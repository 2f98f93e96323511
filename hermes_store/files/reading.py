"""Reading one session file: whole where it is whole, and as far as it goes where it is torn."""

from __future__ import annotations

import codecs
import datetime
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .. import payload

_SESSION_KEYS: Final = ("session_id", "title", "messages")


class UnreadableError(Exception):
    """Nothing of the file can be taken as a session; the text says what is wrong with it."""


@dataclass
class SessionFile:
    """What a file said."""

    #: The session's object. The importer empties it as it goes, to keep memory low.
    data: dict[str, Any]
    #: Of the file's bytes.
    digest: bytes
    #: What is wrong with the file and what is missing for it; None for a whole one.
    damage: str | None = None
    notes: list[str] = field(default_factory=list)


def read_session(path: Path) -> SessionFile:
    """Read a session file; a damaged one from its ``.bak`` when that is whole, else as far as it can be read.

    Raises:
        UnreadableError: nothing of it can be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from error
    digest = payload.digest(content)
    try:
        data, notes = _parse(content)
    except UnreadableError as error:
        problem = str(error)
    else:
        return SessionFile(data, digest, notes=notes)
    backup = _read_backup(path)
    if backup is not None:
        data, when = backup
        return SessionFile(data, digest, f"{problem}; taken from its .bak of {when}, and anything newer is missing")
    data, missing = _salvage(content)
    if not any(key in data for key in ("title", "messages", "created_at")):
        raise UnreadableError(problem)
    _require_array(data)
    return SessionFile(data, digest, f"{problem}; {missing}")


def _parse(content: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the session in a file's content, and what is to be noted about it."""
    notes = []
    if not content.strip(b"\0 \t\r\n"):
        raise UnreadableError(f"it is empty ({len(content)} blank bytes)" if content else "it is empty")
    try:
        data = payload.decode(content)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"it is not UTF-8 at byte {error.start} of {len(content)}") from error
    except json.JSONDecodeError as error:
        where = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
        if error.msg != "Extra data":
            raise UnreadableError(f"it is torn or damaged at byte {where} of {len(content)} ({error.msg})") from error
        data = _leading_object(error)
        notes.append(f"{len(content) - where} bytes behind the end of the session were left out")
    except ValueError as error:  # an integer of thousands of digits
        raise UnreadableError(f"it is damaged ({error})") from error
    if not isinstance(data, dict):
        raise UnreadableError(f"it is no session: it holds a JSON {_KINDS.get(type(data), 'value')}, not an object")
    if not any(key in data for key in _SESSION_KEYS):
        raise UnreadableError(f"it is no session: it has none of the keys {', '.join(_SESSION_KEYS)}")
    _require_array(data)
    return data, notes


def _require_array(data: dict[str, Any]) -> None:
    messages = data.get("messages")
    if not isinstance(messages, list | None):
        raise UnreadableError(f"its messages are a JSON {_KINDS.get(type(messages), 'value')}, not an array")


_KINDS: Final = {list: "array", dict: "object", str: "string", int: "number", float: "number", bool: "boolean"}


def _leading_object(error: json.JSONDecodeError) -> dict[str, Any]:
    """Return the whole object that a file begins with, when something follows it.

    A shorter text written in place over a longer one leaves the longer one's end behind.
    """
    data = json.loads(error.doc[: error.pos])
    if not isinstance(data, dict):
        raise UnreadableError("it holds several JSON values, and the first is not an object") from error
    return data


def _read_backup(path: Path) -> tuple[dict[str, Any], str] | None:
    backup = path.with_name(path.name + ".bak")
    try:
        when = datetime.datetime.fromtimestamp(backup.stat().st_mtime, datetime.UTC)
        data, _ = _parse(backup.read_bytes())
    except (OSError, UnreadableError):
        return None  # then the torn file itself is read as far as it goes
    return data, f"{when:%Y-%m-%d %H:%M} UTC"


def _salvage(content: bytes) -> tuple[dict[str, Any], str]:
    """Return what stands whole at the beginning of a torn session, and a text about the rest."""
    text = _leading_text(content)
    data: dict[str, Any] = {}
    try:
        pos = _expect(text, 0, "{")
        while True:
            key, pos = _whole_value(text, _blank_end(text, pos))
            pos = _blank_end(text, _expect(text, pos, ":"))
            if key == "messages" and text[pos : pos + 1] == "[":
                data[key] = []
                pos = _salvage_array(text, pos, data[key])
            else:
                data[key], pos = _whole_value(text, pos)
            pos = _expect(text, pos, ",")
    except ValueError:
        messages = data.get("messages")
        if not isinstance(messages, list):
            return data, "no messages could be read"
        return data, f"{len(messages)} whole messages were read, and what follows them is missing"


def _salvage_array(text: str, pos: int, values: list[Any]) -> int:
    """Append the whole values of the array at `pos`, and return where it ends, if it does."""
    pos = _blank_end(text, pos + 1)
    if text[pos : pos + 1] == "]":
        return pos + 1
    while True:
        value, pos = _whole_value(text, _blank_end(text, pos))
        values.append(value)
        pos = _blank_end(text, pos)
        if text[pos : pos + 1] == "]":
            return pos + 1
        pos = _expect(text, pos, ",")


_raw_decode: Final = json.JSONDecoder().raw_decode
_blank: Final = re.compile(r"[ \t\n\r]*")


def _whole_value(text: str, pos: int) -> tuple[Any, int]:
    try:
        value, end = _raw_decode(text, pos)
    except RecursionError as error:
        raise ValueError("nested too deep to be read in a damaged file") from error
    if end == len(text) and isinstance(value, int | float):
        raise ValueError("a number at the very end may have had more digits")
    return value, end


def _expect(text: str, pos: int, mark: str) -> int:
    pos = _blank_end(text, pos)
    if text[pos : pos + 1] != mark:
        raise ValueError(f"no {mark!r} at {pos}")
    return pos + 1


def _blank_end(text: str, pos: int) -> int:
    match = _blank.match(text, pos)
    return match.end() if match else pos


def _leading_text(content: bytes) -> str:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        return content[: error.start].decode("utf-8", "surrogatepass")
