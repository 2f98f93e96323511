"""Recovery from a damaged file in the WebUI's own format, where each message begins and ends on a line of its own.

No text of JSON has a line break in it, so in ``json.dumps(…, indent=2)`` the indentation of a line says where it
belongs whatever the lines before it look like: damage reaches no further than the messages it is in.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from . import recovery
from .recovery import Recovered
from .scanning import DamageError, blank_end, value_end

#: (A message may come first in a file whose beginning is missing.)
_first_member: Final = re.compile(rb'\{\r?\n( {1,8})"(?!role")')
_array: Final = re.compile(rb'\n( {1,8})"messages": \[\r?\n')
_first_key: Final = re.compile(rb'\n( {2,16})\{\r?\n( {3,24})"')
_member: Final = re.compile(rb'("(?:[^"\\\n]|\\.)*+")[ \t]*:[ \t]*')
_BLANKS: Final = b" \t\r\n"


def indentation(content: bytes) -> int | None:
    """Return how many spaces a level of a file is indented by; None if it is not indented."""
    # A message begins at two levels, and its keys are at three. Damage may have put such lines elsewhere, too.
    found = [(len(match[1]), len(match[2])) for match in _first_key.finditer(content)]
    indents = Counter(key - brace for brace, key in found if 2 * key == 3 * brace)
    if indents:
        return indents.most_common(1)[0][0]
    match = _array.search(content) or _first_member.match(content)
    return None if match is None else len(match[1])


def recover(content: bytes, indent: int) -> Recovered:
    """Return what is whole in a file whose levels are indented by some spaces."""
    beginnings = [match.start() for match in re.finditer(rb'\{\r?\n {%d}"session_id"' % indent, content)]
    bounds = [0, *(place for place in beginnings if place), len(content)]
    sessions = [_Session(content, indent, start, end).read() for start, end in itertools.pairwise(bounds)]
    return recovery.choose(sessions)


class _Piece(NamedTuple):
    """A line of the two outer levels or of the messages', with the deeper lines after it."""

    level: int
    start: int
    end: int
    first: bytes

    @property
    def closes(self) -> bool:
        return self.first in (b"}", b"]")


