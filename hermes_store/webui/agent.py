"""The WebUI's view of the agent's sessions. It raises no errors; the log has each cause of one once."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from ..agent.bridge import AgentBridge
from ..agent.records import AgentSession
from ..errors import AgentError, AgentMissingError, HermesStoreError, InvalidInputError, SessionNotFoundError
from ..quoting import quoted, text_of
from ..storage import retired_ids, unused_ids
from ..store import Store
from ..validation import is_id
from .sidebar import sendable

T = TypeVar("T")

logger = logging.getLogger("hermes_store.webui")

#: How many of the agent's sessions the sidebar shows, of each profile.
_LIMIT: Final = 200
#: What a message had in hermes-webui of 2026-04-24. It takes in new messages of a session that it imported only if
#: those that it has are equal to the first ones here.
_MESSAGE_KEYS: Final = ("role", "content", "timestamp")
#: The agents' homes by the names of their profiles.
Homes = Mapping[str, str | os.PathLike[str]]


class AgentSessions:
    """The agent's sessions as the WebUI's sidebar has them.

    Args:
        store: the store, whose deleted sessions are not shown again.
        home: the active profile's agent's home, or None for that of the environment.
        homes: the agents' homes of all profiles.
        profile: the WebUI's active profile, which the rows carry.
        workspace: the folder that the WebUI works in.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        home: Callable[[], str | os.PathLike[str] | None],
        homes: Callable[[], Homes],
        profile: Callable[[], str | None],
        workspace: Callable[[], Any],
    ) -> None:
        self._store = store
        self._home = home
        self._homes = homes
        self._profile = profile
        self._workspace = workspace
        self._logged: dict[tuple[str, str], object] = {}

    def rows(self, source: str | None, *, all_profiles: bool) -> list[dict[str, Any]]:
        """Return the conversations that were active last, at most 200 of a profile; none when they cannot be read.

        Args:
            source: only those of this source.
            all_profiles: those of all profiles, and not of the active one alone.
        """
        if not all_profiles:
            return self._unless_failed(list, "listed", lambda bridge: self._rows(bridge, self._profile(), source))
        rows: list[dict[str, Any]] = []
        names: list[str] = self._unless_failed(list, "listed", lambda _: list(self._homes()))
        for name in names:
            of_profile = functools.partial(self._rows, profile=name, source=source)
            rows += self._unless_failed(list, "listed", of_profile, name)
        return sorted(rows, key=lambda row: row["updated_at"] or 0.0, reverse=True)

    def messages(self, session_id: str, profile: str | None, *, details: bool) -> list[dict[str, Any]]:
        """Return a conversation's messages; none when it is not there, was deleted, or cannot be read.

        Args:
            profile: whose agent has it; the active one when None.
            details: return all that the agent has of a message, and not `_MESSAGE_KEYS` alone.
        """

        def callback(bridge: AgentBridge) -> list[dict[str, Any]]:
            found = bridge.messages(session_id).items
            if self._is_removed(session_id):
                return []
            return found if details else [{key: one.get(key) for key in _MESSAGE_KEYS} for one in found]

        return self._unless_failed(list, "read", callback, profile)

    def delete(self, session_id: str, profile: str | None) -> bool:
        """Delete a conversation, and return whether it was there.

        It is hidden at once, by retiring its ids in the store. It is also deleted from the agent's file unless the
        agent may be at work on it, or the file cannot be written.
        """
        return self._unless_failed(bool, "deleted", lambda bridge: self._delete(bridge, session_id), profile)

    def _delete(self, bridge: AgentBridge, session_id: str) -> bool:
        chain = bridge.session(session_id).chain
        ids = [member for member in chain if is_id(member)]
        with self._store().database.write() as unit:
            hidden = unused_ids.retire(unit, ids)
            is_removed = bool(retired_ids.removed_among(unit, ids))
        deleted = False
        try:
            for member in reversed(chain):  # the last one first: it is the one that the agent may be at work on
                with contextlib.suppress(SessionNotFoundError):  # the agent deleted it meanwhile
                    deleted = member in bridge.delete_session(member).sessions or deleted
        except AgentError as error:
            if not is_removed:  # a copy of it is in the store
                raise
            logger.info("Session %s is hidden, and still in the agent's file: %s", session_id, error)
        return deleted or bool(hidden)

    def _unless_failed(
        self, otherwise: Callable[[], T], verb: str, callback: Callable[[AgentBridge], T], profile: str | None = None
    ) -> T:
        """Call a function with the bridge to the agent of a profile (the active one when None)."""
        try:
            return callback(AgentBridge(home=self._home_of(profile), store=self._store()))
        except (AgentMissingError, LookupError):
            return otherwise()  # no agent, or no such session: nothing is wrong
        except Exception as error:  # whatever it is, the WebUI works without the agent's sessions
            self._log(verb, error)
            return otherwise()

    def _home_of(self, profile: str | None) -> str | os.PathLike[str] | None:
        if profile is None:
            return self._home()
        home = self._homes().get(text_of(profile) or "")
        if home is None:
            raise InvalidInputError(f"There is no agent's home of profile {quoted(profile)}.")
        return home

    def _log(self, verb: str, error: Exception) -> None:
        cause = (verb, f"{type(error).__name__}: {error}")
        mark = object()
        new = self._logged.setdefault(cause, mark) is mark
        unexpected = not isinstance(error, HermesStoreError)
        level = logging.WARNING if new else logging.DEBUG
        logger.log(level, "The agent's sessions are not %s: %s", verb, error, exc_info=unexpected)

    def _rows(self, bridge: AgentBridge, profile: str | None, source: str | None) -> list[dict[str, Any]]:
        found = bridge.sessions(limit=_LIMIT, source=source, include=("cron", "tool")).items
        gone = self._gone([member for session in found for member in session.chain])
        workspace = self._workspace()
        return [
            _row(session, profile, None if workspace is None else str(workspace))
            for session in found
            if gone.isdisjoint(session.chain)
        ]

    def _gone(self, session_ids: Iterable[str]) -> set[str]:
        """Return those that were deleted here, imported or not, or were imported and have another id now."""
        with self._store().database.read() as unit:
            return retired_ids.gone_among(unit, [session_id for session_id in session_ids if is_id(session_id)])

    def _is_removed(self, session_id: str) -> bool:
        if not is_id(session_id):
            return False
        with self._store().database.read() as unit:
            return bool(retired_ids.removed_among(unit, [session_id]))


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
