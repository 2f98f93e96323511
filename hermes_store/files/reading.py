"""Reading one session file: all of an intact one, and of a torn one what comes before the damage.

A file is parsed in one go by the fast codec. What that refuses (damage, lone surrogates) is parsed value by value: the
bytes are decoded as Latin-1, in which JSON's punctuation is unchanged and every character is one byte, and the bytes of
each value are given to the codec. So memory stays near the file's size, and the position of damage is known in bytes.
"""

from __future__ import annotations

import codecs
import datetime
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..transcripts import encoding, json_codec
from ..transcripts.encoding import Encoded
from .directory import read_regular

_SESSION_KEYS: Final = ("session_id", "title", "messages")


class UnreadableError(Exception):
    """No session can be read from a file; the message says what is wrong with the file."""


@dataclass
class SessionFile:
    """What was read from a file."""

    #: The session's object, but for its messages.
    data: dict[str, Any]
    messages: list[Encoded]
    #: What is wrong with the file and what is missing for it; None for a whole one.
    damage: str | None = None
    notes: list[str] = field(default_factory=list)
    #: Of the file's bytes.
    digest: bytes = b""
    #: When it was read.
    read_at: float = 0.0

    def with_missing_part(self) -> SessionFile:
        """Return a damaged file with what is missing added to `damage`.

        Raises:
            UnreadableError: not enough could be read for a session.
        """
        if self.messages:
            missing = f"{len(self.messages)} whole messages were read, and what comes after them is missing"
        elif "title" in self.data or "created_at" in self.data:
            missing = "no messages could be read"
        else:
            raise UnreadableError(str(self.damage))
        self.damage = f"{self.damage}; {missing}"
        return self


def read_session(path: Path) -> SessionFile:
    """Read a session file; a damaged one from its ``.bak`` when that is whole, else as far as it can be read.

    Raises:
        UnreadableError: nothing of it can be read.
    """
    read_at = time.time()
    try:
        content = read_regular(path)
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from error
    file = _whole_or_backup(path, content)
    file.digest, file.read_at = json_codec.digest(content), read_at
    return file


def _whole_or_backup(path: Path, content: bytes) -> SessionFile:
    try:
        file = _parse(content)
    except UnreadableError as error:
        backup = _from_backup(path, str(error))
        if backup is None:
            raise
        return backup
    if file.damage is None:
        return file
    return _from_backup(path, file.damage) or file.with_missing_part()


def _from_backup(path: Path, problem: str) -> SessionFile | None:
    backup = path.with_name(path.name + ".bak")
    try:
        when = datetime.datetime.fromtimestamp(backup.stat().st_mtime, datetime.UTC)
        file = _parse(read_regular(backup))
    except (OSError, UnreadableError):
        return None  # then what can be read of the damaged file itself is used
    if file.damage is not None:
        return None
    file.damage = f"{problem}; taken from its .bak of {when:%Y-%m-%d %H:%M} UTC, and anything newer is missing"
    return file