class _Session:
    """The part of a file that has one session."""

    def __init__(self, content: bytes, indent: int, start: int, end: int) -> None:
        self._content = content
        self._indent = indent
        self._start = start
        self._end = end
        #: Where the first line begins, a part of whose indentation may be missing.
        self._first = blank_end(content, start)
        self._found = Recovered()
        #: The key of the object or array that the lines are in, and where it begins; "" when that is not known.
        self._section = ""
        self._section_start = start
        self._is_section_damaged = False
        #: The lines of another object or array than the messages, until it is known whether that is whole.
        self._held: list[_Piece] = []
        #: Where the last message ends that did not begin on a line of its own.
        self._read_to = start
        self._message = re.compile(rb'\{\r?\n {%d}"' % (3 * indent))
        self._outer_line = re.compile(rb"\n {0,%d}[^ \r\n]" % (2 * indent))

    def read(self) -> Recovered:
        pieces = list(self._pieces())
        self._read(pieces)
        self._break_off(self._end)
        return self._found

    def _read(self, pieces: list[_Piece]) -> None:
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            if piece.start < self._read_to:  # a message that began further up has it
                pass
            elif piece.level == 0:
                self._outermost(piece)
            elif piece.level == 1:
                self._member(piece)
            elif self._section not in ("", "messages"):
                self._held.append(piece)
            else:
                if not piece.closes and index + 1 < len(pieces) and _belongs(pieces[index + 1]):
                    index += 1
                following = pieces[index + 1] if index + 1 < len(pieces) else None
                self._element(piece, pieces[index].end, is_last=following is None or following.level < 2)
            index += 1

    def _break_off(self, end: int) -> None:
        """Leave out an object or array whose end is missing, but for messages that the damage brought into it."""
        section, held = self._section, self._held
        self._section, self._held = "", []
        if section in ("", "messages"):
            return
        if section == "context_messages":  # whose elements look like messages
            self._lose(self._section_start, end)
            return
        self._lose(self._section_start, held[0].start if held else end)
        self._read(held)

    def _pieces(self) -> Iterator[_Piece]:
        line = re.compile(rb"(?:^|\n)( {0,%d})(?=[^ \r\n])" % (2 * self._indent))
        last: tuple[int, int] | None = None
        for match in line.finditer(self._content, self._start, self._end):
            level, spaces = divmod(len(match[1]), self._indent)
            if spaces and match.end() == self._first:
                level = 0
            elif spaces:
                continue
            if last is not None:
                yield self._piece(*last, match.start())
            last = level, match.end()
        if last is not None:
            yield self._piece(*last, self._end)

    def _piece(self, level: int, start: int, end: int) -> _Piece:
        return _Piece(level, start, end, self._content[start : start + 1])

    def _text(self, start: int, end: int) -> bytes:
        return self._content[start:end].strip(_BLANKS)

    def _lose(self, start: int, end: int) -> None:
        if self._text(start, end).strip(b","):
            self._found.lose(start, end)
            self._is_section_damaged = True

    def _search(self, start: int, end: int) -> None:
        """Leave out damaged bytes, but for whole messages that begin in them though not on a line of their own."""
        torn: set[int] = set()
        if self._section in ("", "messages"):
            for match in self._message.finditer(self._content, start, end):
                if match.start() < start or match.start() in torn:
                    continue
                try:
                    message_end = self._whole_message(match.start())
                    value, is_escaped = recovery.decode(self._content[match.start() : message_end])
                except DamageError as damage:
                    torn.update(damage.open_containers)
                except ValueError:
                    pass  # no message: its bytes are reported as lost with the others
                else:
                    if recovery.is_message(value):
                        self._lose(start, match.start())
                        self._found.add_message(value, is_escaped=is_escaped)
                        start = self._read_to = message_end
        self._lose(start, end)

    def _whole_message(self, start: int) -> int:
        """Return where the object that begins at a byte ends.

        Raises:
            DamageError: it is not whole, or has lines in it that are further out.
        """
        end = value_end(self._content, start)
        line = self._outer_line.search(self._content, start, end)
        if line is not None and self._text(line.start(), end) != b"}":
            raise DamageError(line.start(), "", open_containers=[start])
        return end

    def _outermost(self, piece: _Piece) -> None:
        text = self._text(piece.start, piece.end)
        if piece.first == b"}" and piece.start > self._first:
            self._break_off(piece.start)
            self._found.is_closed = True
            self._search(piece.start + 1, piece.end)
        elif text != b"{":
            self._search(piece.start, piece.end)

    def _member(self, piece: _Piece) -> None:
        """Read a line of the session's object: a key with its value or the beginning of it, or the end of one."""
        if piece.closes:
            self._close(piece)
            return
        if self._section not in ("", "messages"):
            self._break_off(piece.start)
        match = _member.match(self._content, piece.start, piece.end)
        if match is None or not self._read_member(match, piece):
            self._search(piece.start, piece.end)

    def _read_member(self, match: re.Match[bytes], piece: _Piece) -> bool:
        """Read a key with its value, or with the beginning of it; return False if they are damaged."""
        text = self._text(match.end(), piece.end)
        if not text.endswith((b",", b'"', b"]", b"}", b"[", b"{")) and piece.end == len(self._content):
            return False  # a number or a name that may have had more characters
        try:
            key, is_escaped = recovery.decode(match[1])
            if is_escaped:
                return False  # it was another key
            if text in (b"[", b"{"):
                self._section, self._section_start = key, piece.start
                self._is_section_damaged = False
                if key == "messages" and text == b"[":
                    self._found.data.setdefault(key, [])
            else:
                self._add_member(key, text.removesuffix(b","))
                self._section = ""
        except ValueError:
            return False
        return True

    def _add_member(self, key: str, text: bytes) -> None:
        value, is_escaped = recovery.decode(text)
        is_misspelt = "messages" not in self._found.data and recovery.are_messages(key, value)
        if is_misspelt or (key == "messages" and isinstance(value, list)):
            for message in value:
                self._found.add_message(message)
            key, value = "messages", []
        self._found.add_member(key, value, is_escaped=is_escaped)

    def _close(self, piece: _Piece) -> None:
        if self._section in ("", "messages"):
            self._section = ""
            if self._text(piece.start, piece.end) not in (b"]", b"],"):
                self._search(piece.start, piece.end)
            return
        match = _member.match(self._content, self._section_start, piece.end)
        assert match is not None, "it was matched when the section began"  # noqa: S101
        try:
            self._add_member(self._section, self._text(match.end(), piece.end).removesuffix(b","))
        except ValueError:
            self._break_off(piece.end)
        self._section, self._held = "", []

    def _element(self, piece: _Piece, end: int, *, is_last: bool) -> None:
        """Read a message: a value on one line, or a container with the line that closes it."""
        text = self._text(piece.start, end)
        is_ended = text.endswith((b",", b'"', b"]", b"}")) or (is_last and end < len(self._content))
        if piece.closes or not is_ended:
            self._search(piece.start, end)
            return
        try:
            value, is_escaped = recovery.decode(text.removesuffix(b","))
        except ValueError:
            self._search(piece.start, end)
            return
        if recovery.is_message(value) or (
            self._section == "messages" and not (self._is_section_damaged and recovery.is_tool_call(value))
        ):
            self._found.add_message(value, is_escaped=is_escaped)
        else:
            self._lose(piece.start, end)


def _belongs(piece: _Piece) -> bool:
    return piece.level == 2 and piece.closes
