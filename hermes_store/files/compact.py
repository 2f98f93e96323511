"""Recovery from a damaged file that is not indented: JSON on one line, or one value a line.

Nothing but the brackets says what belongs where. After damage, reading goes on with the next whole object that has a
role, as messages have, or with the next array of messages.
"""

from __future__ import annotations

import re
from typing import Any, Final

from . import recovery
from .recovery import Recovered
from .scanning import DamageError, blank_end, value_end

#: Where reading may go on: an object, or the array of a key.
_beginning: Final = re.compile(rb'(?P<object>\{)\s*+"|"(?P<key>messages|context_messages)"\s*+:\s*+(?P<array>\[)')
#: An object with a role in an array. (In a text, the quotes would be escaped.)
_inner_message: Final = re.compile(rb'[\[,]\s*+\{[^][{}]*?"role"\s*+:\s*+"')
#: How many times a file's size objects that are not whole are looked at, before they are passed over unseen.
_PATIENCE: Final = 4


def recover(content: bytes) -> Recovered:
    """Return what is whole in a file."""
    return _File(content).read()


class _File:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0
        #: Whether there is damage before the position.
        self._is_damaged = False
        self._found = Recovered()
        self._sessions = [self._found]
        #: Where objects begin that are known not to be whole.
        self._torn: set[int] = set()
        self._budget = _PATIENCE * len(content) + 10_000

    def read(self) -> Recovered:
        start = self._position = blank_end(self._content, 0)
        try:
            self._expect(b"{")
            self._members()
        except DamageError as damage:
            self._pass_over(self._position, damage)
        else:
            if not recovery.is_session(self._found.data):  # but a part of one, whose beginning is missing
                self._found = Recovered()
                self._sessions = [self._found]
                self._position, self._is_damaged = start, True
        while self._position < len(self._content):
            self._go_on()
        return recovery.choose(self._sessions)

    def _next(self, mark: bytes) -> bool:
        self._position = blank_end(self._content, self._position)
        if self._content[self._position : self._position + 1] != mark:
            return False
        self._position += 1
        return True

    def _expect(self, mark: bytes) -> None:
        if not self._next(mark):
            raise DamageError(self._position, f"{mark.decode()!r} expected")

    def _span(self) -> tuple[int, int]:
        """Return where the value at the present position begins and ends, and step over it."""
        start = blank_end(self._content, self._position)
        end = value_end(self._content, start)
        self._position = end
        return start, end

    def _add_message(self) -> None:
        start, end = self._span()
        follows = blank_end(self._content, end)
        if self._content[follows : follows + 1] not in (b",", b"]", b""):
            self._position = start
            if self._content[follows : follows + 1] == b":":  # a key: the value before it is one of this object
                self._found.take_back_value()
            raise DamageError(follows, "',' expected", open_containers=[start])
        if follows == len(self._content) or self._content[start] == ord("["):
            self._require_one(start, end)
        try:
            value, is_escaped = recovery.decode(self._content[start:end])
        except ValueError as error:
            self._position = start
            raise DamageError(end, str(error), open_containers=[start]) from error
        if follows == len(self._content) and recovery.is_inner_session(value):
            self._add_session(value)
        elif not self._keep(value, is_escaped=is_escaped):
            self._lose(start, end)

    def _keep(self, value: Any, *, is_escaped: bool = False) -> bool:
        """Keep an element of an array if it is a message, and was not brought there by damage."""
        is_message = recovery.may_be_message(value, is_damaged=self._is_damaged)
        if is_message:
            self._found.add_message(value, is_escaped=is_escaped)
        return is_message

    def _require_one(self, start: int, end: int) -> None:
        """Refuse a value that has messages in it: the end of one of its arrays is missing, and they come after it.

        Raises:
            DamageError: it has.
        """
        if _inner_message.search(self._content, start, end):
            self._position = start
            raise DamageError(end, "it is not whole", open_containers=[start])

    def _add_member(self, key_at: tuple[int, int]) -> None:
        start, end = self._span()
        follows = blank_end(self._content, end)
        if self._content[start] == ord('"') and self._content[follows : follows + 1] not in (b",", b"}"):
            self._position = start + 1  # the text may end where a message begins
            raise DamageError(follows, "',' expected")
        try:
            key, is_key_escaped = recovery.decode(self._content[slice(*key_at)])
            value, is_escaped = recovery.decode(self._content[start:end])
        except ValueError as error:
            if self._content[start] == ord("[") and b'"role"' in self._content[start:end]:
                self._position = start
                raise DamageError(end, str(error)) from error
            self._lose(key_at[0], end)
            return
        if isinstance(value, dict) and self._content[follows : follows + 1] not in (b",", b"}"):
            if recovery.is_inner_session(value):  # a second writer began it where the first one was to write a value
                self._add_session(value)
                return
            self._require_one(start, end)
        if key == "messages" and recovery.is_message(value):
            value = [value]
        is_misspelt = "messages" not in self._found.data and recovery.are_messages(key, value)
        if is_misspelt or (key == "messages" and isinstance(value, list)):
            for message in value:
                self._keep(message)
            key, value = "messages", []
        elif key == "tool_calls" and isinstance(value, list) and any(map(recovery.is_message, value)):
            self._position = start
            raise DamageError(end, "there are messages in it")
        elif is_key_escaped:  # it was another key
            self._lose(key_at[0], end)
            return
        self._found.add_member(key, value, is_escaped=is_escaped or is_key_escaped)

    def _members(self) -> None:
        """Read members up to the end of the session's object; its messages one by one."""
        if self._next(b"}"):
            self._found.is_closed = True
            return
        while True:
            key_at = self._span()
            if self._content[key_at[0]] != ord('"'):
                self._position = key_at[0]  # it may be a message
                raise DamageError(key_at[0], "a key is not text")
            if not self._next(b":"):
                self._position = key_at[0] + 1  # the text may end where a message begins
                raise DamageError(key_at[1], "':' expected")
            if self._content[slice(*key_at)] == b'"messages"' and self._next(b"["):
                self._found.data.setdefault("messages", [])
                self._elements()
            else:
                self._add_member(key_at)
            if self._next(b"}"):
                self._found.is_closed = True
                return
            self._expect(b",")

    def _elements(self) -> None:
        if self._next(b"]"):
            return
        while True:
            self._add_message()
            if self._next(b"]"):
                return
            self._expect(b",")

    def _go_on(self) -> None:
        """Find the next place from which something can be read, and read from there as far as that goes."""
        start = self._position
        match = _beginning.search(self._content, start)
        if match is None:
            self._lose(start, len(self._content))
            self._position = len(self._content)
            return
        self._lose(start, match.start())
        try:
            if match["key"] == b"messages":
                self._position = match.end()
                self._found.data.setdefault("messages", [])
                self._elements()
                self._rest_of_members()
            elif match["key"]:
                self._position = match.start("array")
                self._add_member((match.start(), match.end("key") + 1))
                self._rest_of_members()
            else:
                self._object(match.start())
        except DamageError as damage:
            self._pass_over(max(self._position, match.start() + 1), damage)

    def _object(self, start: int) -> None:
        """Read an object of which it is not known where it belongs."""
        if start in self._torn:
            raise DamageError(start, "it is not whole")
        self._position = start
        _, end = self._span()
        try:
            value, is_escaped = recovery.decode(self._content[start:end])
        except ValueError as error:
            self._position = start
            raise DamageError(end, str(error)) from error
        follows = blank_end(self._content, end)
        if self._content[follows : follows + 1] not in (b",", b"]", b"}"):
            self._require_one(start, end)
        if recovery.is_message(value):
            self._found.add_message(value, is_escaped=is_escaped)
            if self._next(b","):
                self._elements()
                self._rest_of_members()
            elif self._next(b"]"):
                self._rest_of_members()
        elif isinstance(value, dict) and isinstance(value.get("messages"), list):
            self._add_session(value)
        else:
            self._lose(start, self._position)

    def _rest_of_members(self) -> None:
        """Read on after the end of an array of the session."""
        if self._next(b"}"):
            self._found.is_closed = True
        elif self._next(b","):
            self._members()

    def _add_session(self, value: dict[str, Any]) -> None:
        session = Recovered()
        for message in value.pop("messages"):
            session.add_message(message)
        session.data, session.is_closed = {**value, "messages": []}, True
        self._sessions.append(session)

    def _pass_over(self, position: int, damage: DamageError) -> None:
        """Go on at a position; of what lies between it and the damage, only whole objects are still of interest."""
        self._is_damaged = True
        self._torn.update(damage.open_containers)
        self._budget -= max(damage.position - position, 0)
        self._position = position if self._budget > 0 else max(position, damage.position)

    def _lose(self, start: int, end: int) -> None:
        if self._content[start:end].strip(b" \t\r\n,\0"):
            self._found.lose(start, end)
