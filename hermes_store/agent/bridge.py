"""The bridge to the agent's state.db: its conversations and messages, read as they are now."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..arguments import check_callable, check_duration, check_flag, check_instance, items_of
from ..errors import AgentError, InvalidIdError, InvalidInputError, SessionNotFoundError, TransactionError
from ..pagination import check_limit
from ..quoting import quoted, text_of
from ..records import DEFAULT_PROFILE, Page
from ..reports import ImportItem, ImportReport
from ..store import Store
from ..validation import check_profile, check_time
from . import homes, listing, messages
from .agent_file import AgentFile
from .conversation import read_batch, read_conversation
from .deleting import AgentDeletion, delete_session
from .importing import AgentImporter, OnProgress, Progress
from .queries import usable
from .records import AgentInfo, AgentMessages, AgentSession
from .snapshot import Snapshot

T = TypeVar("T")

logger = logging.getLogger("hermes_store.agent")


class AgentBridge:
    """The sessions that the agent's command line, gateways and schedules keep.

    It keeps nothing open: each call finds the file, opens it read-only, reads one state of it and closes it.

    Args:
        path: the state.db itself; or
        home: the agent's home, by default ``HERMES_HOME`` or ``~/.hermes``, looked up at each call; and
        profile: a profile of that home ("default" is its root).
        busy_timeout: seconds to wait while the agent locks the file.
        deadline: seconds that one read may take.
        foreign_owner: read another user's file even if SQLite then leaves sidecar files that belong to this user
            and lock the file's owner out.
        store: where imports go; without one, there is nothing to import into.
        store_profile: the profile that imported sessions get there; `profile` if that is given, else "default".

    Raises:
        InvalidIdError: `store_profile`, or `profile` with a store, cannot be the name of a profile of the store.
        InvalidInputError: another argument is not valid. (The path and the profile are looked at by each call.)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        busy_timeout: float = 5.0,
        deadline: float = 30.0,
        foreign_owner: bool = False,
        store: Store | None = None,
        store_profile: str | None = None,
    ) -> None:
        self._path = path
        self._home = home
        self._profile = profile
        self._busy_timeout = check_duration("busy_timeout", busy_timeout)
        self._deadline = check_duration("deadline", deadline)
        self._foreign_owner = check_flag("foreign_owner", foreign_owner)
        if store is not None:
            check_instance("store", store, Store)
        self._store = store
        if store_profile is None:
            store_profile = DEFAULT_PROFILE if profile is None or store is None else profile
        self._store_profile = check_profile(store_profile)

    @property
    def path(self) -> Path:
        """The path of the file, as of now.

        Raises:
            InvalidInputError: what was given cannot be a path, or the name of a profile.
        """
        return homes.state_db(self._path, self._home, self._profile)

    @property
    def file(self) -> AgentFile:
        """The file, with how to read it."""
        return AgentFile(
            path=self.path,
            busy_timeout=self._busy_timeout,
            deadline=self._deadline,
            foreign_owner=self._foreign_owner,
            own_database=None if self._store is None else self._store.database.dialect.path,
        )

    def sessions(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        source: str | None = None,
        include: Iterable[str] = (),
        since: float | None = None,
        until: float | None = None,
    ) -> Page[AgentSession]:
        """Return a page of conversations, the last active first: one row for each chain of sessions.

        Args:
            limit: the greatest number of conversations, 1 to 1000.
            after: `Page.next` of the previous page.
            source: only conversations of this source ("cli", "telegram", …), whatever `include` says.
            include: what is otherwise left out: "webui" (the WebUI's own), "cron", "tool", "subagent",
                "archived", "hidden", "empty".
            since, until: only conversations last active at or after `since`, or before `until`, in epoch seconds.

        Raises:
            AgentError: the file cannot be read; the subclass says why.
            InvalidInputError: an argument is not valid.
        """
        groups = listing.check_groups(include)
        source, limit = _checked_source(source), check_limit(limit)
        times = {
            name: None if time is None else check_time(time) for name, time in (("since", since), ("until", until))
        }
        return self.file.read(
            lambda snapshot: listing.list_page(
                snapshot, limit=limit, after=after, source=source, include=groups, **times
            ),
        )

    def find(self, prefix: str, *, limit: int = 20) -> list[str]:
        """Return the ids of sessions, of any kind, that begin with a text, in order.

        Args:
            prefix: at least one character.
            limit: the largest number of ids to return, 1 to 1000.

        Raises:
            AgentError: as `sessions`.
            InvalidInputError: `limit` is not such a number.
        """
        limit, plain = check_limit(limit), text_of(prefix)
        if not plain or not usable(plain):
            return []
        return self.file.read(lambda snapshot: listing.find_prefix(snapshot, plain, limit))

    def session(self, session_id: str) -> AgentSession:
        """Return one conversation, by the id of any session of its chain.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
        """
        session_id = _checked_session_id(session_id)
        return self.file.read(lambda snapshot: listing.find(snapshot, session_id))

    def get_many(self, session_ids: Iterable[str]) -> dict[str, AgentSession]:
        """Return the conversations that some sessions are part of, by the ids that were asked for, in one read.

        An id that the agent does not have is left out, so this also tells which of them exist, and how many messages
        each conversation has.

        Raises:
            AgentError: as `sessions`.
            InvalidInputError: the ids are not texts.
        """
        wanted = [_checked_session_id(one) for one in items_of(session_ids, "session_ids", "Nothing was read.")]

        def read(snapshot: Snapshot) -> dict[str, AgentSession]:
            by_member = {member: found for found in listing.describe(snapshot, wanted) for member in found.chain}
            return {session_id: by_member[session_id] for session_id in wanted if session_id in by_member}

        return self.file.read(read) if wanted else {}

    def messages(
        self,
        session_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        include_rewound: bool = False,
        lineage: bool = True,
    ) -> AgentMessages:
        """Return a conversation's messages as the WebUI's message objects, in the agent's order.

        Messages that compaction summarised away are included, marked ``_compacted``; the first one of a session that
        goes on where another was full is marked ``_continues``.

        Args:
            after: `AgentMessages.next` of the previous page.
            limit: the greatest number of messages, 1 to 1000; None for all.
            include_rewound: include messages that the user took back, marked ``_rewound``.
            lineage: read the whole chain; if false, only this one session.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
        """
        session_id = _checked_session_id(session_id)
        check_flag("include_rewound", include_rewound)
        check_flag("lineage", lineage)
        return self.file.read(
            lambda snapshot: messages.read_messages(
                snapshot,
                session_id,
                after=after,
                limit=limit,
                include_rewound=include_rewound,
                lineage=lineage,
            )
        )

    def import_session(self, session_id: str) -> ImportItem:
        """Import a conversation into the store, or update its copy there. Nothing is written to the agent's file.

        A copy that the user deleted stays deleted, and messages that the user changed stay as they are: if the agent
        changed them too, that is a conflict, and the store's are kept.

        Args:
            session_id: any session of the conversation's chain.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
            TransactionError: this bridge has no store, or this thread is inside a transaction of it.
        """
        session_id = _checked_session_id(session_id)
        importer = self._importer()
        conversation = self.file.read(lambda snapshot: read_conversation(snapshot, listing.find(snapshot, session_id)))
        return importer.import_conversation(conversation)

    def import_sessions(
        self, *, source: str | None = None, include: Iterable[str] = (), on_progress: OnProgress | None = None
    ) -> ImportReport:
        """Import every conversation that `sessions` lists with the same arguments, as `import_session` does.

        The conversations are read and written in batches, so an import that was interrupted is finished by running it
        again.

        Args:
            on_progress: called after each conversation.

        Raises:
            AgentError, TransactionError: as `import_session`. What was imported before stays imported.
        """
        groups = listing.check_groups(include)
        source = _checked_source(source)
        if on_progress is not None:
            check_callable("on_progress", on_progress)
        importer = self._importer()
        started = time.monotonic()
        path = self.path
        # Read once: the order changes while the agent works, and paging would miss some or see them twice.
        heads = self.file.read(lambda snapshot: listing.head_sessions(snapshot, source=source, include=groups))
        progress = Progress(len(heads), on_progress)
        while heads:
            del heads[: self._import_some(importer, heads, progress)]
        importer.finish(progress.items)
        return ImportReport(source=str(path), dry_run=False, items=progress.items, seconds=time.monotonic() - started)

    def _import_some(self, importer: AgentImporter, session_ids: list[str], progress: Progress) -> int:
        """Import the conversations of the first sessions, and return of how many. None is kept in memory afterwards."""
        conversations, looked_at = self.file.read(functools.partial(read_batch, session_ids=session_ids))
        for item in importer.import_conversations(conversations):
            progress.add(item)
        return looked_at

    def delete_session(self, session_id: str, *, dry_run: bool = False, force: bool = False) -> AgentDeletion:
        """Delete a session from the agent's own file: the only thing that writes to it.

        Its messages go, and the subagents that worked for it; other sessions that came from it stay, without a parent.
        The store's copy, if there is one, is not touched.

        Args:
            dry_run: report what would be deleted, and delete nothing.
            force: delete also a session that has not ended, or that the agent has locked.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentSessionInUseError: it has not ended, or the agent has locked it.
            AgentSchemaError: the file has triggers or indexes that this library cannot keep right.
            AgentError: as `sessions`. Whatever is raised, nothing was deleted.
        """
        session_id = _checked_session_id(session_id)
        check_flag("dry_run", dry_run)
        check_flag("force", force)
        if not usable(session_id):  # no query takes it, and no session of the agent's has it
            self.file.check()
            raise SessionNotFoundError(session_id, f"The agent has no session {quoted(session_id)}.")
        return delete_session(self.file, session_id, dry_run=dry_run, force=force)

    def _importer(self) -> AgentImporter:
        if self._store is None:
            raise TransactionError("This bridge has no store to import into; make it with AgentBridge(store=…).")
        origin = os.path.realpath(self.path)
        importer = AgentImporter(self._store.database, origin=origin, profile=self._store_profile)
        importer.remove_left_over()
        return importer

    def info(self) -> AgentInfo:
        """Return facts about the file.

        Raises:
            AgentError: as `sessions`.
        """
        path = self.path

        def read(snapshot: Snapshot) -> AgentInfo:
            versions = (
                snapshot.rows("SELECT max(version) FROM main.schema_version")
                if "schema_version" in snapshot.schema.tables
                else []
            )
            return AgentInfo(
                path=str(path),
                schema_version=versions[0][0] if versions else None,
                sessions=snapshot.rows("SELECT count(*) FROM main.sessions")[0][0],
                messages=snapshot.rows("SELECT count(*) FROM main.messages")[0][0],
                journal_mode=snapshot.rows("PRAGMA main.journal_mode")[0][0],
                size_bytes=path.stat().st_size,
            )

        return self.file.read(read)


def _checked_session_id(session_id: object) -> str:
    """Return an id as a plain text. The agent's may have any characters; one that it does not have is not found."""
    plain = text_of(session_id)
    if plain is None:
        raise InvalidIdError(f"A session of the agent is named by its id, a text, not by {quoted(session_id)}.")
    return plain


def _checked_source(source: object) -> str | None:
    plain = text_of(source)
    if source is None or (plain is not None and usable(plain)):
        return plain
    raise InvalidInputError(f"source is text that the agent can have, or None, not {quoted(source)}. Nothing was read.")


def degrade(callback: Callable[[], T], otherwise: T) -> T:
    """Return what `callback` returns; when the agent's file cannot be read, log why and return `otherwise`.

    For a user interface that shows the agent's sessions along with its own, and must go on without them.

    Args:
        callback: reads from a bridge.
        otherwise: what to return instead.
    """
    try:
        return callback()
    except AgentError as error:
        logger.warning("The agent's sessions are left out: %s", error)
        return otherwise
