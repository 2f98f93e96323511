"""The WebUI's view of the agent's sessions. It raises no errors; the log has each cause of one once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from ..agent.bridge import AgentBridge
from ..agent.records import AgentSession
from ..errors import AgentError, AgentMissingError, HermesStoreError, SessionNotFoundError
from ..storage import session_rows
from ..store import Store
from ..validation import is_id
from .sidebar import sendable

T = TypeVar("T")

logger = logging.getLogger("hermes_store.webui")

#: How many of the agent's sessions the sidebar shows.
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
        self._logged: dict[tuple[str, str], object] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Return the conversations that were active last, at most 200; none when they cannot be read."""
        return self._unless_failed(list, "listed", self._rows)

    def messages(self, session_id: str) -> list[dict[str, Any]]:
        """Return a conversation's messages; none when it is not there, was deleted, or cannot be read."""

        def callback(bridge: AgentBridge) -> list[dict[str, Any]]:
            found = bridge.messages(session_id).items
            return [] if self._is_removed(session_id) else found

        return self._unless_failed(list, "read", callback)

    def delete(self, session_id: str) -> bool:
        """Delete a conversation, and return whether it was there.

        It is hidden at once, by retiring its ids in the store. It is also deleted from the agent's file unless the
        agent may be at work on it, or the file cannot be written.
        """
        return self._unless_failed(bool, "deleted", lambda bridge: self._delete(bridge, session_id))

    def _delete(self, bridge: AgentBridge, session_id: str) -> bool:
        chain = bridge.session(session_id).chain
        ids = [member for member in chain if is_id(member)]
        with self._store().database.write() as unit:
            hidden = session_rows.retire_unused(unit, ids)
            is_removed = bool(session_rows.removed_among(unit, ids))
        deleted = False
        try:
            for member in reversed(chain):  # the last one first: it is the one that the agent may be at work on
                deleted = member in bridge.delete_session(member).sessions or deleted
        except SessionNotFoundError:  # the agent deleted it meanwhile
            pass
        except AgentError as error:
            if not is_removed:  # a copy of it is in the store
                raise
            logger.info("Session %s is hidden, and still in the agent's file: %s", session_id, error)
        return deleted or bool(hidden)

    def _unless_failed(self, otherwise: Callable[[], T], verb: str, callback: Callable[[AgentBridge], T]) -> T:
        try:
            return callback(AgentBridge(home=self._home(), store=self._store()))
        except (AgentMissingError, LookupError):
            return otherwise()  # no agent, or no such session: nothing is wrong
        except Exception as error:  # whatever it is, the WebUI works without the agent's sessions
            self._log(verb, error)
            return otherwise()

    def _log(self, verb: str, error: Exception) -> None:
        cause = (verb, f"{type(error).__name__}: {error}")
        mark = object()
        new = self._logged.setdefault(cause, mark) is mark
        unexpected = not isinstance(error, HermesStoreError)
        level = logging.WARNING if new else logging.DEBUG
        logger.log(level, "The agent's sessions are not %s: %s", verb, error, exc_info=unexpected)

    def _rows(self, bridge: AgentBridge) -> list[dict[str, Any]]:
        found = bridge.sessions(limit=_LIMIT, include=("cron", "tool")).items
        gone = self._gone([member for session in found for member in session.chain])
        profile, workspace = self._profile(), self._workspace()
        return [
            _row(session, profile, None if workspace is None else str(workspace))
            for session in found
            if gone.isdisjoint(session.chain)
        ]

    def _gone(self, session_ids: Iterable[str]) -> set[str]:
        """Return those that were deleted here, imported or not, or were imported and have another id now."""
        with self._store().database.read() as unit:
            return session_rows.gone_among(unit, [session_id for session_id in session_ids if is_id(session_id)])

    def _is_removed(self, session_id: str) -> bool:
        if not is_id(session_id):
            return False
        with self._store().database.read() as unit:
            return bool(session_rows.removed_among(unit, [session_id]))


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
