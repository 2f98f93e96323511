"""Reading one session file: all of an intact one, and whatever is whole of a damaged one.

A file is parsed in one go by the fast codec. What that refuses (lone surrogates, deep nesting) is parsed value by
value, so that memory stays near the file's size. What is not JSON even then is damaged, and its whole messages are
looked for before and after the damage.
"""

from __future__ import annotations

import codecs
import datetime
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..quoting import count
from ..transcripts import encoding, json_codec
from ..transcripts.encoding import Encoded
from . import compact, indented, recovery
from .directory import read_regular
from .recovery import SESSION_KEYS, Recovered
from .scanning import DamageError, blank_end, value_end


class UnreadableError(Exception):
    """No session can be read from a file; the message says what is wrong with the file."""


class NoSessionError(UnreadableError):
    """A file is whole, and holds something else than a session."""


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


def read_session(path: Path, *, limit: int, indexed_count: Callable[[], int | None]) -> SessionFile:
    """Read a session file; of a damaged one what is whole in it or in its ``.bak``, whichever has more messages.

    Args:
        path: the file.
        limit: the most bytes to read.
        indexed_count: returns how many messages the WebUI's index counts in the session; called for damaged files.

    Raises:
        UnreadableError: nothing of it can be read.
    """
    read_at = time.time()
    try:
        content = read_regular(path, limit)
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from error
    file = _whole_or_backup(path, content, limit, indexed_count)
    file.digest, file.read_at = json_codec.digest(content), read_at
    return file


def _whole_or_backup(path: Path, content: bytes, limit: int, indexed_count: Callable[[], int | None]) -> SessionFile:
    try:
        file = parse_session(content)
    except UnreadableError as error:
        backup = _Backup.read(path, limit)
        if backup is None or not (backup.is_whole or backup.file.messages):
            raise
        return backup.instead_of(str(error), 0)
    if file.damage is None:
        return file
    backup = _Backup.read(path, limit)
    if backup is None:
        return file
    if backup.is_better_than(file, indexed_count()):
        problem, _, _ = file.damage.partition("; ")
        return backup.instead_of(problem, len(file.messages))
    if backup.file.messages:
        file.damage += f"; its .bak of {backup.when} has {len(backup.file.messages)} messages and was left out"
    return file


@dataclass
class _Backup:
    """The copy that the WebUI makes of a session file before it saves fewer messages."""

    file: SessionFile
    is_whole: bool
    when: str

    @classmethod
    def read(cls, path: Path, limit: int) -> _Backup | None:
        """Return a file's backup copy; None when there is none of which anything can be read."""
        backup = path.with_name(path.name + ".bak")
        try:
            when = datetime.datetime.fromtimestamp(backup.stat().st_mtime, datetime.UTC)
            file = parse_session(read_regular(backup, limit))
        except (OSError, OverflowError, ValueError, UnreadableError):
            return None
        return cls(file, file.damage is None, f"{when:%Y-%m-%d %H:%M} UTC")

    def is_better_than(self, file: SessionFile, indexed: int | None) -> bool:
        """Whether the copy is to be taken for a damaged file.

        It is the one with more messages. But when the index counts exactly the messages of the other one, or the file
        says that it was shortened on purpose since, that one is meant. (An index that counts none is often wrong.)
        """
        own, others = len(self.file.messages), len(file.messages)
        if own != others and indexed and indexed in (own, others):
            return indexed == own
        if own > others:
            shrunk = file.data.get("intentional_shrink_generation")
            return not others or shrunk is None or shrunk == self.file.data.get("intentional_shrink_generation")
        return self.is_whole and not others

    def instead_of(self, problem: str, messages: int) -> SessionFile:
        """Return the copy as what is read of a file in which there are some whole messages."""
        damage = f"{problem}; taken from its .bak of {self.when}, and anything newer is missing"
        if messages:
            damage += f"; the file itself has {count(messages, 'whole message')}"
        if self.file.damage is not None:
            damage += f"; the .bak is damaged as well: {self.file.damage}"
        self.file.damage = damage
        return self.file


#: The line that begins the messages in the WebUI's own format.
_messages: Final = re.compile(rb'\n  "messages": \[')


def parse_session(content: bytes) -> SessionFile:
    """Return the session in a file's bytes; of a damaged one, what is whole in it.

    Raises:
        UnreadableError: nothing of it can be read.
    """
    if not content.strip(b"\0 \t\r\n"):
        raise UnreadableError(f"it is empty ({len(content)} blank bytes)" if content else "it is empty")
    try:
        data = json_codec.decode_strictly(content)
    except ValueError:
        pass  # it is parsed value by value below, which finds what is whole in it
    else:
        arrays = [match.start() for match in _messages.finditer(content)]
        if len(arrays) < 2:
            return _session(data)
        # Of two arrays of one key, JSON readers take the last.
        del data
        return _recovered(content, f"it is damaged: a second array of messages begins at byte {arrays[1]}")
    text = content.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")
    if text.startswith(b"{"):
        try:
            return _ValueParser(content).session()
        except DamageError as damage:
            return _recovered(content, f"{damage.problem} at byte {damage.position} of {len(content)}{damage.why}")
    try:
        return _session(json_codec.decode(content))
    except ValueError as error:
        return _recovered(content, _problem(error, len(content)))


