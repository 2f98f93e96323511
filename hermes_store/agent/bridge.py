"""The bridge to the agent's state.db: its conversations and messages, read as they are now."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..database import Database
from ..errors import AgentError, SessionNotFoundError, TransactionError
from ..fields import check_profile
from ..records import Page
from ..reports import ImportItem, ImportReport
from . import homes, listing, messages
from .attach import AgentFile
from .conversation import Conversation, read_batch, read_conversation
from .deleting import AgentDeletion, delete_session
from .importing import AgentIntake, OnProgress, Progress
from .records import AgentInfo, AgentMessages, AgentSession
from .snapshot import Snapshot

T = TypeVar("T")

logger = logging.getLogger("hermes_store.agent")


class AgentBridge:
    """The sessions that the agent's command line, gateways and schedules keep.

    It holds nothing: each call finds the file, attaches it read-only, reads one state of it and lets go.

    Args:
        path: the state.db itself; or
        home: the agent's home, else ``HERMES_HOME``, else ``~/.hermes``, asked at each call; and
        profile: a profile of that home ("default" is its root).
        busy_timeout: seconds to wait where the agent locks the file.
        deadline: seconds that one call may take.
        foreign_owner: read another user's file even if that leaves sidecar files of ours beside it, which lock
            its owner out.
        database: where imports go; `Store.agent` sets it, and the profile there.

    Raises:
        InvalidIdError: `store_profile` cannot be the name of a profile.
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
        database: Database | None = None,
        store_profile: str | None = None,
    ) -> None:
        self._path = path
        self._home = home
        self._profile = profile
        self._busy_timeout = busy_timeout
        self._deadline = deadline
        self._foreign_owner = foreign_owner
        self._database = database
        self._store_profile = None if store_profile is None else check_profile(store_profile)

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return homes.state_db(self._path, self._home, self._profile)

    @property
    def file(self) -> AgentFile:
        """The file, with how to read it."""
        return AgentFile(
            path=self.path,
            busy_timeout=self._busy_timeout,
            deadline=self._deadline,
            foreign_owner=self._foreign_owner,
            own_database=self._database.path if self._database is not None else None,
        )

    def sessions(
        self, *, limit: int = 50, after: str | None = None, source: str | None = None, include: Iterable[str] = ()
    ) -> Page[AgentSession]:
        """Return a page of conversations, the last active first: one row for each chain of sessions.

        Args:
            limit: at most so many, 1 to 1000.
            after: `Page.next` of the page before.
            source: only those from there ("cli", "telegram", …), whatever `include` says.
            include: what is left out otherwise: "webui" (the WebUI's own), "cron", "tool", "subagent",
                "archived", "hidden", "empty".

        Raises:
            AgentError: the file cannot be read; the subclass says why.
            InvalidInputError: an argument does not fit.
        """
        groups = listing.check_groups(include)
        return self.file.read(
            lambda snapshot: listing.list_page(snapshot, limit=limit, after=after, source=source, include=groups),
            scans=True,
        )

    def session(self, session_id: str) -> AgentSession:
        """Return one conversation, by the id of any session of its chain.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
        """

        def work(snapshot: Snapshot) -> AgentSession:
            found = listing.find(snapshot, session_id)
            if found is None:
                raise SessionNotFoundError(session_id, f"The agent has no session {session_id!r}.")
            return found

        return self.file.read(work, scans=True)

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

        Messages that compaction summarised away are there, marked ``_compacted``; the first one of a session that
        goes on where another was full is marked ``_continues``.

        Args:
            after: `AgentMessages.next` of the page before.
            limit: at most so many, 1 to 1000; all when None.
            include_rewound: also messages that the user took back, marked ``_rewound``.
            lineage: the whole chain's; only this very session's when false.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
        """
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
        """Take a conversation into the store, or bring its copy there up to date; nothing is written to the agent's.

        A copy that the user deleted stays deleted, and messages that he changed stay as he left them: when the agent
        changed them, too, that is a conflict, and the store's are kept.

        Args:
            session_id: any session of the conversation's chain.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentError: as `sessions`.
            TransactionError: this bridge has no store; get one from `store.agent`.
        """
        intake = self._intake()

        def work(snapshot: Snapshot) -> Conversation:
            found = listing.find(snapshot, session_id)
            if found is None:
                raise SessionNotFoundError(session_id, f"The agent has no session {session_id!r}.")
            return read_conversation(snapshot, found)

        return intake.take_in(self.file.read(work, scans=True))

    def import_sessions(
        self, *, source: str | None = None, include: Iterable[str] = (), on_progress: OnProgress | None = None
    ) -> ImportReport:
        """Take in every conversation that `sessions` lists with the same arguments, as `import_session` does.

        Some conversations at a time are read, in one short look at the file, and then written; so an import that was
        interrupted is finished by running it again.

        Args:
            on_progress: called after each conversation.

        Raises:
            AgentError, TransactionError: as `import_session`. What was taken in before is there.
        """
        intake = self._intake()
        started = time.monotonic()
        path = self.path
        # The order changes while the agent works; taken once, none is missed or met twice.
        tips = self.file.read(lambda snapshot: listing.all_tips(snapshot, source=source, include=frozenset(include)))
        progress = Progress(len(tips), on_progress)
        while tips:
            del tips[: self._import_some(intake, tips, progress)]
        return ImportReport(source=str(path), dry_run=False, items=progress.items, seconds=time.monotonic() - started)

    def _import_some(self, intake: AgentIntake, session_ids: list[str], progress: Progress) -> int:
        """Take in the conversations of the first of some sessions; return of how many. None is held afterwards."""
        conversations, looked_at = self.file.read(functools.partial(read_batch, session_ids=session_ids), scans=True)
        for conversation in conversations:
            progress.add(intake.take_in(conversation))
        return looked_at

    def delete_session(self, session_id: str, *, dry_run: bool = False, force: bool = False) -> AgentDeletion:
        """Delete a session from the agent's own file: the only thing that writes to it.

        Its messages go, and the subagents that worked for it; other sessions that came from it stay, without a parent.
        The store's copy, if there is one, is not touched.

        Args:
            dry_run: say what would be deleted, and delete nothing.
            force: also a session that has not ended, or that the agent is at work on.

        Raises:
            SessionNotFoundError: the agent has no such session.
            AgentSessionInUseError: it is live.
            AgentSchemaError: the file has triggers or indexes that this library cannot keep right.
            AgentError: as `sessions`. Whatever is raised, nothing was deleted.
        """
        return delete_session(self.file, session_id, dry_run=dry_run, force=force)

    def _intake(self) -> AgentIntake:
        if self._database is None:
            raise TransactionError("This bridge has no store to import into; use the one that store.agent() gives.")
        origin = os.path.realpath(self.path)
        return AgentIntake(self._database, origin=origin, profile=self._store_profile)

    def info(self) -> AgentInfo:
        """Return what the file is.

        Raises:
            AgentError: as `sessions`.
        """
        path = self.path

        def work(snapshot: Snapshot) -> AgentInfo:
            versions = (
                snapshot.rows("SELECT max(version) FROM agent.schema_version")
                if "schema_version" in snapshot.schema.tables
                else []
            )
            return AgentInfo(
                path=str(path),
                schema_version=versions[0][0] if versions else None,
                sessions=snapshot.rows("SELECT count(*) FROM agent.sessions")[0][0],
                messages=snapshot.rows("SELECT count(*) FROM agent.messages")[0][0],
                journal_mode=snapshot.rows("PRAGMA agent.journal_mode")[0][0],
                size_bytes=path.stat().st_size,
            )

        return self.file.read(work)


def degrade(work: Callable[[], T], otherwise: T) -> T:
    """Return what `work` returns; when the agent's file cannot be read, log why and return `otherwise`.

    For a user interface that shows the agent's sessions beside its own, and must go on without them.
    """
    try:
        return work()
    except AgentError as error:
        logger.warning("The agent's sessions are left out: %s", error)
        return otherwise
