"""Read the agent's conversations, as they are now, for an import.

Messages are converted to the store's form some hundred at a time, so reading needs little more memory than the result.
The number of conversations that are read at once is limited by their size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..memoized import memoized
from ..storage.usage_rows import Amounts, Totals
from ..transcripts import json_codec
from ..transcripts.encoding import Encoded, encode_one
from .decode import MessageDecoder
from .listing import describe
from .records import AgentSession
from .snapshot import Snapshot
from .usage import AgentUse, read_uses

#: The limits of what is read at once, and held until it is written: conversations, and their messages and bytes
#: together. A conversation that is larger is read alone.
_SESSIONS: Final = 50
_MESSAGES: Final = 5_000
_BYTES: Final = 8 * 2**20
#: Rows in one query, which has a parameter for each.
_ROWS: Final = 500

#: What the agent never changes in a message: its role and its time.
Mark = tuple[str | None, float | None]


@dataclass(frozen=True)
class Conversation:
    """A conversation as the agent has it now."""

    session: AgentSession
    #: The messages that were not taken back, in order.
    messages: list[Encoded] = field(default_factory=list)
    #: The agent's ids of these.
    message_ids: list[int] = field(default_factory=list)
    #: Messages that the user took back, by id.
    taken_back: dict[int, Mark] = field(default_factory=dict)
    #: What it used, by model.
    uses: list[AgentUse] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, Any]:
        """The columns of a session for what it used: what its own columns say, and what the models have besides."""
        session = self.session
        totals = Totals("", None, session.input_tokens, session.output_tokens, session.estimated_cost)
        used = sum((use.amounts for use in self.uses), Amounts())
        return (totals.plus(used - totals.amounts) if self.uses else totals).columns

    @property
    def root(self) -> str:
        return self.session.chain[0]

    @memoized
    def digest(self) -> bytes:
        """The digest of all messages together."""
        return digest_of([message.digest for message in self.messages])

    def marks(self) -> dict[int, Mark]:
        """Return the marks of all messages in the agent's file, by id."""
        live = {
            message_id: (message.role, message.timestamp)
            for message_id, message in zip(self.message_ids, self.messages, strict=True)
        }
        return live | self.taken_back

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return sum([len(message.payload) for message in self.messages])


def digest_of(digests: list[bytes]) -> bytes:
    """Return the digest of a transcript, from the digests of its messages."""
    return json_codec.digest(b"".join(digests))


def read_conversation(snapshot: Snapshot, session: AgentSession) -> Conversation:
    """Read all messages of a conversation."""
    reader = _Reader(snapshot, _message_ids(snapshot, session.chain), read_uses(snapshot, [session]))
    return reader.read(session)


def read_batch(snapshot: Snapshot, session_ids: Sequence[str]) -> tuple[list[Conversation], int]:
    """Read the conversations of the first sessions, and return them with the number of sessions that were looked at.

    Sessions that no longer exist are counted, and left out.
    """
    candidates = list(session_ids[:_SESSIONS])
    found = {member: session for session in describe(snapshot, candidates) for member in session.chain}
    sessions = _first([found.get(session_id) for session_id in candidates])
    members = [member for session in sessions if session for member in session.chain]
    uses = read_uses(snapshot, [session for session in sessions if session])
    reader = _Reader(snapshot, _message_ids(snapshot, members), uses)
    conversations: list[Conversation] = []
    held = 0
    for looked_at, session in enumerate(sessions, 1):
        if session is not None:
            conversations.append(reader.read(session))
            held += conversations[-1].size
        if held > _BYTES:
            return conversations, looked_at
    return conversations, len(sessions)


def _first(sessions: list[AgentSession | None]) -> list[AgentSession | None]:
    """Return the first of them that together have few enough messages, at least one."""
    messages = 0
    for index, session in enumerate(sessions):
        messages += session.message_count if session else 0
        if index and messages > _MESSAGES:
            return sessions[:index]
    return sessions


def _message_ids(snapshot: Snapshot, sessions: Sequence[str]) -> dict[str, list[int]]:
    """Return the ids of the messages of each session, in the order of `messages.read_messages`.

    They are read at once, because without an index on messages each query scans all of them.
    """
    order = f"coalesce({snapshot.schema.message('display_order')}, m.id)"
    rows = snapshot.in_chunks(
        f"SELECT m.session_id, m.id FROM main.messages m WHERE m.session_id IN ({{}}) "
        f"AND {snapshot.schema.identified} ORDER BY {order}, m.id",
        list(sessions),
    )
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for session, message_id in rows:
        ids[session].append(message_id)
    return ids


class _Reader:
    """Reads conversations.

    Args:
        message_ids: the ids of their messages, as `_message_ids` returns them.
        uses: what they used, as `read_uses` returns it.
    """

    def __init__(self, snapshot: Snapshot, message_ids: dict[str, list[int]], uses: dict[str, list[AgentUse]]) -> None:
        self._uses = uses
        schema = snapshot.schema
        self._snapshot = snapshot
        self._message_ids = message_ids
        self._decoder = MessageDecoder(schema.messages)
        self._at = schema.messages.index("id")
        self._query = (
            f"SELECT {', '.join(map(schema.message, schema.messages))} FROM main.messages m WHERE m.id IN ({{}})"
        )

    def read(self, session: AgentSession) -> Conversation:
        """Read all messages of a conversation."""
        made = Conversation(session, uses=self._uses[session.session_id])
        for before, member in zip((None, *session.chain), session.chain, strict=False):
            goes_on_from = before
            for message_id, row in self._rows(self._message_ids.get(member, [])):
                message = self._decoder.message(row)
                if "_rewound" in message:
                    encoded = encode_one(message)
                    made.taken_back[message_id] = (encoded.role, encoded.timestamp)
                    continue
                if goes_on_from is not None:
                    message["_continues"] = goes_on_from
                    goes_on_from = None
                made.messages.append(encode_one(message))
                made.message_ids.append(message_id)
        return made

    def _rows(self, message_ids: list[int]) -> Iterator[tuple[int, Sequence[Any]]]:
        for start in range(0, len(message_ids), _ROWS):
            chunk = message_ids[start : start + _ROWS]
            rows = {row[self._at]: row for row in self._snapshot.in_chunks(self._query, chunk)}
            for message_id in chunk:
                yield message_id, rows[message_id]
