"""Where a JSON value ends, found in its bytes without recursion, so that neither depth nor damage is a limit."""

from __future__ import annotations

import re
from typing import Final

#: One token and the blanks before it: text, punctuation, or a number or a name. No part of it is tried twice.
_token: Final = re.compile(
    rb'[ \t\r\n]*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")'
    rb"|([\[\]{},:])"
    rb"|(-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?+|true|false|null|NaN|-?Infinity))",
    re.DOTALL,
)
_blank: Final = re.compile(rb"[ \t\r\n]*+")

_VALUE, _FIRST_VALUE, _KEY, _FIRST_KEY, _COLON, _NEXT = range(6)
_EXPECTED: Final = {
    _VALUE: "Expecting value",
    _FIRST_VALUE: "Expecting value",
    _KEY: "Expecting property name enclosed in double quotes",
    _FIRST_KEY: "Expecting property name enclosed in double quotes",
    _COLON: "Expecting ':' delimiter",
    _NEXT: "Expecting ',' delimiter",
}


class DamageError(Exception):
    """A value cannot be parsed.

    Args:
        position: the byte at which it stops being JSON.
        why: what is wrong there.
        problem: what is said of the file.
        open_containers: where the objects and arrays begin that are not closed before `position`.
    """

    def __init__(
        self,
        position: int,
        why: str,
        problem: str = "it is torn or damaged",
        open_containers: list[int] | None = None,
    ) -> None:
        super().__init__(why)
        self.position = position
        why = why.removesuffix(" starting at")  # Python's parser says the place after it
        self.why = f" ({why})" if why else ""
        self.problem = problem
        self.open_containers = open_containers or []


def blank_end(content: bytes, position: int) -> int:
    """Return where the blanks that begin at a position end."""
    match = _blank.match(content, position)
    return match.end() if match else position


def value_end(content: bytes, start: int) -> int:
    """Return where the JSON value that begins at a byte ends; what is inside its texts is not looked at.

    Raises:
        DamageError: no whole value begins there. A number counts as whole only if a ``,``, ``]`` or ``}`` follows.
    """
    match_token = _token.match
    starts: list[int] = []
    state, position = _VALUE, start
    while True:
        token = match_token(content, position)
        if token is None:
            at = blank_end(content, position)
            unfinished = content[at : at + 1] == b'"'
            why = "Unterminated string" if unfinished else _EXPECTED[state]
            raise DamageError(at, why, open_containers=starts)
        position = token.end()
        kind = token.lastindex
        mark = content[position - 1] if kind == 2 else 0
        if state in (_VALUE, _FIRST_VALUE) and (kind != 2 or mark in b"[{"):
            if kind == 2:
                starts.append(position - 1)
                state = _FIRST_VALUE if mark == ord("[") else _FIRST_KEY
                continue
        elif kind == 1 and state in (_KEY, _FIRST_KEY):
            state = _COLON
            continue
        elif state == _COLON and mark == ord(":"):
            state = _VALUE
            continue
        elif state == _NEXT and mark == ord(","):
            state = _VALUE if content[starts[-1]] == ord("[") else _KEY
            continue
        elif _closes(content, starts, state, mark):
            starts.pop()
        else:
            raise DamageError(token.start(kind or 0), _EXPECTED[state], open_containers=starts)
        if not starts:
            if kind == 3:
                _require_end(content, position)
            return position
        state = _NEXT


def _closes(content: bytes, starts: list[int], state: int, mark: int) -> bool:
    """Whether a mark closes the innermost container here."""
    if not starts:
        return False
    if content[starts[-1]] == ord("["):
        return mark == ord("]") and state in (_NEXT, _FIRST_VALUE)
    return mark == ord("}") and state in (_NEXT, _FIRST_KEY)


def _require_end(content: bytes, position: int) -> None:
    """Require that a number or a name has ended: in a torn file it may have had more characters."""
    after = blank_end(content, position)
    if content[after : after + 1] not in (b",", b"]", b"}"):
        raise DamageError(position, "a number that may have had more digits")