def _recovered(content: bytes, problem: str) -> SessionFile:
    """Return what is whole in a damaged file.

    Raises:
        UnreadableError: it is not enough for a session.
    """
    if content.startswith(codecs.BOM_UTF8):
        content = b"   " + content[3:]  # of the same length, so that places stay the same
    indent = indented.indentation(content)
    found: Recovered = compact.recover(content) if indent is None else indented.recover(content, indent)
    if not isinstance(found.data.pop("messages", None), list | None) and not found.messages:
        raise UnreadableError(f"{problem}; its messages are no JSON array")
    if not found.messages and not ("title" in found.data or "created_at" in found.data):
        raise UnreadableError(problem)
    return SessionFile(found.data, found.messages, f"{problem}; {found.describe(len(content))}")


def _problem(error: ValueError, size: int) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 at byte {error.start} of {size}"
    if not isinstance(error, json.JSONDecodeError):  # an integer of thousands of digits
        return f"it is damaged ({error})"
    if error.msg == "Extra data":
        return "it holds several JSON values, and the first is not an object"
    where = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
    damage = DamageError(where, error.msg)
    return f"{damage.problem} at byte {damage.position} of {size}{damage.why}"


def _session(data: Any) -> SessionFile:
    if not isinstance(data, dict):
        raise NoSessionError(f"it is no session: it holds a JSON {_kind(data)}, not an object")
    _require_session(data)
    key = next((key for key in data if recovery.are_messages(key, data[key])), None)
    if "messages" not in data and key is not None:
        messages = encoding.encode_and_release(data.pop(key))
        return SessionFile(data, messages, f"it is damaged: its messages are under the key {key!r:.40}")
    messages = data.pop("messages", None) or []
    return SessionFile(data, encoding.encode_and_release(messages))


def _require_session(data: dict[str, Any]) -> None:
    if not any(key in data for key in SESSION_KEYS):
        raise NoSessionError(f"it is no session: it has none of the keys {', '.join(SESSION_KEYS)}")
    messages = data.get("messages")
    if not isinstance(messages, list | None):
        raise UnreadableError(f"its messages are a JSON {_kind(messages)}, not an array")


_KINDS: Final = {list: "array", dict: "object", str: "string", int: "number", float: "number", bool: "boolean"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


class _ValueParser:
    """Parses a session's object member by member, and its messages one by one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._pos = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
        self._data: dict[str, Any] = {}
        self._messages: list[Encoded] = []

    def session(self) -> SessionFile:
        """Return the session of a whole file.

        Raises:
            DamageError: it is not JSON.
            UnreadableError: it is no session.
        """
        start = self._pos
        self._members()
        rest = self._content[self._pos :].strip(b" \t\r\n\0")
        if rest and not recovery.is_session(self._data):
            raise DamageError(start, "no session begins here")
        if rest:
            raise DamageError(self._pos, f"the session ends here, and {len(rest)} bytes follow")
        _require_session(self._data)
        self._data.pop("messages", None)
        notes = []
        if self._content[self._pos :].strip(b" \t\r\n"):
            notes.append(f"{len(self._content) - self._pos} blank bytes after the end of the session were left out")
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
                raise DamageError(key_at, "a key is not text")
            self._expect(":")
            self._skip_blank()
            if key == "messages" and self._content[self._pos : self._pos + 1] == b"[":
                if key in self._data:
                    raise DamageError(key_at, "a second array of messages begins")
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
        end = value_end(self._content, start)
        try:
            value = json_codec.decode(self._content[start:end])
        except UnicodeDecodeError as error:
            raise DamageError(start + error.start, "", "it is not UTF-8") from error
        except json.JSONDecodeError as error:
            where = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
            raise DamageError(start + where, error.msg) from error
        except ValueError as error:  # an integer of thousands of digits
            raise DamageError(start, str(error)) from error
        self._pos = end
        return value

    def _skip_blank(self) -> None:
        self._pos = blank_end(self._content, self._pos)

    def _next(self, mark: str) -> bool:
        """Step over `mark` if it comes next."""
        self._skip_blank()
        if self._content[self._pos : self._pos + 1] != mark.encode():
            return False
        self._pos += 1
        return True

    def _expect(self, mark: str) -> None:
        if not self._next(mark):
            raise DamageError(self._pos, f"{mark!r} expected")
