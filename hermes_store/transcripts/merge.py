"""The three-way merge of transcripts: what two writers, local and remote, made of the same base.

A message is known by its digest. What one of them did not change is taken from the other, and what both appended
follows one after the other, the remote messages first. Where both changed the same part, no result would keep both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from . import diff

REMOVED: Final = -1


class Source(NamedTuple):
    """Where a message of the merged transcript comes from: whose it is, and its position there."""

    side: Literal["local", "remote"]
    position: int


class MergeConflictError(Exception):
    """Both changed the same part. It never leaves this library, which raises `StaleSessionError` instead."""


@dataclass(frozen=True)
class _Edits:
    """What one version changed in the base."""

    #: Of each message of the base, its position in the version, or REMOVED.
    fate: list[int]
    #: The positions of new messages, by the message of the base that they are before.
    inserted: dict[int, list[int]]

    @classmethod
    def of(cls, base: Sequence[bytes], version: Sequence[bytes]) -> _Edits:
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

    def fate_before(self, index: int) -> int | None:
        """Return the fate of the message of the base that is before an index; None at the beginning."""
        return self.fate[index - 1] if index else None


def merge(base: Sequence[bytes], local: Sequence[bytes], remote: Sequence[bytes]) -> list[Source]:
    """Return the transcript with the changes of both to `base`; all are given by the messages' digests.

    Raises:
        MergeConflictError: both changed the same part, differently.
    """
    if local in (remote, base):
        return [Source("remote", position) for position in range(len(remote))]
    if remote == base:
        return [Source("local", position) for position in range(len(local))]
    local_edits, remote_edits = _Edits.of(base, local), _Edits.of(base, remote)
    merged: list[Source] = []
    for index in range(len(base) + 1):
        merged += _insertions(index, len(base), local_edits, remote_edits, local, remote)
        if index < len(base):
            merged += _one(base[index], local_edits.fate[index], remote_edits.fate[index], local, remote)
    return merged


def _one(
    base: bytes, local_position: int, remote_position: int, local: Sequence[bytes], remote: Sequence[bytes]
) -> list[Source]:
    """Return what became of one message of the base: nothing, or one message."""
    local_message = None if local_position == REMOVED else local[local_position]
    remote_message = None if remote_position == REMOVED else remote[remote_position]
    if local_message in (base, remote_message):
        return [] if remote_message is None else [Source("remote", remote_position)]
    if remote_message == base:
        return [] if local_message is None else [Source("local", local_position)]
    raise MergeConflictError


def _insertions(  # noqa: PLR0917 - the place, and both versions of it
    index: int,
    end: int,
    local_edits: _Edits,
    remote_edits: _Edits,
    local: Sequence[bytes],
    remote: Sequence[bytes],
) -> list[Source]:
    """Return the new messages that are before a message of the base, or at its end."""
    local_positions = local_edits.inserted.get(index, [])
    remote_positions = remote_edits.inserted.get(index, [])
    for positions, opposite in ((local_positions, remote_edits), (remote_positions, local_edits)):
        if positions and opposite.fate_before(index) == REMOVED:
            raise MergeConflictError  # one continued what the other removed
    from_remote = [Source("remote", position) for position in remote_positions]
    from_local = [Source("local", position) for position in local_positions]
    same = [local[position] for position in local_positions] == [remote[position] for position in remote_positions]
    if not from_local or same:
        return from_remote
    if from_remote and index < end:
        raise MergeConflictError
    return from_remote + from_local
