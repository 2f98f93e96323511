"""Values that nobody expects as an argument, made anew for each call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Raising:
    """An object all of whose special methods raise."""

    def _fail(self, *arguments: object) -> Any:
        raise RuntimeError("nobody is to call this")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __lt__ = __format__ = _fail
    __int__ = __float__ = __index__ = __contains__ = __getitem__ = _fail


class RaisingPath(os.PathLike[str]):
    """A path that cannot be asked for."""

    def __fspath__(self) -> str:
        raise RuntimeError("no path")


class RaisingMapping(dict[str, Any]):
    """A dict whose items cannot be asked for."""

    def items(self) -> Any:
        raise RuntimeError("no items")


class RaisingList(list[Any]):
    """A list that cannot be walked through."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")


class OddText(str):
    """A text whose comparisons and conversions raise."""

    def _fail(self, *arguments: object) -> Any:
        raise RuntimeError("nobody is to call this")

    __eq__ = __ne__ = __str__ = __repr__ = __format__ = __len__ = __iter__ = _fail
    __hash__ = str.__hash__


class OddNumber(int):
    """An integer whose comparisons and conversions raise."""

    def _fail(self, *arguments: object) -> Any:
        raise RuntimeError("nobody is to call this")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __str__ = __repr__ = __format__ = __bool__ = _fail
    __abs__ = __float__ = __int__ = __index__ = _fail
    __hash__ = int.__hash__


class Pretender:
    """An object that says it is of another class, as mocks do."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    @property
    def __class__(self) -> type:
        return self._kind

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError("it stays what it is not")


def deep_list(depth: int = 2_000) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def deep_dict(depth: int = 2_000) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def _cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _raising_generator() -> Iterator[Any]:
    yield "a"
    raise RuntimeError("no more of it")


HOSTILE: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "zero": lambda: 0,
    "minus one": lambda: -1,
    "2**63": lambda: 2**63,
    "-10**5000": lambda: -(10**5000),
    "10**5000": lambda: 10**5000,
    "1.5": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e308": lambda: 1e308,
    "complex": lambda: 1j,
    "bytes": lambda: b"\xff\x00",
    "bytearray": lambda: bytearray(b"a"),
    "surrogate": lambda: "\ud800",
    "NUL": lambda: "a\x00b",
    "empty": lambda: "",
    "digits": lambda: "5",
    "a letter that is none": lambda: "é/../\u202e",
    "a long text": lambda: "x" * 100_000,
    "list": list,
    "a list of None": lambda: [None],
    "a list of a huge integer": lambda: [10**5000],
    "dict": dict,
    "a dict of integers": lambda: {1: 2},
    "a dict of NaN": lambda: {"a": float("nan")},
    "a deep list": deep_list,
    "a deep dict": deep_dict,
    "a cyclic list": _cyclic,
    "set": lambda: {"a"},
    "frozenset": frozenset,
    "generator": lambda: (one for one in ["a", "b"]),
    "raising generator": _raising_generator,
    "raising object": Raising,
    "a list of raising objects": lambda: [Raising()],
    "raising path": RaisingPath,
    "raising mapping": lambda: RaisingMapping(a=1),
    "raising list": lambda: RaisingList([1]),
    "minus zero": lambda: -0.0,
    "right to left": lambda: "a\u202eb\u2066c\u200b",
    "a part of a path": lambda: "../../no-such-folder/x",
    "home of nobody": lambda: "~no-such-user/x",
    "a deep JSON text": lambda: "[" * 5_000 + "]" * 5_000,
    "odd text": lambda: OddText("a"),
    "odd number": lambda: OddNumber(1),
    "pretends to be text": lambda: Pretender(str),
    "pretends to be a number": lambda: Pretender(int),
    "pretends to be a dict": lambda: Pretender(dict),
    "type": lambda: int,
    "function": lambda: len,
}


#: Whether every value is tried in every place, which takes minutes; else each is tried in every sixth place.
EVERYWHERE = bool(os.environ.get("HERMES_STORE_ALL_VALUES"))


def some_of(values: Iterable[str], place: str, every: int = 6) -> list[str]:
    """Return those of some values, by name, that are tried in a place: each is in one of so many places."""
    shift = sum(place.encode())
    return [value for index, value in enumerate(values) if EVERYWHERE or (index + shift) % every == 0]
