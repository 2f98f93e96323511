"""Values that nobody expects as an argument, made anew for each call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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
    "type": lambda: int,
    "function": lambda: len,
}
