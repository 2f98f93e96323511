"""What a save makes of the fields of a session that others wrote to since it was read.

Nothing is written here, and nothing is read but the session's present state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..storage import message_reading
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from . import field_policy
from .field_policy import CALLS, COUNTERS, GENERATED, MANUAL, STREAM, TITLE, UPDATED, Places
from .merged_transcripts import Transcript
from .state import ROW_KEYS, Extent, State, digest_of, digests_of, is_default, read_again, read_documents
from .versions import Base, Local

#: How many messages are looked at for the one that a title may have been made of.
_FIRST: Final = 20


class Lost(NamedTuple):
    """A value that both changed, and of which one version is kept."""

    key: str
    digest: bytes | None
    kept: bytes | None


@dataclass
class Joined:
    """A list that keeps the records that both appended, or whose records name their messages by other positions."""

    #: Where the others' records are inserted into the local list.
    start: int
    #: The local list's length at the moment of saving.
    length: int
    added: list[Any]
    places: Places | None = None


@dataclass
class Fields:
    """The values that a save leaves in the store."""

    #: The keys of the values to write.
    changed: set[str]
    #: The values that the live session gets instead of its own: the others', or those made of both.
    adopted: dict[str, Any] = field(default_factory=dict)
    #: The keys that the live session loses.
    gone: set[str] = field(default_factory=set)
    #: Among the adopted, the lists made of both.
    joined: dict[str, Joined] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)


def merge_fields(unit: UnitOfWork, base: Base, local: Local, key: SessionKey, transcript: Transcript | None) -> Fields:
    """Return the fields to write, each judged by the rule for its kind.

    Args:
        transcript: the merged messages, which may be in other places than those that fields name.

    Raises:
        SessionNotFoundError, SessionDeletedError: the session is no longer there.
    """
    remote = read_again(unit, base.row_id, base.session_id, base.extent, local.is_hidden)
    if base.extent is Extent.ROW:
        read_documents(unit, remote, sorted(base.names() - ROW_KEYS))
    if base.only is not None:
        remote.values = {name: value for name, value in remote.values.items() if name in base.only}
    merge = _FieldMerge(base, local, remote)
    merge.merge_stream()
    merge.merge_title(lambda: _first_messages(unit, key))
    merge.merge_others()
    if transcript is not None:
        merge.move_calls(transcript)
    return merge.fields


def _first_messages(unit: UnitOfWork, key: SessionKey) -> list[Any]:
    count = key.message_count
    rows = message_reading.fetch(unit, key.id, key.session_id, start=0, stop=min(_FIRST, count), count=count)
    return message_reading.decode(key.session_id, rows, 0)


class _FieldMerge:
    """One merge of a session's fields, which each method does a part of."""

    def __init__(self, base: Base, local: Local, remote: State) -> None:
        self.base, self.local, self.remote = base, local, remote
        self.digests = digests_of(remote.values)
        self.local_changed = base.changed(local.digests)
        # What a new session was not given has the default in the store, which nobody put there.
        unset = {key for key, value in remote.values.items() if key not in base.values and is_default(key, value)}
        self.remote_changed = base.changed(self.digests) - unset
        self.fields = Fields(set(self.local_changed))
        self.open = self.local_changed | self.remote_changed

    def merge_stream(self) -> None:
        """Give the stream's state to one side as a whole, where one of them began a stream."""
        owner = field_policy.stream_owner(
            self.local_changed, self.remote_changed, self.local.copies, self.remote.values
        )
        if owner is not None:
            take = self._keep_local if owner == "local" else self._take_remote
            for key in sorted(STREAM & self.open):
                take(key)

    def merge_title(self, first_messages: Callable[[], list[Any]]) -> None:
        """Prefer a title that the user gave to one that a program made."""
        if not self._both_differ(TITLE):
            return
        small = {key: self.remote.small[key] for key in (MANUAL, GENERATED) if key in self.remote.small}
        remote = {**small, **self.remote.values}
        # Versions that know `MANUAL` set it with each title that the user gives.
        local = {**small, **({MANUAL: False} if MANUAL in remote else {}), **self.local.copies}
        messages = self.local.messages
        read = first_messages if messages is None else lambda: messages
        if not field_policy.is_automatic(local, self.local_changed, read):
            return
        if not field_policy.is_automatic(remote, self.remote_changed, first_messages):
            self._take_remote(TITLE)

    def merge_others(self) -> None:
        """Merge each of the other values by the rule for its kind; without one, the last writer's is kept."""
        for key in sorted(self.open):
            if key not in self.local_changed:
                self._take_remote(key)
            elif key not in self.remote_changed:
                continue
            elif (total := self._total(key)) is not None:
                self._put(key, total)
            elif self.local.digests.get(key) == self.digests.get(key):
                self.fields.changed.discard(key)
            elif key == UPDATED:
                if field_policy.later(self.local.copies.get(key), self.remote.values.get(key)) == "remote":
                    self._take_remote(key)
            elif not self._join(key):
                self._keep_local(key)

    def move_calls(self, transcript: Transcript) -> None:
        """Make the calls that are written, or adopted, name their messages by where those are in the transcript."""
        fields, local, remote = self.fields, transcript.local, transcript.remote
        if local is None or remote is None or CALLS in fields.gone:
            return
        calls = fields.adopted.get(CALLS, self.local.copies.get(CALLS) if CALLS in fields.changed else None)
        if not isinstance(calls, list):
            return
        joined = fields.joined.get(CALLS)
        if joined is not None:
            end = joined.start + len(joined.added)
            joined.added = [remote.move(call) for call in joined.added]
            calls = [*calls[: joined.start], *joined.added, *(local.move(call) for call in calls[end:])]
        elif CALLS in fields.adopted:
            calls = [remote.move(call) for call in calls]
            if digest_of(CALLS, calls) != self.digests[CALLS]:
                fields.changed.add(CALLS)
        elif any(local.move(call) is not call for call in calls):
            joined = Joined(0, len(calls), [])
            calls = [local.move(call) for call in calls]
        else:
            return
        if joined is not None:
            joined.places = local
            fields.joined[CALLS] = joined
        fields.adopted[CALLS] = calls

    def _both_differ(self, key: str) -> bool:
        both = key in self.local_changed and key in self.remote_changed
        return both and self.local.digests.get(key) != self.digests.get(key)

    def _keep_local(self, key: str) -> None:
        """Write the local value, or that there is none."""
        self.open.discard(key)
        local, remote = self.local.digests.get(key), self.digests.get(key)
        if key in self.remote_changed and local != remote:
            self.fields.lost.append(Lost(key, remote, local))
            self.fields.changed.add(key)

    def _take_remote(self, key: str) -> None:
        """Leave what the store has, and adopt it."""
        self.open.discard(key)
        self.fields.changed.discard(key)
        local, remote = self.local.digests.get(key), self.digests.get(key)
        if local == remote:
            return
        if key in self.local_changed and key != UPDATED:
            self.fields.lost.append(Lost(key, local, remote))
        if key in self.remote.values:
            self.fields.adopted[key] = self.remote.values[key]
        else:
            self.fields.gone.add(key)

    def _put(self, key: str, value: Any) -> None:
        """Write a value that is made of both, and adopt it."""
        self.fields.adopted[key] = value
        if digest_of(key, value) == self.digests.get(key):
            self.fields.changed.discard(key)

    def _total(self, key: str) -> field_policy.Number | None:
        """Return what a counter is with the increments of both; None if this is none."""
        base = self.base.size(key) if key in COUNTERS else None
        if base is None:
            return None
        return field_policy.add_up(base, self.local.copies.get(key), self.remote.values.get(key))

    def _join(self, key: str) -> bool:
        """Join a list that both appended records to, the remote ones first; return whether it is one."""
        start, local, remote = self.base.size(key), self.local.copies.get(key), self.remote.values.get(key)
        if not (isinstance(start, int) and isinstance(local, list) and isinstance(remote, list)):
            return False
        known = self.base.values.get(key)
        for version in (local, remote):
            if len(version) < start or not field_policy.are_records(version[start:]):
                return False
            if known is not None and digest_of(key, version[:start]) != known:
                return False
        added = remote[start:]
        self.fields.joined[key] = Joined(start, len(local), added)
        self._put(key, [*local[:start], *added, *local[start:]])
        return True
