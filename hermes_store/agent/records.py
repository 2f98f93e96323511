"""The value objects of the bridge."""

from __future__ import annotations

from typing import Any

from ..record_base import Record


class AgentSession(Record):
    """A conversation of the agent's: one session, or a chain of sessions that compression made of one.

    The fields are the head session's (the newest one's) unless they say otherwise.
    """

    session_id: str
    #: "cli", "telegram", "cron", …; None where the file does not say.
    source: str | None
    #: The head session's title, else the chain's first one, else the first user text, else "<Source> session".
    title: str
    #: Whether `title` is stored in the file.
    titled: bool
    model: str | None
    cwd: str | None
    #: When the chain began, epoch seconds.
    started_at: float | None
    ended_at: float | None
    end_reason: str | None
    #: The newest message's time, else when the session began.
    last_active: float
    #: How many messages `AgentBridge.messages` gives, counted, over the whole chain.
    message_count: int
    #: The agent's own counter of the head session; it is wrong after a rewind.
    stored_message_count: int
    #: Tokens and cost, over the whole chain.
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None
    archived: bool
    #: The session that this one was branched from, or that this subagent works for.
    parent_id: str | None
    #: All of the chain, oldest first; the last is `session_id`.
    chain: tuple[str, ...]
    #: The agent's other columns that are not null, unknown ones included.
    extra: dict[str, Any]

    @property
    def source_tag(self) -> str:
        """The WebUI's name for the source."""
        return self.source or "cli"

    @property
    def is_cli_session(self) -> bool:
        """True: the WebUI's mark of a session that the agent keeps."""
        return True


class AgentMessages(Record):
    """A page of messages of an agent's session, in the agent's order."""

    session_id: str
    #: As the WebUI's message objects.
    items: list[dict[str, Any]]
    #: The ``after`` of the next page; None on the last one.
    next: str | None
    #: The sessions whose messages are read, oldest first.
    chain: tuple[str, ...]


class AgentInfo(Record):
    """Facts about the agent's file."""

    path: str
    #: As stored in the file. Forks reuse numbers, so nothing depends on it.
    schema_version: int | None
    sessions: int
    messages: int
    journal_mode: str
    size_bytes: int
