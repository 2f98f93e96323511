"""How a transcript was before messages were removed or overwritten: which messages stayed, and where the others are.

A cut is described by its runs: the messages that it left unchanged, with their positions before and after it. All other
messages that there were before it are kept elsewhere, by their positions then.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from . import json_codec
from .diff import Changes


class Run(NamedTuple):
    """Consecutive messages that a cut left unchanged."""

    #: The position of the first one before the cut.
    before: int
    #: Its position after the cut.
    after: int
    length: int


class Piece(NamedTuple):
    """Consecutive messages of a former transcript, and where they are now."""

    #: The row id of the cut that kept them; 0 for the session's messages.
    cut: int
    #: The position of the first one there.
    first: int
    length: int


def runs_of(changes: Changes) -> list[Run]:
    """Return the runs of a change: what it neither removes nor overwrites."""
    updated = set(changes.updated)
    runs: list[list[int]] = []
    following = None
    for before, after in changes.surviving:
        if after in updated:
            continue
        if (before, after) == following:
            runs[-1][2] += 1  # (a new `Run` for each message would take ten times as long)
        else:
            runs.append([before, after, 1])
        following = (before + 1, after + 1)
    return [Run(*run) for run in runs]


def is_append(runs: Sequence[Run], count: int) -> bool:
    """Whether all of `count` messages stayed where they were."""
    return count == 0 or list(runs) == [(0, 0, count)]


def without(position: int, count: int) -> list[Run]:
    """Return the runs of overwriting one of `count` messages."""
    runs = [Run(0, 0, position), Run(position + 1, position + 1, count - position - 1)]
    return [run for run in runs if run.length > 0]


def reverse(runs: Iterable[Run]) -> list[Run]:
    """Return the runs of the way back."""
    return [Run(run.after, run.before, run.length) for run in runs]


def gaps(runs: Iterable[Run], count: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last positions, before the cut, of the messages that are in no run.

    Args:
        count: how many messages there were.
    """
    start = 0
    for run in runs:
        if run.before > start:
            yield start, run.before - 1
        start = run.before + run.length
    if start < count:
        yield start, count - 1


def before(pieces: Sequence[Piece], runs: Sequence[Run], count: int, cut: int) -> list[Piece]:
    """Return where the messages are that a transcript had before a cut.

    Args:
        pieces: where those are that it had after it.
        runs: the cut's.
        count: how many messages there were before it.
        cut: its row id.

    Raises:
        ValueError: they do not fit together.
    """
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + piece.length)
    found: list[Piece] = []
    position = 0
    for run in [*runs, Run(count, 0, 0)]:
        if run.before > position:
            found.append(Piece(cut, position, run.before - position))
        if run.before < position or run.length < 0 or run.after < 0 or run.after + run.length > starts[-1]:
            raise ValueError("a run is outside of its transcript")
        found += _part(pieces, starts, run.after, run.length)
        position = run.before + run.length
    if position != count:
        raise ValueError("the runs are longer than the transcript")
    return found


def _part(pieces: Sequence[Piece], starts: Sequence[int], first: int, length: int) -> Iterator[Piece]:
    index = bisect.bisect_right(starts, first) - 1
    while length > 0:
        piece, skipped = pieces[index], first - starts[index]
        taken = min(length, piece.length - skipped)
        if taken > 0:
            yield Piece(piece.cut, piece.first + skipped, taken)
        first, length, index = first + taken, length - taken, index + 1


def first_of(pieces: Iterable[Piece], count: int) -> Iterator[Piece]:
    """Yield the pieces of the first `count` messages."""
    for piece in pieces:
        if count <= 0:
            return
        yield piece._replace(length=min(piece.length, count))
        count -= piece.length


def encode(runs: Iterable[Run]) -> bytes:
    """Return runs as they are stored."""
    return json_codec.encode([list(run) for run in runs])


def decode(stored: Any, count: Any) -> list[Run]:
    """Return stored runs of a cut before which there were `count` messages.

    Raises:
        ValueError: they are damaged.
    """
    values = json_codec.decode(stored)
    if not isinstance(values, list) or type(count) is not int:
        raise ValueError("the runs are no list")
    runs = []
    start = 0
    for value in values:
        if not isinstance(value, list) or [type(number) for number in value] != [int] * 3:
            raise ValueError("a run is not three numbers")
        run = Run(*value)
        if run.before < start or run.after < 0 or run.length <= 0:
            raise ValueError("the runs are not in order")
        start = run.before + run.length
        runs.append(run)
    if start > count:
        raise ValueError("the runs are longer than the transcript")
    return runs
