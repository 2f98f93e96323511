"""The WebUI's view of the agent's sessions: never an error, and in the log, once for each cause, why not."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import select

from ..agent.bridge import AgentBridge
from ..agent.records import AgentSession
from ..errors import AgentMissingError, HermesStoreError
from ..fields import is_id
from ..store import Store
from ..tables import RetiredId, Session
from .sidebar import sendable

T = TypeVar("T")

logger = logging.getLogger("hermes_store.webui")

#: The sidebar's share of the agent's sessions.
_LIMIT: Final = 200


class AgentSessions:
    """The agent's sessions as the WebUI's sidebar has them.

    Args:
        store: the store, whose deleted sessions are not shown again.
        home: the agent's home, or None for that of the environment.
        profile: the WebUI's active profile, which the rows carry.
        workspace: the folder that the WebUI works in.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        home: Callable[[], str | os.PathLike[str] | None],
        profile: Callable[[], str | None],
        workspace: Callable[[], Any],
    ) -> None:
        self._store = store
        self._home = home
        self._profile = profile
        self._workspace = workspace
        self._said: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def rows(self) -> list[dict[str, Any]]:
        """Return the conversations that were active last, at most 200; none when they cannot be read."""
        return self._or(list, "listed", self._rows)

    def messages(self, session_id: str) -> list[dict[str, Any]]:
        """Return a conversation's messages; none when it is not there, or cannot be read."""
        return self._or(list, "read", lambda bridge: bridge.messages(session_id).items)

    def delete(self, session_id: str) -> bool:
        """Delete a session from the agent's file, and return whether that was done."""

        def work(bridge: AgentBridge) -> bool:
            return session_id in bridge.delete_session(session_id).sessions

        return self._or(bool, "deleted", work)

    def _or(self, otherwise: Callable[[], T], verb: str, work: Callable[[AgentBridge], T]) -> T:
        try:
            return work(self._store().agent(home=self._home()))
        except (AgentMissingError, LookupError):
            return otherwise()  # no agent, or no such session: nothing is wrong
        except Exception as error:  # the WebUI goes on without the agent's sessions, whatever it is that went wrong
            self._log(verb, error)
            return otherwise()

    def _log(self, verb: str, error: Exception) -> None:
        cause = (verb, f"{type(error).__name__}: {error}")
        with self._lock:
            new = cause not in self._said
            self._said.add(cause)
        unexpected = not isinstance(error, HermesStoreError)
        level = logging.WARNING if new else logging.DEBUG
        logger.log(level, "The agent's sessions are not %s: %s", verb, error, exc_info=unexpected)

    def _rows(self, bridge: AgentBridge) -> list[dict[str, Any]]:
        found = bridge.sessions(limit=_LIMIT, include=("cron", "tool")).items
        deleted = self._deleted([session.session_id for session in found])
        profile, workspace = self._profile(), self._workspace()
        return [
            _row(session, profile, None if workspace is None else str(workspace))
            for session in found
            if session.session_id not in deleted
        ]

    def _deleted(self, session_ids: list[str]) -> set[str]:
        """Return those sessions that were imported once, and deleted here: deleted they stay."""
        wanted = [session_id for session_id in session_ids if is_id(session_id)]
        with self._store()._database.read() as connection:
            gone = select(Session.session_id).where(Session.session_id.in_(wanted), Session.deleted_at.is_not(None))
            purged = select(RetiredId.session_id).where(RetiredId.session_id.in_(wanted))
            return {*connection.execute(gone).scalars(), *connection.execute(purged).scalars()}


def _row(session: AgentSession, profile: str | None, workspace: str | None) -> dict[str, Any]:
    source = session.source_tag
    named = session.titled or session.title != f"{source.title()} session"
    row = {
        "session_id": session.session_id,
        "title": session.title if named else f"{source.title()} Session",
        "workspace": workspace,
        "model": session.model,
        # The agent's own count, which the WebUI shows; what is really there may be fewer, after a rewind.
        "message_count": max(session.stored_message_count, session.message_count),
        "actual_message_count": session.message_count,
        "created_at": session.started_at,
        "updated_at": session.last_active,
        "last_message_at": session.last_active,
        "pinned": False,
        "archived": False,
        "project_id": None,
        "profile": profile,
        "source_tag": source,
        "is_cli_session": True,
        "cwd": session.cwd,
        "parent_session_id": session.parent_id,
        "lineage": list(session.chain),
        "ended_at": session.ended_at,
        "end_reason": session.end_reason,
        "input_tokens": session.input_tokens,
        "output_tokens": session.output_tokens,
        "estimated_cost": session.estimated_cost,
    }
    return {key: sendable(value) for key, value in row.items()}
