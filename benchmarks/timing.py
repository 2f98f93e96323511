"""Measuring: contenders run in turn, in one process, so that a busy machine slows all of them alike."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    _child_seconds: Callable[[], float] = lambda: 0.0  # noqa: E731
else:

    def _child_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Action:
    """What is timed: a function, which may be a coroutine function, and the arguments of each call."""

    function: Callable[..., Any]
    arguments: Iterator[tuple[Any, ...]] = field(default_factory=lambda: itertools.repeat(()))


def feed(function: Callable[..., Any], values: Iterable[Any]) -> Action:
    """Return an action whose calls take one value each. The values are made outside the time that is measured."""
    return Action(function, ((value,) for value in values))


@dataclass(frozen=True)
class Figures:
    """What one contender took, in milliseconds for each call."""

    #: The median time that passed.
    wall: float
    #: Its 20th and its 95th percentile.
    wall_p20: float
    wall_p95: float
    #: The median of the processor time, of this process and of the processes that it waited for.
    cpu: float
    calls: int


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the contenders that are asynchronous."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    return made


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, and wait for what it returns if it is a coroutine function."""
    result = function(*arguments)
    return loop().run_until_complete(result) if inspect.isawaitable(result) else result


def _used() -> float:
    return time.process_time() + _child_seconds()


def timed(action: Action) -> tuple[float, float]:
    """Run an action once, and return the wall and processor seconds; those of a coroutine inside its event loop."""
    function, arguments = action.function, next(action.arguments)
    if inspect.iscoroutinefunction(function):

        async def inside() -> tuple[float, float]:
            used, started = _used(), time.perf_counter()
            await function(*arguments)
            return time.perf_counter() - started, _used() - used

        return loop().run_until_complete(inside())
    used, started = _used(), time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started, _used() - used


def compare(
    actions: Mapping[str, Action],
    *,
    rounds: int,
    inner: int = 1,
    warm: int = 1,
    before: Callable[[str], object] | None = None,
) -> dict[str, Figures]:
    """Run actions in turn, each round beginning with another one.

    Args:
        actions: by the names of the contenders.
        rounds: how often each has its turn.
        inner: how many calls a turn has.
        warm: how many calls are made before, and not counted.
        before: called with the contender's name before each turn, outside the time that is measured.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for action in actions.values():
        for _ in range(warm):
            timed(action)
    gc.collect()
    gc.freeze()  # what the imports of others left is nobody's to traverse
    try:
        names = list(actions)
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                if before is not None:
                    before(name)
                taken[name] += [timed(actions[name]) for _ in range(inner)]
    finally:
        gc.unfreeze()
    return {name: figures(times) for name, times in taken.items()}


def figures(times: list[tuple[float, float]]) -> Figures:
    """Return the figures of some calls, whose wall and processor seconds are given."""
    wall = sorted(one for one, _ in times)
    last = len(wall) - 1
    return Figures(
        wall=statistics.median(wall) * 1e3,
        wall_p20=wall[round(last * 0.2)] * 1e3,
        wall_p95=wall[round(last * 0.95)] * 1e3,
        cpu=statistics.median(cpu for _, cpu in times) * 1e3,
        calls=len(times),
    )