def _parse(content: bytes) -> SessionFile:
    if not content.strip(b"\0 \t\r\n"):
        raise UnreadableError(f"it is empty ({len(content)} blank bytes)" if content else "it is empty")
    try:
        return _session(json_codec.decode_strictly(content))
    except ValueError:
        file = None  # it has to be parsed value by value
    if content.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n").startswith(b"{"):
        parser = _ValueParser(content)
        file = parser.session()
        if not parser.too_deep:
            return file
    try:
        return _session(json_codec.decode(content))
    except ValueError as error:
        if file is not None:
            return file
        raise UnreadableError(_problem(error, len(content))) from error


def _problem(error: ValueError, size: int) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 at byte {error.start} of {size}"
    if not isinstance(error, json.JSONDecodeError):  # an integer of thousands of digits
        return f"it is damaged ({error})"
    if error.msg == "Extra data":
        return "it holds several JSON values, and the first is not an object"
    where = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
    return f"it is torn or damaged at byte {where} of {size} ({error.msg})"


def _session(data: Any) -> SessionFile:
    if not isinstance(data, dict):
        raise UnreadableError(f"it is no session: it holds a JSON {_kind(data)}, not an object")
    _require_session(data)
    messages = data.pop("messages", None) or []
    return SessionFile(data, encoding.encode_and_release(messages))


def _require_session(data: dict[str, Any]) -> None:
    if not any(key in data for key in _SESSION_KEYS):
        raise UnreadableError(f"it is no session: it has none of the keys {', '.join(_SESSION_KEYS)}")
    messages = data.get("messages")
    if not isinstance(messages, list | None):
        raise UnreadableError(f"its messages are a JSON {_kind(messages)}, not an array")


_KINDS: Final = {list: "array", dict: "object", str: "string", int: "number", float: "number", bool: "boolean"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


class _DamageError(Exception):
    """The file cannot be parsed any further."""

    def __init__(self, position: int, why: str, problem: str = "it is torn or damaged") -> None:
        super().__init__(why)
        self.position = position
        self.why = f" ({why})" if why else ""
        self.problem = problem


_raw_decode: Final = json.JSONDecoder().raw_decode
_blank: Final = re.compile(r"[ \t\n\r]*")


class _ValueParser:
    """Parses a session's object member by member, and its messages one by one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._text = content.decode("latin-1")
        self._pos = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
        self._data: dict[str, Any] = {}
        self._messages: list[Encoded] = []
        #: Whether it ended at a value that is nested too deep for it; `json_codec.decode` may be able to read that.
        self.too_deep = False

    def session(self) -> SessionFile:
        """Return what could be read, and what is damaged."""
        size = len(self._content)
        try:
            self._members()
        except _DamageError as torn:
            damage = f"{torn.problem} at byte {torn.position} of {size}{torn.why}"
            if not isinstance(self._data.pop("messages", None), list | None):
                raise UnreadableError(f"{damage}; its messages are no JSON array") from torn
            return SessionFile(self._data, self._messages, damage)
        notes = []
        if self._content[self._pos :].strip(b" \t\r\n"):
            # A shorter text that was written in place over a longer one leaves the end of the longer one.
            notes.append(f"{size - self._pos} bytes after the end of the session were left out")
        _require_session(self._data)
        self._data.pop("messages", None)
        return SessionFile(self._data, self._messages, notes=notes)

    def _members(self) -> None:
        self._expect("{")
        if self._next("}"):
            return
        while True:
            self._skip_blank()
            key_at = self._pos
            key = self._value()
            if not isinstance(key, str):
                raise _DamageError(key_at, "a key is not text")
            self._expect(":")
            self._skip_blank()
            if key == "messages" and self._text[self._pos : self._pos + 1] == "[":
                self._data[key], self._messages = [], []
                self._elements()
            else:
                self._data[key] = self._value()
            if self._next("}"):
                return
            self._expect(",")

    def _elements(self) -> None:
        self._expect("[")
        if self._next("]"):
            return
        while True:
            self._skip_blank()
            place = f"message {len(self._messages)}"
            self._messages.append(encoding.encode_one(self._value(), place))
            if self._next("]"):
                return
            self._expect(",")

    def _value(self) -> Any:
        start = self._pos
        try:
            seen, end = _raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            raise _DamageError(error.pos, error.msg) from error
        except ValueError as error:  # an integer of thousands of digits
            raise _DamageError(start, str(error)) from error
        except RecursionError as error:
            self.too_deep = True
            raise _DamageError(start, "nested deeper than can be read in a damaged file") from error
        follows = self._text[self._after_blank(end)]
        if isinstance(seen, int | float) and (not follows or follows not in ",]}"):
            raise _DamageError(end, "a number that may have had more digits")
        del seen  # its text is decoded wrongly, and it may be large
        try:
            value = json_codec.decode(self._content[start:end])
        except UnicodeDecodeError as error:
            raise _DamageError(start + error.start, "", "it is not UTF-8") from error
        self._pos = end
        return value

    def _after_blank(self, position: int) -> slice:
        match = _blank.match(self._text, position)
        end = match.end() if match else position
        return slice(end, end + 1)

    def _skip_blank(self) -> None:
        self._pos = self._after_blank(self._pos).start

    def _next(self, mark: str) -> bool:
        """Step over `mark` if it comes next."""
        self._skip_blank()
        if self._text[self._pos : self._pos + 1] != mark:
            return False
        self._pos += 1
        return True

    def _expect(self, mark: str) -> None:
        if not self._next(mark):
            raise _DamageError(self._pos, f"{mark!r} expected")
