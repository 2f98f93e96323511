"""Copies of JSON values, and their depth, without recursion: how deep a value is nested is no limit."""

from __future__ import annotations

import copy
from typing import Any


def deep_copy(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a copy of a value that shares no list and no dict with it; as `copy.deepcopy`.

    Args:
        value: anything. What is neither a list nor a dict is copied by `copy.deepcopy`.
        memo: what was copied already, by `id`; it is added to.
    """
    memo = {} if memo is None else memo
    holder: list[Any] = [None]
    stack: list[tuple[Any, Any, Any]] = [(value, holder, 0)]
    while stack:
        current, into, key = stack.pop()
        kind = type(current)
        if kind is not list and kind is not dict:
            into[key] = current if kind in _IMMUTABLE else copy.deepcopy(current, memo)
            continue
        if id(current) in memo:
            into[key] = memo[id(current)]
            continue
        made: Any = dict.fromkeys(current) if kind is dict else [None] * len(current)
        into[key] = memo[id(current)] = made
        items = current.items() if kind is dict else enumerate(current)
        stack.extend((child, made, place) for place, child in items)
    return holder[0]


_IMMUTABLE = frozenset({str, int, float, bool, type(None)})


_HOLDERS = (list, tuple, dict)


def _items(value: Any) -> Any:
    """Return an iterator of a list or a tuple, whatever a class that is derived from it would do."""
    return list.__iter__(value) if issubclass(type(value), list) else tuple.__iter__(value)


def is_deeper(value: Any, limit: int) -> bool:
    """Whether lists and dicts are nested in each other more than `limit` times (or contain themselves)."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for one in level
            if issubclass(type(one), _HOLDERS)
            for child in (dict.values(one) if issubclass(type(one), dict) else _items(one))
            if issubclass(type(child), _HOLDERS)
        ]
        if not level:
            return False
    return True
