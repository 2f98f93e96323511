"""The versions of a session that a save compares: as the live object read it (base), and as it is there now (local)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

from ..errors import InvalidPayloadError
from ..transcripts import json_codec
from ..transcripts.known_values import EncodedMessages, Known, KnownMessages, copy_of, is_unchanged
from ..transcripts.same_contents import contents_of
from .base_values import OfValues, ReadValues, size_of, sizes_of
from .field_policy import ACTIVE, STREAM, UPDATED, Number
from .state import Extent, IsHidden, State, digest_of, digests_of, hides_nothing


@dataclass
class Base:
    """What a live session was when it was read or saved: digests, to find what changed since."""

    row_id: int
    session_id: str
    #: The revision whose content this is; an earlier one if others wrote something that the session has not adopted.
    revision: int
    message_count: int
    of_values: OfValues | ReadValues
    #: How many of the values those are; others may be in the store, but for the `absent` ones.
    extent: Extent
    absent: set[str] = field(default_factory=set)
    messages: list[bytes] | None = None
    #: What is known of the live session's messages. As it says nothing of the store, a place may have anything.
    known_messages: KnownMessages = field(default_factory=KnownMessages.nothing)
    #: What a save was about to make of this. It is the present base if that was committed and the save did not return;
    #: None once more was read.
    attempt: Base | None = None
    #: The row id of the last message that the save which made it added; 0 if it added none.
    last_row: int = 0
    #: Where it is the base of a few values alone, their keys.
    only: frozenset[str] | None = None

    @classmethod
    def of(cls, state: State) -> Base:
        """Return the base of a session that was just read, and that nobody changes yet.

        The digests of its values are made when they are needed: most of what is read is not saved.
        """
        return cls(
            row_id=state.row_id,
            session_id=state.session_id,
            revision=state.revision,
            message_count=state.message_count,
            of_values=ReadValues(state.values),
            extent=state.extent,
            messages=state.message_digests,
            known_messages=KnownMessages.of(state.messages or (), state.message_digests or ()),
        )

    @property
    def values(self) -> dict[str, bytes]:
        """The digests of its values."""
        return self.of_values.made.digests

    @property
    def sizes(self) -> dict[str, Number]:
        """Of counters the number, of lists the length."""
        return self.of_values.made.sizes

    @property
    def known_values(self) -> dict[str, Known]:
        """What is known of the live session's values. As it says nothing of the store, a key may have anything."""
        return self.of_values.made.known

    def copy(self) -> Base:
        """Return a base that changes by itself. What is known of values is shared, because nobody changes it."""
        return replace(
            self,
            of_values=self.of_values.made.copy(),
            absent=set(self.absent),
            messages=None if self.messages is None else list(self.messages),
            known_messages=self.known_messages.copy(),
            attempt=None if self.attempt is None else self.attempt.copy(),
        )

    @property
    def complete(self) -> bool:
        """Whether it has all of the session's values."""
        return self.extent is Extent.WHOLE

    def limited_to(self, keys: Collection[str], *, messages: bool) -> Base:
        """Return the base of a few values alone, with or without the messages."""
        values = OfValues(
            {key: digest for key, digest in self.values.items() if key in keys},
            {key: size for key, size in self.sizes.items() if key in keys},
            self.known_values,
        )
        part = replace(self, of_values=values, extent=Extent.ROW, only=frozenset(keys), attempt=None)
        return part if messages else replace(part, messages=None)

    def joined(self, written: Base, part: Base, *, is_alone: bool) -> Base:
        """Return what this is after a part of it was saved.

        Args:
            written: what the save made of the part.
            part: the part of this that was compared with the store.
            is_alone: nobody else wrote since this was read. What was not compared may have been changed by others.
        """
        known = written.values.keys() | (part.names() if part.only is not None else self.values.keys())
        with_messages = part.messages is not None
        return replace(
            written,
            revision=written.revision if is_alone else self.revision,
            of_values=OfValues(
                {key: digest for key, digest in self.values.items() if key not in known} | written.values,
                {key: size for key, size in self.sizes.items() if key not in known} | written.sizes,
                self.known_values | written.known_values,
            ),
            extent=self.extent,
            absent=self.absent - written.values.keys(),
            messages=written.messages if with_messages else self.messages,
            known_messages=written.known_messages if with_messages else self.known_messages,
            only=None,
            attempt=None,
        )

    def names(self) -> set[str]:
        """Return the keys of which it is known what the store had."""
        return set(self.only) if self.only is not None else self.values.keys() | self.absent

    def has(self, key: str, value: Any) -> bool:
        """Whether this has a value; False for one that is not JSON, which the store never has."""
        try:
            return self.values.get(key) == digest_of(key, value)
        except InvalidPayloadError:
            return False

    def changed(self, digests: Mapping[str, bytes]) -> set[str]:
        """Return the keys whose values are others now, are new, or are gone."""
        return {key for key in self.values.keys() | digests.keys() if self.values.get(key) != digests.get(key)}

    def unchanged_values(self, values: Mapping[str, Any]) -> dict[str, Known]:
        """Return what is known of values that are certainly as they are here. There may be more of them."""
        found = ((key, self.known_values.get(key)) for key in values)
        known = {key: one for key, one in found if one is not None and one.digest == self.values.get(key)}
        differ = [key for key, one in known.items() if one.copy is not values[key]]
        lists = [key for key in differ if type(values[key]) in (dict, list)]
        if contents_of([known[key].copy for key in lists], [values[key] for key in lists]) is not None:
            differ = [key for key in differ if key not in lists]
        return {key: one for key, one in known.items() if key not in differ}

    def size(self, key: str) -> Number | None:
        """Return the number of a counter or the length of a list, 0 where there was none; None if it was neither."""
        return self.sizes.get(key) if key in self.values else 0

    def put(self, key: str, value: Any) -> None:
        """Record a value, which is not changed any more."""
        self.values[key] = digest_of(key, value)
        self._put_size(key, size_of(key, value))
        self.absent.discard(key)

    def remove(self, key: str) -> None:
        """Forget a value."""
        self.values.pop(key, None)
        self.sizes.pop(key, None)

    def restore(self, key: str, former: Base) -> None:
        """Record what a former base has under a key."""
        self.remove(key)
        if key in former.values:
            self.values[key] = former.values[key]
            self._put_size(key, former.sizes.get(key))

    def _put_size(self, key: str, size: Number | None) -> None:
        if size is None:
            self.sizes.pop(key, None)
        else:
            self.sizes[key] = size


