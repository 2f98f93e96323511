"""The three-way merge of transcripts: what two writers, local and remote, made of the same base.

A message is known by its digest. What one of them did not change is taken from the other; what both inserted at one
place follows one after the other, the remote messages first. A message that one of them changed and the other removed
stays, as changed. Only a message that both changed differently is a conflict, and only that message is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from . import diff

REMOVED: Final = -1

Side = Literal["local", "remote"]


class Source(NamedTuple):
    """Where a message of the merged transcript comes from."""

    side: Side
    #: Where the message is in the local version, and in the remote one; REMOVED where it is not there.
    local: int
    remote: int

    @property
    def position(self) -> int:
        """Its position in the version that it comes from."""
        return self.local if self.side == "local" else self.remote


class Conflict(NamedTuple):
    """A message that both changed: its positions in the three versions. The merged transcript has the remote one."""

    base: int
    local: int
    remote: int


@dataclass
class Merged:
    """The transcript with the changes of both."""

    sources: list[Source] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    def positions(self, side: Side) -> dict[int, int]:
        """Return where the messages of a version are in the merged transcript, by their positions in the version."""
        at = Source._fields.index(side)
        return {source[at]: place for place, source in enumerate(self.sources) if source[at] != REMOVED}  # type: ignore[misc]


@dataclass(frozen=True)
class _Edits:
    """What one version changed in the base."""

    #: Of each message of the base, its position in the version, or REMOVED.
    fate: list[int]
    #: The positions of new messages, by the message of the base that they are before.
    inserted: dict[int, list[int]]

    @classmethod
    def of(cls, base: Sequence[Hashable], version: Sequence[Hashable]) -> _Edits:
        fate = [REMOVED] * len(base)
        changes = diff.compare(base, version)
        for old, new in changes.surviving:
            fate[old] = new
        at = {new: old for old, new in changes.surviving}
        inserted: defaultdict[int, list[int]] = defaultdict(list)
        before = len(base)
        for position in range(len(version) - 1, -1, -1):
            if position in at:
                before = at[position]
            else:
                inserted[before].append(position)  # the last one first; inserting at the front would be quadratic
        return cls(fate, {index: positions[::-1] for index, positions in inserted.items()})


def merge(base: Sequence[Hashable], local: Sequence[Hashable], remote: Sequence[Hashable]) -> Merged:
    """Return the transcript with the changes of both to `base`; all are given by the messages' digests."""
    merged = Merged()
    local_edits, remote_edits = _Edits.of(base, local), _Edits.of(base, remote)
    for index in range(len(base) + 1):
        merged.sources += _insertions(index, local_edits, remote_edits, local, remote)
        if index < len(base):
            at_local, at_remote = local_edits.fate[index], remote_edits.fate[index]
            side = _side(base[index], _at(local, at_local), _at(remote, at_remote))
            if side is None:
                merged.conflicts.append(Conflict(index, at_local, at_remote))
            source = Source(side or "remote", at_local, at_remote)
            if source.position != REMOVED:
                merged.sources.append(source)
    return merged


def _at(version: Sequence[Hashable], position: int) -> Hashable | None:
    return None if position == REMOVED else version[position]


def _side(base: Hashable, local: Hashable | None, remote: Hashable | None) -> Side | None:
    """Return which version of a message of the base is taken; None for a conflict. (A removed message is None.)"""
    if local in (base, remote):
        return "remote"
    if remote == base:
        return "local"
    if local is None:  # what was edited stays
        return "remote"
    return "local" if remote is None else None


def _insertions(
    index: int, local_edits: _Edits, remote_edits: _Edits, local: Sequence[Hashable], remote: Sequence[Hashable]
) -> list[Source]:
    """Return the new messages that are before a message of the base, or at its end; equal ones of both once."""
    local_positions = local_edits.inserted.get(index, [])
    remote_positions = remote_edits.inserted.get(index, [])
    if [local[position] for position in local_positions] == [remote[position] for position in remote_positions]:
        return [Source("remote", *positions) for positions in zip(local_positions, remote_positions, strict=True)]
    from_remote = [Source("remote", REMOVED, position) for position in remote_positions]
    return from_remote + [Source("local", position, REMOVED) for position in local_positions]
