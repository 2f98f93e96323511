"""Values whose digests are known, so that what did not change is found without encoding it.

A copy of a value has lists and dicts of its own, and shares the value's texts and numbers, which never change. The
value is unchanged as long as the very same texts and numbers are at the same places in it. Two texts that are equal but
not the same object count as a change: then the value is encoded, and its digest tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, overload

from . import encoding
from .encoding import Encoded
from .same_contents import Contents, contents_of

_SHARED: Final = frozenset({str, int, float, bool, type(None)})
_HOLDERS: Final = frozenset({dict, list})
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


def copies_of(values: Iterable[Any]) -> list[Any]:
    """Return copies of values that were just decoded, and that nobody else changes yet; as `copy_of` of each.

    One level of all their lists and dicts is copied after the other: a call for each of them takes longer.
    """
    copies = list(values)
    level: list[Any] = [copies]
    for _ in range(_DEEPEST):
        holders = []
        for holder in level:
            for place, child in holder.items() if type(holder) is dict else enumerate(holder):
                if type(child) in _HOLDERS:
                    holder[place] = copied = child.copy()
                    holders.append(copied)
        if not holders:
            return copies
        level = [
            one for one in holders if not _SHARED.issuperset(map(type, one.values() if type(one) is dict else one))
        ]
    return [copy_of(value) for value in copies]


def is_unchanged(copied: Any, value: Any) -> bool:
    """Whether a value is as it was when it was copied; False if that is not certain.

    Another thread may change the value meanwhile.
    """
    return copied is value or contents_of([copied], [value]) is not None


class Known(NamedTuple):
    """A value of which the digest is known."""

    copy: Any
    digest: bytes


#: Instead of the copy of a message that cannot be copied. No message is the same object.
_NO_COPY: Final = object()
#: Messages that are compared together. If one of them changed, they are compared one by one.
_TOGETHER: Final = 256


class KnownMessages(NamedTuple):
    """Messages of which the digests are known, by their places."""

    copies: list[Any]
    digests: list[bytes]
    #: Of each `_TOGETHER` messages the contents that are as in the copies, possibly of the first ones of them alone;
    #: None where they are not known. (This saves time alone: it may be shorter, too.)
    contents: list[Contents | None]

    @classmethod
    def of(cls, messages: Iterable[Any], digests: Iterable[bytes]) -> KnownMessages:
        """Return messages that were just decoded, and that nobody else changes yet, with their digests."""
        return cls([_NO_COPY if copied is None else copied for copied in copies_of(messages)], list(digests), [])

    @classmethod
    def nothing(cls) -> KnownMessages:
        """Return that nothing is known."""
        return cls([], [], [])

    def copy(self) -> KnownMessages:
        """Return what is known, to be added to."""
        return KnownMessages(self.copies.copy(), self.digests.copy(), self.contents.copy())

    def contents_of(self, messages: Sequence[Any], start: int) -> Contents | None:
        """Return the contents of messages that are as in the copies; None if that is not certain.

        Args:
            messages: at most `_TOGETHER`.
            start: the place of the first one, a multiple of that.
        """
        number = start // _TOGETHER
        former = self.contents[number] if number < len(self.contents) else None
        first = 0 if former is None else len(former.values)
        if former is not None and not former.is_of(messages[:first]):
            former, first = None, 0
        if first == len(messages):
            return former
        found = contents_of(self.copies[start + first : start + len(messages)], messages[first:])
        return found if former is None or found is None else former + found


class EncodedMessages(Sequence[Encoded]):
    """Messages ready to be written. Those that did not change are encoded only when they are asked for.

    Other threads may change the messages: what is written is what they were when this object was made.

    Args:
        messages: the messages.
        known: what is known of the messages that were at these places before.

    Raises:
        InvalidPayloadError: a message is not a JSON value; it names the place.
    """

    __slots__ = ("_encoded", "known")

    def __init__(self, messages: Iterable[Any], known: KnownMessages | None = None) -> None:
        #: The digests of all messages, and what is to be known of them later.
        self.known = KnownMessages.nothing()
        self._encoded: dict[int, Encoded] = {}
        now = list(messages)
        known = KnownMessages.nothing() if known is None else known
        both = min(len(known.copies), len(now))
        for start in range(0, both, _TOGETHER):
            stop = min(start + _TOGETHER, both)
            contents = known.contents_of(now[start:stop], start)
            self.known.contents.append(contents)
            if contents is not None:
                self.known.copies.extend(known.copies[start:stop])
                self.known.digests.extend(known.digests[start:stop])
                continue
            for index in range(start, stop):
                if is_unchanged(known.copies[index], now[index]):
                    self.known.copies.append(known.copies[index])
                    self.known.digests.append(known.digests[index])
                else:
                    self._encode(now[index])
        for message in now[both:]:
            self._encode(message)

    def _encode(self, message: Any) -> None:
        """Add a message that is not known."""
        index, copied = len(self), copy_of(message)
        encoded = encoding.encode_one(message if copied is None else copied, _place(index))
        self._encoded[index] = encoded
        self.known.copies.append(_NO_COPY if copied is None else copied)
        self.known.digests.append(encoded.digest)

    @property
    def digests(self) -> list[bytes]:
        """The digests of all messages."""
        return self.known.digests

    def __len__(self) -> int:
        return len(self.known.digests)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self._at(place) for place in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def _at(self, index: int) -> Encoded:
        if index not in self._encoded:  # then it is known, and has a copy
            self._encoded[index] = encoding.encode_one(self.known.copies[index], _place(index))
        return self._encoded[index]


def _place(index: int) -> str:
    return f"message {index}"
