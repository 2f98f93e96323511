"""Any JSON value as bytes and back, without loss.

A payload is UTF-8 JSON text. `pydantic_core` writes and reads it (measured as fast as the fastest
codecs, and it keeps NaN, the infinities and integers of any size); what it refuses goes to the
standard library, which writes lone surrogates as ``\\udXXX`` escapes; and what is nested too deep for
either, whose recursion is bounded, goes to `deep_json`. The same value always gives the same bytes, so a
digest of them tells whether it changed.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pydantic_core

from ..errors import InvalidPayloadError
from ..quoting import number_of, quoted, text_of
from . import deep_json

DIGEST_SIZE: Final = 16


def encode(value: Any, place: str = "value") -> bytes:
    """Return `value` as JSON bytes.

    Args:
        value: anything that ``json.loads`` can produce. Tuples are written as arrays, and subclasses of
            ``str``, ``int``, ``float``, ``list`` and ``dict`` as what they derive from, as ``json.dumps`` does.
        place: what to call the value in an error, for example ``"message 3"``.

    Raises:
        InvalidPayloadError: something inside is not JSON; it names the place, as in ``message 3.args[0]``.
    """
    try:
        if not _is_ordinary(value):
            _require_json(value, place)
        try:
            return pydantic_core.to_json(value, inf_nan_mode="constants")
        except ValueError:  # a lone surrogate, or deeper than its limit
            return _encode_unusual(value, place)
    except (InvalidPayloadError, MemoryError):
        raise
    except Exception as error:  # whatever a subclass of `dict` or `list` raises
        raise InvalidPayloadError(f"could not be read: {quoted(error)}", place) from error


def encode_strictly(value: Any) -> bytes:
    """Return a value that `decode_strictly` returned as JSON bytes; as `encode`, which looks whether it is JSON.

    Raises:
        ValueError: only `encode` can write it.
    """
    return pydantic_core.to_json(value, inf_nan_mode="constants")


_JSON_TYPES: Final = frozenset({str, int, float, bool, type(None), list, dict, tuple})


def plain(value: Any, place: str) -> Any:
    """Return a value that is a text or a number as a plain one, and lists and objects as they are.

    Args:
        value: anything. What is inside a list or an object is not looked at.
        place: as in `encode`.

    Raises:
        InvalidPayloadError: it is none of these, whatever class it says it is of.
    """
    kind = type(value)
    if kind in _JSON_TYPES:
        return value
    found = text_of(value) if issubclass(kind, str) else number_of(value)
    if found is None and not issubclass(kind, list | dict | tuple):
        raise InvalidPayloadError(f"is a {kind.__name__}, which JSON cannot say", place)
    return value if found is None else found


def _encode_unusual(value: Any, place: str) -> bytes:
    """Return as JSON what has lone surrogates in it, or is deeper than the fast codec's limit."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    except RecursionError:
        text = "".join(deep_json.encode(value))
    if _HALVES.search(text):
        # Two halves of a character side by side are read as that character, so that is what is written (and digested).
        _require_distinct_keys(value, place)
        text = _joined(text)
    return text.encode("utf-8", _ESCAPE)


#: The two halves of one character, side by side.
_HALVES: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _require_distinct_keys(value: Any, place: str) -> None:
    """Refuse an object of which two keys would be written as the same text: one of the values would be lost."""
    # Each with its place as a linked list: as text, the places of a deep value would take memory by the square of it.
    stack: list[tuple[Any, _Place]] = [(value, None)]
    while stack:
        current, where = stack.pop()
        if isinstance(current, dict):
            if len(set(map(_joined, current))) < len(current):
                problem = "has two keys that are the same text, once as a character and once as its two halves"
                raise InvalidPayloadError(problem, place + "".join(reversed([*map(_step, _steps(where))])))
            stack.extend((child, (key, where)) for key, child in current.items() if _holds_more(child))
        elif isinstance(current, list | tuple):
            stack.extend((child, (index, where)) for index, child in enumerate(current) if _holds_more(child))


_Place = tuple[str | int, Any] | None


def _steps(place: _Place) -> Iterator[str | int]:
    while place is not None:
        step, place = place
        yield step


def _holds_more(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def decode(data: bytes) -> Any:
    """Return the value that `encode` was given.

    Raises:
        ValueError: the bytes are not JSON text.
    """
    with contextlib.suppress(ValueError):  # a lone surrogate, or deeper than its limit
        return pydantic_core.from_json(data)
    try:
        return json.loads(data)
    except RecursionError:
        return deep_json.decode(data.decode("utf-8"))


def decode_strictly(data: bytes) -> Any:
    """Return the value of plain JSON text, by the fast codec alone.

    Raises:
        ValueError: it is none, or has lone surrogates or deep nesting in it, for which `decode` is.
    """
    return pydantic_core.from_json(data)


def decode_damaged(data: bytes) -> Any:
    """Return the value of JSON text whose texts may have bytes that no JSON text has.

    A byte that is not UTF-8 becomes the lone surrogate U+DC80 to U+DCFF, which `encode` writes as an escape; a control
    character stays as it is.

    Raises:
        ValueError: it is not JSON text for any other reason.
    """
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):
        return decode(text.encode("utf-8", _ESCAPE))
    try:
        return json.JSONDecoder(strict=False).decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


#: Bytes that are parsed at once. Copies of more than fits the processor's cache take longer than parsing does.
_PART: Final = 2**18


