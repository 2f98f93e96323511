"""The transcript that a save leaves of a session whose messages others changed, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..storage import message_lookup, message_reading
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import encoding
from ..transcripts.encoding import Encoded
from ..transcripts.known_values import EncodedMessages
from ..transcripts.merge import REMOVED, Conflict, Merged, Source, merge
from . import field_policy
from .field_policy import Places
from .versions import Base, Local


@dataclass
class Transcript:
    """The transcript that a save leaves in the store."""

    #: The digests of what the store has before.
    stored: list[bytes]
    encoded: Sequence[Encoded]
    #: What the live session has then; None where it has that already.
    messages: list[Any] | None = None
    #: What its base is then.
    base: list[bytes] = field(default_factory=list)
    #: The positions of the messages of which the store keeps another version than the live session.
    conflicts: list[int] = field(default_factory=list)
    #: The positions of the messages that the live session gets instead of its own, and where it has those.
    replaced: dict[int, int] = field(default_factory=dict)
    #: Where the messages of both versions are; None where they are where they were.
    local: Places | None = None
    remote: Places | None = None

    def __post_init__(self) -> None:
        self.base = self.base or self.digests

    @property
    def digests(self) -> list[bytes]:
        """The digests of the messages."""
        if isinstance(self.encoded, EncodedMessages):  # which encodes what is asked for
            return list(self.encoded.digests)
        return [message.digest for message in self.encoded]


def merge_transcripts(unit: UnitOfWork, base: Base, local: Local, key: SessionKey) -> Transcript | None:
    """Return the transcript to write; None where it was not read, or is in the store already."""
    digests = local.message_digests
    if local.messages is None or local.encoded is None or digests is None or base.messages is None:
        return None
    stored = base.messages if key.revision == base.revision else message_lookup.digests(unit, key.id)
    if stored in (base.messages, digests):
        return None if digests == stored == base.messages else Transcript(stored, local.encoded)
    merged = merge(base.messages, digests, stored)
    remote = _read_others(unit, key, merged, digests, stored)
    merged = _told_apart(merged, local.messages, remote)
    merged = _brought_together(merged, local.messages, remote)
    # The very objects where they are the same messages: a thread may hold one, and go on with it.
    messages: list[Any] = [
        remote[source.remote] if source.side == "remote" and source.remote in remote else local.messages[source.local]
        for source in merged.sources
    ]
    encoded = [
        encoding.encode_one(message, f"message {source.remote}")
        if source.side == "remote" and source.remote in remote
        else local.encoded[source.local]
        for source, message in zip(merged.sources, messages, strict=True)
    ]
    transcript = Transcript(stored, encoded, messages)
    transcript.local = Places(merged.positions("local"), len(digests), len(messages) - len(digests))
    transcript.remote = Places(merged.positions("remote"), len(stored), len(messages) - len(stored))
    transcript.replaced = {
        place: source.local
        for place, source in enumerate(merged.sources)
        if source.side == "remote" and source.remote in remote and source.local != REMOVED
    }
    for conflict in merged.conflicts:
        place = transcript.local.at(conflict.local)
        del transcript.replaced[place]
        transcript.conflicts.append(place)
        # The live session keeps its own version over the former base, so the next save finds the conflict again.
        transcript.base[place] = b"" if conflict.base == REMOVED else base.messages[conflict.base]
        messages[place] = local.messages[conflict.local]
    return transcript


def _read_others(
    unit: UnitOfWork, key: SessionKey, merged: Merged, digests: Sequence[bytes], stored: Sequence[bytes]
) -> dict[int, Any]:
    """Return, by their positions, the messages of the store that the live session does not have."""
    positions = [
        at
        for side, at_local, at in merged.sources
        if side == "remote" and (at_local == REMOVED or digests[at_local] != stored[at])
    ]
    if not positions:
        return {}
    start, stop = positions[0], positions[-1] + 1
    rows = message_reading.fetch(unit, key.id, key.session_id, start=start, stop=stop, count=key.message_count)
    messages = message_reading.decode(key.session_id, rows, start)
    return {at: messages[at - start] for at in positions}


def _told_apart(merged: Merged, local: Sequence[Any], remote: Mapping[int, Any]) -> Merged:
    """Keep both messages of a conflict that are not versions of one message, the remote one first."""
    apart = {c.remote: c for c in merged.conflicts if not field_policy.are_versions(local[c.local], remote[c.remote])}
    if not apart:
        return merged
    sources: list[Source] = []
    for source in merged.sources:
        conflict = apart.get(source.remote)
        if conflict is None:
            sources.append(source)
        else:
            sources += [Source("remote", REMOVED, conflict.remote), Source("local", conflict.local, REMOVED)]
    return Merged(sources, [conflict for conflict in merged.conflicts if conflict.remote not in apart])


def _brought_together(merged: Merged, local: Sequence[Any], remote: Mapping[int, Any]) -> Merged:
    """Keep a message once that both have under one id, in different places: the remote version, as in a conflict.

    A difference pairs messages by their place, and cannot know that it is the same one.
    """
    theirs: dict[Any, int] = {
        message_id: at for at, message in remote.items() if (message_id := field_policy.id_of(message)) is not None
    }
    sources: list[Source] = []
    twice: dict[int, int] = {}
    for source in merged.sources:
        at = theirs.get(field_policy.id_of(local[source.local]), REMOVED) if source.side == "local" else REMOVED
        if at == REMOVED:
            sources.append(source)
        else:
            twice[at] = source.local
    if not twice:
        return merged
    added = [Conflict(REMOVED, mine, at) for at, mine in twice.items() if local[mine] != remote[at]]
    conflicts = [*merged.conflicts, *added]
    sources = [one._replace(local=twice.get(one.remote, one.local)) for one in sources]
    return Merged(sources, sorted(conflicts, key=lambda one: one.remote))
