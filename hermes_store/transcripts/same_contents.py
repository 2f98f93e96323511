"""Whether lists and dicts have the very same texts and numbers, at the same places, as before.

They are compared together: there are thousands in a session, and calls for each of them take longer. Another thread may
change them meanwhile. What it changes during the comparison may be found or not; what was changed before is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, compress
from operator import is_, is_not
from typing import Any, Final, NamedTuple

_HOLDERS: Final = frozenset({dict, list})


class Contents(NamedTuple):
    """Values, and what was in the lists and dicts in them."""

    #: The very objects.
    values: list[Any]
    #: All lists and dicts in them, and of each dict also the view of its values.
    parts: list[Any]
    #: How much is in each part.
    lengths: list[int]
    #: What is in the parts, one after the other.
    entries: list[Any]

    def __add__(self, more: tuple[Any, ...]) -> Contents:
        """Return these values and others."""
        return Contents(*(mine + others for mine, others in zip(self, more, strict=True)))

    def is_of(self, values: Sequence[Any]) -> bool:
        """Whether some values are these very objects, and have the very contents; False if that is not certain."""
        try:
            return (
                len(values) == len(self.values)
                and all(map(is_, self.values, values))
                and list(map(len, self.parts)) == self.lengths
                and all(map(is_, self.entries, chain.from_iterable(self.parts)))
            )
        except RuntimeError:  # a dict got another size while it was gone through
            return False


def contents_of(copies: Sequence[Any], values: Sequence[Any]) -> Contents | None:
    """Return the contents of values that are as they were when they were copied; None if that is not certain.

    Args:
        copies: as `known_values.copy_of` made them, so that they have an end.
        values: as many.
    """
    contents = Contents(list(values), [], [], [])
    olds, news = _differing(copies, values)
    try:
        while olds:
            kinds = list(map(type, olds))
            if kinds != list(map(type, news)) or not _HOLDERS.issuperset(kinds):
                return None
            was, parts = list(_parts(olds)), list(_parts(news))
            lengths = list(map(len, was))
            if lengths != list(map(len, parts)):
                return None
            before, entries = list(chain.from_iterable(was)), list(chain.from_iterable(parts))
            if len(before) != len(entries):
                return None
            contents.parts.extend(parts)
            contents.lengths.extend(lengths)
            contents.entries.extend(entries)
            olds, news = _differing(before, entries)
    except RuntimeError:
        return None
    return contents


def _parts(holders: Sequence[Any]) -> Iterator[Collection[Any]]:
    return chain(holders, (dict.values(one) for one in holders if type(one) is dict))


def _differing(olds: Sequence[Any], news: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return what is not the same object in two sequences of the same length."""
    differ = list(map(is_not, olds, news))
    return list(compress(olds, differ)), list(compress(news, differ))
