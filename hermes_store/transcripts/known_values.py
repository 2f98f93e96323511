"""Values whose digests are known, so that what did not change is found without encoding it.

A copy of a value has lists and dicts of its own, and shares the value's texts and numbers, which never change. The
value is unchanged as long as the very same texts and numbers are at the same places in it. Two texts that are equal but
not the same object count as a change: then the value is encoded, and its digest tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any, Final, NamedTuple, overload

from . import encoding
from .encoding import Encoded

_SHARED: Final = frozenset({str, int, float, bool, type(None)})
_KEYS: Final = frozenset({str})
#: A value with more lists and dicts in it, or nested deeper, is not copied. It may contain itself.
_MOST: Final = 100_000
_DEEPEST: Final = 100


class _CannotCopyError(Exception):
    """A value has something unusual in it."""


def copy_of(value: Any) -> Any:
    """Return a copy that shares texts and numbers alone; None if the value has something else in it, or is too deep.

    Another thread may change the value meanwhile: each list and each dict is copied by one call.
    """
    kind = type(value)
    if kind in _SHARED:
        return value
    if kind is not dict and kind is not list:
        return None
    try:
        return _copied(value, _DEEPEST, [_MOST])
    except _CannotCopyError:
        return None


def _copied(holder: Any, depth: int, left: list[int]) -> Any:
    """Return a copy of a list or a dict.

    Args:
        depth: how many levels there may be in it.
        left: how many lists and dicts may still be copied.
    """
    copied = holder.copy()
    is_dict = type(copied) is dict
    if is_dict and not _KEYS.issuperset(map(type, copied)):
        raise _CannotCopyError
    if _SHARED.issuperset(map(type, copied.values() if is_dict else copied)):
        return copied
    for place, child in copied.items() if is_dict else enumerate(copied):
        kind = type(child)
        if kind is dict or kind is list:
            left[0] -= 1
            if not depth or left[0] < 0:
                raise _CannotCopyError
            copied[place] = _copied(child, depth - 1, left)
        elif kind not in _SHARED:
            raise _CannotCopyError
    return copied


def is_unchanged(copied: Any, value: Any) -> bool:
    """Whether a value is as it was when it was copied; False if that is not certain.

    Another thread may change the value meanwhile.
    """
    try:
        return copied is value or _is_same(copied, value)
    except RuntimeError:  # it changed its size
        return False


def _is_same(old: Any, new: Any) -> bool:
    kind = type(old)
    if kind is not type(new) or kind in _SHARED or len(old) != len(new):
        return False
    olds, news = old, new
    if kind is dict:
        if not all(map(is_, old, new)):
            return False
        olds, news = old.values(), new.values()
    if all(map(is_, olds, news)):
        return True
    # A copy is not so deep that this could fail.
    return all(one is other or _is_same(one, other) for one, other in zip(olds, news, strict=True))


class Known(NamedTuple):
    """A value of which the digest is known."""

    copy: Any
    digest: bytes

    @classmethod
    def of(cls, value: Any, digest: bytes) -> Known | None:
        """Return a value that nobody else changes at the moment, with its digest; None if it cannot be copied."""
        copied = copy_of(value)
        return None if copied is None else cls(copied, digest)


def known_messages(messages: Iterable[Any], digests: Iterable[bytes]) -> list[Known | None]:
    """Return messages, which nobody else changes at the moment, with their digests."""
    return [Known.of(message, digest) for message, digest in zip(messages, digests, strict=True)]


class EncodedMessages(Sequence[Encoded]):
    """Messages ready to be written. Those that did not change are encoded only when they are asked for.

    Other threads may change the messages: what is written is what they were when this object was made.

    Args:
        messages: the messages.
        known: what is known of the messages that were at these places before.

    Raises:
        InvalidPayloadError: a message is not a JSON value; it names the place.
    """

    __slots__ = ("_encoded", "digests", "known")

    def __init__(self, messages: Iterable[Any], known: Sequence[Known | None] = ()) -> None:
        #: The digests of all messages, and what is to be known of them later.
        self.digests: list[bytes] = []
        self.known: list[Known | None] = []
        self._encoded: dict[int, Encoded] = {}
        for index, message in enumerate(messages):
            former = known[index] if index < len(known) else None
            if former is None or not is_unchanged(former.copy, message):
                copied = copy_of(message)
                encoded = encoding.encode_one(message if copied is None else copied, _place(index))
                self._encoded[index] = encoded
                former = None if copied is None else Known(copied, encoded.digest)
                self.digests.append(encoded.digest)
            else:
                self.digests.append(former.digest)
            self.known.append(former)

    def __len__(self) -> int:
        return len(self.digests)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self._at(place) for place in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def _at(self, index: int) -> Encoded:
        known = self.known[index]
        if known is not None and index not in self._encoded:
            self._encoded[index] = encoding.encode_one(known.copy, _place(index))
        return self._encoded[index]


def _place(index: int) -> str:
    return f"message {index}"