def compared_keys(only: Iterable[str], *, touch: bool) -> set[str]:
    """Return the keys that a save of some values compares with the store.

    Args:
        only: the keys of these values.
        touch: it also sets the time of the last change.
    """
    keys = {*only, *([UPDATED] if touch else [])}
    # What belongs to a stream that others began is left as it is.
    return keys if keys.isdisjoint(STREAM) else keys | {ACTIVE}


@dataclass
class Local:
    """A live session at the moment of saving.

    Other threads may change its values and messages meanwhile. So what is written was encoded, or copied, when its
    digest was made.
    """

    session_id: str
    #: The very objects.
    values: dict[str, Any]
    #: None where they were not read.
    messages: list[Any] | None
    base: InitVar[Base | None]
    #: Whether this is the session's last change; if not, `updated_at` is written as it is.
    touched: bool
    #: The keys of the store's values that the session never has.
    is_hidden: IsHidden = hides_nothing
    #: What is written for the values.
    copies: dict[str, Any] = field(init=False)
    digests: dict[str, bytes] = field(init=False)
    sizes: dict[str, Number] = field(init=False)
    encoded: EncodedMessages | None = field(init=False)
    known_values: dict[str, Known] = field(init=False)

    def __post_init__(self, base: Base | None) -> None:
        self.known_values = {} if base is None else base.unchanged_values(self.values)
        self.copies = {key: self.values[key] for key in self.known_values}
        self.digests = {key: known.digest for key, known in self.known_values.items()}
        for key, value in self.values.items():
            if key not in self.known_values:
                self._take(key, json_codec.plain(value, key), base)
        self.sizes = sizes_of(self.copies)
        if base is not None:  # a list that is as it was is not copied, and may have grown since
            unchanged = {key for key, digest in self.digests.items() if digest == base.values.get(key)}
            self.sizes |= {key: size for key, size in base.sizes.items() if key in unchanged}
        known = None if base is None else base.known_messages
        self.encoded = None if self.messages is None else EncodedMessages(self.messages, known)

    @property
    def message_digests(self) -> list[bytes] | None:
        """The digests of the messages; None where they were not read."""
        return None if self.encoded is None else list(self.encoded.digests)

    def _take(self, key: str, value: Any, base: Base | None) -> None:
        """Record the digest of a value, and a private copy; the value itself if it is as in the base."""
        known = None if base is None else base.known_values.get(key)
        written = value
        if known is not None and is_unchanged(known.copy, value):
            digest = known.digest
        elif not isinstance(value, dict | list | tuple):
            digest = digest_of(key, value)
            known = Known(value, digest)
        elif (copied := copy_of(value)) is None:
            written = json_codec.decode(json_codec.encode(value, key))
            known, digest = None, digest_of(key, written)
        else:
            known = Known(copied, digest_of(key, copied))
            written, digest = copy_of(copied), known.digest
        is_as_in_base = base is not None and base.values.get(key) == digest
        self.copies[key], self.digests[key] = value if is_as_in_base else written, digest
        if known is not None:
            self.known_values[key] = known

    def watch_stream(self, base: Base) -> None:
        """Make a save of some of a stream's values find out whether others began a stream.

        Args:
            base: what these values, and the stream's id, were.
        """
        if ACTIVE not in self.values and ACTIVE in base.values:
            self.digests[ACTIVE] = base.values[ACTIVE]

    def set_time(self, time: float) -> None:
        """Set the time of the session's last change."""
        self.values[UPDATED] = self.copies[UPDATED] = time
        self.digests |= digests_of({UPDATED: time})
