"""What hermes-webui's ``api/models.py`` gives the rest of it, over a store.

It does what the version of 2026-04-24 (7e17ec497) does.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from ..arguments import check_callable, check_duration, check_flag, check_instance, items_of
from ..errors import (
    ConflictError,
    HermesStoreError,
    InvalidIdError,
    InvalidInputError,
    NotFoundError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
)
from ..paths import path_of
from ..quoting import number_of, quoted, text_of
from ..storage import empty_sessions, retired_ids, session_keys
from ..storage.engine import Database
from ..storage.row_locks import Reserved
from ..store import Store
from ..validation import check_id, is_id
from . import projects, sidebar
from .agent import AgentSessions, Homes
from .arguments import given
from .background_import import BackgroundImport, ImportStatus
from .cache import LiveSessions
from .folder_import import FolderImport
from .session import LiveSession
from .session_storage import SessionStorage
from .sidebar_cache import SidebarCache
from .titles import title_from
from .trash import Trash, checked_days

logger = logging.getLogger("hermes_store.webui")

_CACHE_SIZE: Final = 100
_IMPORT_WAIT: Final = 0.3
#: How many times as long an empty list waits for the first sessions of an import, and how often it looks, in seconds.
_FIRST_WAIT: Final = 10
_LOOK: Final = 0.05
#: The most seconds that a session which an import may bring is waited for.
_LONGEST_WAIT: Final = 60.0


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
        callables = {"active_streams": active_streams, "default_model": default_model, "hermes_home": hermes_home}
        callables |= {
            "last_workspace": last_workspace,
            "active_profile": active_profile,
            "profile_homes": profile_homes,
        }
        for name, function in callables.items():
            check_callable(name, function)
        if default_workspace is not None:
            check_callable("default_workspace", default_workspace)
        if cache is not None:
            check_instance("cache", cache, OrderedDict)
        if lock is not None:
            check_instance("lock", lock, contextlib.AbstractContextManager)
        if not callable(store):
            check_instance("store", store, Store)
        self._store_now = store if callable(store) else lambda: store
        #: The same sessions as dicts.
        self.storage = SessionStorage(self._store)
        self._active_streams = active_streams
        self._session_dir = session_dir if callable(session_dir) else lambda: session_dir
        self._last_workspace = last_workspace
        self._active_profile = active_profile
        self.default_model = default_model
        self.default_workspace = default_workspace or last_workspace
        self._cache = LiveSessions(
            OrderedDict() if cache is None else cache,
            lock,
            lambda: _checked_size(cache_size() if callable(cache_size) else cache_size),
            self._may_drop,
        )
        if not callable(cache_size):
            _checked_size(cache_size)
        if not callable(session_dir):
            self.session_dir()  # a wrong one is told now
        #: Live sessions whose last save was refused, or not complete: `get_session` does not return them again.
        self._refused: weakref.WeakSet[LiveSession] = weakref.WeakSet()
        self._import_wait = check_duration("import_wait", import_wait)
        self._imports = BackgroundImport(FolderImport())
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

    def _store(self) -> Store:
        """Return the present store."""
        store = self._store_now()
        check_instance("The store", store, Store)
        return store

    def database(self) -> Database:
        """Return the database of the present store."""
        return self._store().database

    def session_dir(self) -> Path | None:
        """Return the folder of JSON files, if there is one now."""
        folder = self._session_dir()
        return None if folder is None else path_of(folder, "folder of sessions")

    def import_new_files(self) -> None:
        """Import the JSON files that appeared, where there is a folder of them; an import that takes long goes on.

        While there are no sessions yet, it waits longer for the first ones.
        """
        folder = self.session_dir()
        if folder is not None:
            store = self._store()
            self._imports.run(store, folder, self._import_wait)
            # An empty sidebar looks as if all were lost, and the WebUI does not read the list again by itself.
            longest = _FIRST_WAIT * self._import_wait
            while self._imports.status.running and self._imports.age < longest:
                if store.sessions.list(limit=1).items:
                    break
                self._imports.wait(_LOOK)

    def wait_for_import(self, sid: str) -> bool:
        """Wait for the import that is under way if it may bring a session, and return whether to look for it again."""
        folder = self.session_dir()
        if folder is None or not (folder / f"{sid}.json").exists():
            return False
        self._imports.wait(_LONGEST_WAIT)
        return True  # also when none is under way: it may have ended since the session was looked for

    def import_status(self) -> ImportStatus:
        """Return how far the import of the JSON files is, or what became of the last one."""
        return self._imports.status

    def save_failed(self, session: LiveSession, error: HermesStoreError) -> None:
        """Note a live session that has what a save cannot write, so that `get_session` reads it anew."""
        if isinstance(error, StaleSessionError | SessionDeletedError | SessionNotFoundError):
            self._refused.add(session)  # not dropped here: the caller of `save` may hold the cache's lock

    def save_succeeded(self, session: LiveSession) -> None:
        """Note that all of a live session is in the store."""
        self._refused.discard(session)

    def _may_drop(self, session: LiveSession) -> bool:
        """Whether a live session that is not in the cache any more is no loss."""
        return session in self._refused or session.is_idle()

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
            if cached.is_at(revision) or (cached not in self._refused and cached.is_dirty()):
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
        live = self._cache.get(old)
        if not isinstance(live, LiveSession):
            return self._rotate(old, new, None)
        with live.exclusive():  # else a save in between would write under the old id
            return self._rotate(old, new, live)

    def _rotate(self, old: str, new: str, live: LiveSession | None) -> bool:
        revision = None
        try:
            rival = self._cache.get(new)
            if isinstance(rival, LiveSession) and rival is not live and rival.is_new:
                raise SessionExistsError(new)
            if live is not None and live.is_new:
                with self.database().read() as unit:
                    retired_ids.require_free(unit, new)
            else:
                revision = self._store().sessions.change_id(old, new).revision
        except (NotFoundError, InvalidIdError):
            return False
        except ConflictError as error:
            logger.warning("Session %s keeps its id: %s", old, error)
            return False
        self._cache.move(old, new)
        if live is not None:
            live.renamed(new, revision)
        return True


def _checked_size(value: Any) -> int:
    """Return a number of live sessions to keep.

    Raises:
        InvalidInputError: it is no whole number.
    """
    plain = number_of(value)
    if isinstance(plain, int):
        return plain
    raise InvalidInputError(f"cache_size is a number of sessions, not {quoted(value)}.")