def decode_all(payloads: Sequence[bytes]) -> list[Any]:
    """Decode many payloads, several by one parse where that is possible.

    Raises:
        ValueError: one is not JSON text, or is more than one value.
    """
    size = sum(map(len, payloads))
    together = max(1, len(payloads) * _PART // size) if size else 1
    values: list[Any] = []
    for start in range(0, len(payloads), together):
        values += _decode_part(payloads[start : start + together])
    return values


def _decode_part(payloads: Sequence[bytes]) -> list[Any]:
    if len(payloads) > 1:
        with contextlib.suppress(ValueError):  # one of them needs the slower way
            values: list[Any] = pydantic_core.from_json(b"[" + b",".join(payloads) + b"]")
            if len(values) == len(payloads):
                return values
    return [decode(payload) for payload in payloads]


def join_object(members: Mapping[str, bytes]) -> bytes:
    """Return the JSON object of members whose values are JSON already."""
    return b"{" + b",".join(encode(key) + b":" + value for key, value in members.items()) + b"}"


def is_whole(data: bytes) -> bool:
    """Whether the bytes are JSON text."""
    try:
        decode(data)
    except ValueError:
        return False
    return True


def digest(data: bytes) -> bytes:
    """Return 16 bytes that differ whenever `data` does (BLAKE2b)."""
    return hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest()


def are_intact(payloads: Iterable[bytes], digests: list[bytes]) -> bool:
    """Whether each of some payloads has the digest at its place."""
    blake = functools.partial(hashlib.blake2b, digest_size=DIGEST_SIZE)
    return [blake(payload).digest() for payload in payloads] == digests


_KEYS: Final = frozenset({str})
_PLAIN: Final = frozenset({str, float, bool, type(None)})
_ORDINARY: Final = 2**64
#: Python neither reads nor writes integers of more digits (sys.set_int_max_str_digits).
_UNREADABLE: Final = 10**4300
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*\Z")


_SCALARS: Final = frozenset({str, float, bool, int, type(None)})
#: How many containers a quick look covers at most; the bound also ends it in a value that contains itself.
_MOST_CONTAINERS: Final = 1_000


def _is_ordinary(value: Any) -> bool:
    """Whether a value is certainly JSON: a quick look, to which most values are known, and which proves nothing else.

    It iterates by single calls of functions in C: another thread may change the value meanwhile.
    """
    containers = [value]
    for container in containers:  # which grows meanwhile
        kind = type(container)
        if kind is dict:
            children = list(container.values())
            if not _KEYS.issuperset(map(type, container)):
                return False
        elif kind is list:
            children = container.copy()
        else:
            return False
        if _PLAIN.issuperset(map(type, children)):
            continue
        for child in children:
            kind = type(child)
            if kind is dict or kind is list:
                containers.append(child)
            elif kind not in _SCALARS or (kind is int and not -_ORDINARY < child < _ORDINARY):
                return False
        if len(containers) > _MOST_CONTAINERS:
            return False
    return True


def _require_json(value: Any, place: str) -> None:
    """Refuse what the encoders would quietly turn into something else. Iterative: depth is no limit."""
    if type(value) in _PLAIN:
        return
    open_ids: set[int] = set()
    stack: list[tuple[Iterator[tuple[str | int, Any]], int]] = []
    path: list[str | int] = []

    def refuse(problem: str) -> InvalidPayloadError:
        return InvalidPayloadError(problem, place + "".join(map(_step, path)))

    def enter(child: Any) -> None:
        children: Iterator[tuple[str | int, Any]]
        if isinstance(child, str | float | None):
            return
        if isinstance(child, int):
            if not -_UNREADABLE < child < _UNREADABLE:
                raise refuse("is an integer of more than 4,300 digits, which Python cannot read again")
            return
        if isinstance(child, dict):
            items = list(child.items())  # at once: another thread may change the object meanwhile
            for key, _ in items:
                if not isinstance(key, str):
                    raise refuse(f"has a key of type {type(key).__name__}, and JSON keys are text")
            children = iter(items)
        elif isinstance(child, list | tuple):
            children = enumerate(child)
        else:
            raise refuse(f"is a {type(child).__name__}, which JSON cannot say")
        if id(child) in open_ids:
            raise refuse("contains itself, which JSON cannot say")
        open_ids.add(id(child))
        stack.append((children, id(child)))

    enter(value)
    while stack:
        children, identity = stack[-1]
        depth = len(stack)
        for key, child in children:
            kind = type(child)
            if kind not in _PLAIN and not (kind is int and -_ORDINARY < child < _ORDINARY):
                path[depth - 1 :] = [key]
                enter(child)
                if len(stack) > depth:
                    break
        else:
            stack.pop()
            open_ids.discard(identity)
            del path[max(depth - 2, 0) :]


def _escape_surrogate(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # The whole run at once: one character at a time takes time that grows with the square of the run's length.
    return "".join(f"\\u{ord(character):04x}" for character in error.object[error.start : error.end]), error.end


#: Inside JSON text, where they can only be part of a string, lone surrogates are written as escapes.
_ESCAPE: Final = "hermes_store.json_codec.surrogate"
codecs.register_error(_ESCAPE, _escape_surrogate)


def _step(key: str | int) -> str:
    return f".{key}" if isinstance(key, str) and _IDENTIFIER.match(key) else f"[{key!r}]"
