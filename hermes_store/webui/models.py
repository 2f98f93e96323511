"""What hermes-webui's ``api/models.py`` gives the rest of it, over a store.

It does what the version of 2026-04-24 (7e17ec497) does.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from ..arguments import check_callable, check_flag, items_of
from ..errors import (
    HermesStoreError,
    SessionDeletedError,
    SessionNotFoundError,
    StaleSessionError,
)
from ..quoting import text_of
from ..storage import empty_sessions, session_keys
from ..storage.engine import Database
from ..storage.row_locks import Reserved
from ..store import Store
from ..validation import check_id, is_id
from . import projects, sidebar
from .agent import AgentSessions, Homes
from .arguments import given
from .background_import import ImportStatus
from .cache import LiveSessions
from .id_rotation import rotate
from .session import LiveSession
from .session_files import SessionFiles
from .session_storage import SessionStorage
from .shared_stores import present_store
from .sidebar_cache import SidebarCache
from .titles import title_from
from .trash import Trash, checked_days

logger = logging.getLogger("hermes_store.webui")

_CACHE_SIZE: Final = 100
_IMPORT_WAIT: Final = 0.3


class WebUIModels:
    """The functions of ``api/models.py``, and those for what the WebUI does with its files elsewhere.

    What is given as a callable is called each time it is needed, so that it may change after this object was made.

    Args:
        store: a store, or a callable that returns one (see `shared_store`).
        cache: the WebUI's table of live sessions by id, which others may read and change under `lock`.
        lock: its lock; one of its own when left out.
        cache_size: how many live sessions to keep.
        active_streams: returns the ids of the running streams.
        default_model: returns the model of a session that names none.
        default_workspace: returns the folder of a `Session` that names none; `last_workspace` when left out.
        last_workspace: returns the folder of a new session that names none.
        active_profile: returns the name of the profile that is chosen in the user interface, or None.
        hermes_home: returns the agent's home; that of the environment when left out, or None.
        profile_homes: returns the agents' homes of all profiles, by the profiles' names.
        session_dir: a folder of the WebUI's JSON files: those that are there at first, or appear later, are imported,
            in a thread of their own.
        import_wait: how many seconds after the beginning of an import calls still wait for it. When it
            takes longer, they return what is there, and the import goes on (see `import_status`). While no
            session is there, the list waits for the first ones, ten times as long at most.
        trash_days: how many days a deleted session can be restored. Those that were deleted earlier are purged after
            a session is deleted, at most once an hour. 0: a deleted session is purged at once. None: never.
        remove_imported_files: when a session is purged, also remove the JSON files that it was imported from, as
            `hermes_store.files.remove_imported_files` does. The log names those that were kept.

    Raises:
        InvalidInputError: an argument is not of the right kind. What the callables return is looked at by each use.
    """

    def __init__(
        self,
        store: Store | Callable[[], Store],
        *,
        cache: OrderedDict[str, Any] | None = None,
        lock: contextlib.AbstractContextManager[Any] | None = None,
        cache_size: int | Callable[[], int] = _CACHE_SIZE,
        active_streams: Callable[[], Collection[str]] = frozenset,
        default_model: Callable[[], Any] = lambda: None,
        default_workspace: Callable[[], Any] | None = None,
        last_workspace: Callable[[], Any] = lambda: None,
        active_profile: Callable[[], str | None] = lambda: None,
        hermes_home: Callable[[], str | os.PathLike[str] | None] = lambda: None,
        profile_homes: Callable[[], Homes] = dict,
        session_dir: Path | Callable[[], Path | None] | None = None,
        import_wait: float = _IMPORT_WAIT,
        trash_days: float | None = 30,
        remove_imported_files: bool = False,
    ) -> None:
        check_callable("active_streams", active_streams)
        check_callable("default_model", default_model)
        check_callable("last_workspace", last_workspace)
        check_callable("active_profile", active_profile)
        check_callable("hermes_home", hermes_home)
        check_callable("profile_homes", profile_homes)
        self._store = present_store(store)
        #: The same sessions as dicts.
        self.storage = SessionStorage(self._store)
        self._active_streams = active_streams
        self._files = SessionFiles(self._store, session_dir, import_wait=import_wait)
        self._last_workspace = last_workspace
        self._active_profile = active_profile
        self.default_model = default_model
        self.default_workspace = last_workspace if default_workspace is None else default_workspace
        check_callable("default_workspace", self.default_workspace)
        self._cache = LiveSessions(cache, lock, cache_size)
        self._trash = Trash(
            checked_days(trash_days),
            remove_files=check_flag("remove_imported_files", remove_imported_files),
            session_dir=self.session_dir,
        )
        self._sidebar = SidebarCache()
        self._agent = AgentSessions(self._store, hermes_home, profile_homes, active_profile, last_workspace)
        #: The class of this store's live sessions.
        self.Session: type[LiveSession] = type("Session", (LiveSession,), {"_models": self, "__slots__": ()})

    # ── What the live sessions ask ──

    def database(self) -> Database:
        """Return the database of the present store."""
        return self._store().database

    def session_dir(self) -> Path | None:
        """Return the folder of JSON files, if there is one now."""
        return self._files.folder()

    def import_new_files(self) -> None:
        """Import the JSON files that appeared, where there is a folder of them; an import that takes long goes on.

        While there are no sessions yet, it waits longer for the first ones.
        """
        self._files.import_new()

    def wait_for_import(self, sid: str) -> bool:
        """Wait for the import that is under way if it may bring a session, and return whether to look for it again."""
        return self._files.wait_for(sid)

    def import_status(self) -> ImportStatus:
        """Return how far the import of the JSON files is, or what became of the last one."""
        return self._files.status

    def save_failed(self, session: LiveSession, error: HermesStoreError) -> None:
        """Note a live session that has what a save cannot write, so that `get_session` reads it anew."""
        if isinstance(error, StaleSessionError | SessionDeletedError | SessionNotFoundError):
            self._cache.refuse(session)  # not dropped here: the caller of `save` may hold the cache's lock

    def save_succeeded(self, session: LiveSession) -> None:
        """Note that all of a live session is in the store."""
        self._cache.accept(session)

    # ── api/models.py ──

    def get_session(self, sid: Any, metadata_only: bool = False) -> Any:
        """Return the live session of an id: the same object to all callers, as long as the store has nothing newer.

        One with unsaved changes stays as it is; its save merges both.

        Args:
            sid: the id.
            metadata_only: do not read the messages before they are used.

        Raises:
            KeyError: there is none.
            DatabaseError: the database cannot be read.
        """
        check_flag("metadata_only", metadata_only)
        sid = text_of(sid)
        if sid is None:
            raise KeyError(sid)
        cached = self._cache.get(sid)
        if cached is not None and (not isinstance(cached, LiveSession) or cached.is_new):
            return cached
        database = self.database()
        if cached is not None and (cached.stored_id != sid or not cached.is_of(database)):
            self._cache.drop(sid, cached)  # it was saved under another id since, or is another store's
            cached = None
        if cached is not None:
            with database.read() as unit:
                revision = session_keys.current_revision(unit, sid)
            if revision is None:
                self._cache.drop(sid, cached)
                raise KeyError(sid)
            if cached.is_at(revision) or (not self._cache.is_refused(cached) and cached.is_dirty()):
                return cached
        found = (self.Session.load_metadata_only if metadata_only else self.Session.load)(sid)
        if found is None:
            raise KeyError(sid)
        return self._cache.put(found, instead_of=cached)

    def new_session(self, workspace: Any = None, model: Any = None, profile: str | None = None) -> LiveSession:
        """Create a session, save it, and return it.

        Args:
            workspace: its folder; the last one that was used when None.
            model: its model; the default one when None.
            profile: its profile; the active one when None.
        """
        session = self.Session(
            workspace=given("workspace", workspace, None) or self._last_workspace(),
            model=given("model", model, None) or self.default_model(),
            profile=self._active_profile() if profile is None else profile,
        )
        session.save()
        self._cache.put(session)
        return session

    def all_sessions(self) -> list[dict[str, Any]]:
        """Return the sidebar's rows: pinned sessions first, then those that changed last.

        Left out are untitled sessions without messages that are older than a minute and have no running stream.
        """
        self.import_new_files()
        streams = self._active_stream_ids()
        live = self._cache.all()
        database = self.database()
        with database.read() as unit:
            return sidebar.rows(unit, database, self._sidebar, live, streams)

    title_from = staticmethod(title_from)

    def load_projects(self) -> list[dict[str, Any]]:
        """Return all projects, in their order."""
        self.import_new_files()
        return projects.load(self.database())

    def save_projects(self, projects_: Sequence[dict[str, Any]]) -> None:
        """Make the projects be those of a list: new ones, other names, another order, deleted ones, all or none.

        What others changed since this thread called `load_projects` stays. The sessions of a deleted project are in
        none from then on.

        Raises:
            InvalidInputError: an entry is no project, is there twice, or moves to another profile.
        """
        projects.save(self.database(), projects_, self._active_profile())

    def import_cli_session(  # noqa: PLR0917 - the WebUI's own signature
        self,
        session_id: str,
        title: Any,
        messages: list[Any],
        model: Any = "unknown",
        profile: str | None = None,
        created_at: float | None = None,
        updated_at: float | None = None,
        **others: Any,
    ) -> LiveSession:
        """Create a session of the agent's messages, save it with its own times, and return it.

        Args:
            session_id: the conversation's id at the agent, which the session gets.
            title, messages, model, profile: the session's values under these keys.
            created_at, updated_at: its times in epoch seconds; now when None.
            **others: more of its values, such as ``parent_session_id``, ``is_cli_session`` or ``source_tag``.

        Raises:
            SessionExistsError: there is a session of this id with something else in it.
            SessionDeletedError: it was deleted here, and stays so.
        """
        session = self.Session(
            session_id=session_id,
            title=title,
            workspace=self._last_workspace(),
            model=model,
            messages=messages,
            profile=profile,
            created_at=created_at,
            updated_at=updated_at,
            **others,
        )
        session.save(touch_updated_at=False)
        return session

    def get_cli_sessions(self, source_filter: str | None = None, *, all_profiles: bool = False) -> list[dict[str, Any]]:
        """Return the rows of the agent's conversations, the 200 that were active last; none when that fails.

        The log has each cause of a failure once. A session that was deleted here is not among them.

        Args:
            source_filter: only those of this source: "cli", "telegram", …
            all_profiles: those of all profiles in `profile_homes`, up to 200 of each.
        """
        return self._agent.rows(source_filter, all_profiles=check_flag("all_profiles", all_profiles))

    def get_cli_session_messages(
        self, sid: str, *, profile: str | None = None, details: bool = False
    ) -> list[dict[str, Any]]:
        """Return the messages of an agent's conversation; none when it was deleted here, or that fails.

        Each has ``role``, ``content`` and ``timestamp``, as it had with the JSON files, so that the WebUI finds what is
        new since it imported the conversation.

        Args:
            profile: the profile in `profile_homes` whose agent has it; the active one when None.
            details: return all that the agent has of each message: tool calls, reasoning, its row number, …
        """
        return self._agent.messages(sid, profile, details=check_flag("details", details))

    def delete_cli_session(self, sid: str, *, profile: str | None = None) -> bool:
        """Delete a conversation of the agent's, and return whether it was there.

        `profile` is as in `get_cli_session_messages`.

        It is never listed, read or imported again. Its sessions are deleted from the agent's file as well, unless the
        agent may be at work on them: they have not ended, or it has locked them. Then the file is not changed.
        """
        return self._agent.delete(sid, profile)

    def _write_session_index(self, updates: Any = None) -> None:
        """Do nothing: there is no index."""

    def _active_stream_ids(self) -> set[str]:
        """Return the ids of the running streams."""
        streams = items_of(self._active_streams(), "streams", "Nothing was done.")
        return {text for stream in streams if (text := text_of(stream)) is not None}

    # ── What the WebUI does with its files elsewhere ──

    def delete_session(self, sid: str) -> bool:
        """Delete a session, and return whether there was one.

        `Store.sessions.restore` brings it back until it is purged, after `trash_days`.

        Raises:
            DatabaseError: it was not deleted.
        """
        is_deleted = self._unless_missing(sid, self.storage.delete)
        if is_deleted:
            self._trash.empty(self._store())
        return is_deleted

    def discard_session(self, sid: str) -> bool:
        """Remove a session that was for one question only, for good; return whether there was one.

        Raises:
            DatabaseError: it was not removed.
        """
        return self._unless_missing(sid, lambda name: self._trash.purge(self._store(), name))

    def _unless_missing(self, sid: str, callback: Callable[[str], object]) -> bool:
        name = text_of(sid)
        if name is None:
            return False
        self._cache.drop(name)
        if not is_id(name):
            return False
        self.import_new_files()
        try:
            callback(name)
        except (SessionNotFoundError, SessionDeletedError):
            return False
        return True

    def cleanup_sessions(self, zero_only: bool = False) -> int:
        """Delete the sessions without messages, but for those with a running stream; return how many.

        Args:
            zero_only: also those that have a title.
        """
        check_flag("zero_only", zero_only)
        self.import_new_files()
        unsaved = [session.session_id for session in self._cache.all() if session.message_total]
        with self.database().write() as unit:
            deleted = empty_sessions.delete_empty(
                unit, until=math.inf, untitled_only=not zero_only, streams=self._active_stream_ids(), keep=unsaved
            )
        for session_id in deleted:
            self._cache.drop(session_id)
        if deleted:
            self._trash.empty(self._store())
        return len(deleted)

    def unassign_project(self, project_id: str) -> int:
        """Take all sessions out of a project, and return how many there were."""
        with self.database().write() as unit:
            unit.reserve(Reserved.SESSIONS)
            return projects.release(unit, project_id)

    def rotate_session_id(self, old: str, new: str) -> bool:
        """Give a session another id, as the agent does when it compresses; return whether it has it now.

        The live session has it, too. When the new id is another session's, nothing changes.

        Raises:
            InvalidIdError: the new id cannot be one.
        """
        new = check_id(new, "session id")
        if not is_id(old):
            return False
        old = check_id(old)
        self.import_new_files()
        return rotate(self._store(), self._cache, old, new)
