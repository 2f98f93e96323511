"""What is known of the values of a session as it was read or saved, to find what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..memoized import memoized
from ..transcripts.known_values import Known, copies_of
from . import field_policy
from .field_policy import Number
from .state import digests_of


@dataclass
class OfValues:
    """What is known of some values, by their keys."""

    digests: dict[str, bytes]
    #: Of counters the number, of lists the length.
    sizes: dict[str, Number] = field(default_factory=dict)
    #: Copies, which nobody changes. A key may be missing.
    known: dict[str, Known] = field(default_factory=dict)

    @property
    def made(self) -> OfValues:
        """Itself; see `ReadValues.made`."""
        return self

    def copy(self) -> OfValues:
        """Return the same, to be changed by itself. What is known of values is shared, because nobody changes it."""
        return OfValues(dict(self.digests), dict(self.sizes), dict(self.known))


class ReadValues:
    """Values that were just read. Most of what is read is not saved, so only copies are made at first.

    Args:
        values: the values by key, which nobody changes yet.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        copies = zip(values.items(), copies_of(values.values()), strict=True)
        self._copies = {key: copied for (key, value), copied in copies if copied is not None or value is None}
        # What cannot be copied may change, so its digest is made now.
        others = {key: values[key] for key in values.keys() - self._copies.keys()}
        self._others = OfValues(digests_of(others), sizes_of(others))

    @memoized
    def made(self) -> OfValues:
        """What is known of them."""
        digests = digests_of(self._copies)
        return OfValues(
            digests | self._others.digests,
            sizes_of(self._copies) | self._others.sizes,
            {key: Known(copied, digests[key]) for key, copied in self._copies.items()},
        )


def size_of(key: str, value: Any) -> Number | None:
    """Return the number of a counter or the length of a list; None if it is neither."""
    if key in field_policy.COUNTERS:
        return field_policy.number_of(value)
    return len(value) if isinstance(value, list) else None


def sizes_of(values: Mapping[str, Any]) -> dict[str, Number]:
    """Return the numbers of counters and the lengths of lists by key."""
    return {key: size for key, value in values.items() if (size := size_of(key, value)) is not None}
