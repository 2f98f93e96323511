"""Properties whose value is computed once for each object, without a lock.

`functools.cached_property` of Python 3.11 holds a lock while it computes, one for all objects of a class. In a process
that is forked at that moment, it stays locked. Here two threads may both compute the value, and both get the first one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

V = TypeVar("V")


class memoized(Generic[V]):  # noqa: N801 - named as a decorator
    """Make a method a property whose value is kept in the object's `__dict__` when it was computed.

    Args:
        compute: the method. What it returns depends on the object alone.
    """

    def __init__(self, compute: Callable[[Any], V]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> memoized[V]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> V: ...

    def __get__(self, instance: object | None, owner: type) -> V | memoized[V]:
        if instance is None:
            return self
        # Without a `__set__` here, Python finds the value in the object first when it is asked for again.
        value: V = instance.__dict__.setdefault(self._name, self._compute(instance))
        return value
