"""The store: what you open, and where everything else is reached from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from . import migrate
from .agent.bridge import AgentBridge
from .database import Database, Unit
from .dialects import Durability, Settings, Target
from .documents import Documents
from .errors import InvalidInputError
from .fields import check_profile
from .messages import Messages
from .projects import Projects
from .records import StoreInfo
from .sessions import Sessions


class View:
    """The collections over one unit of work; with a scope, over one profile's rows alone."""

    def __init__(self, unit: Unit, scope: str | None = None) -> None:
        self.sessions = Sessions(unit, scope)
        self.messages = Messages(unit, scope)
        self.documents = Documents(unit, scope)
        self.projects = Projects(unit, scope)


class ProfileView(View):
    """One profile of a store: the same verbs, and no way through them to another profile's rows."""

    def __init__(self, database: Database, name: str) -> None:
        super().__init__(database, check_profile(name))
        self.name = name
        self._database = database

    @contextlib.contextmanager
    def transaction(self) -> Iterator[View]:
        """Give the same verbs in one transaction; see `Store.transaction`."""
        with self._database.transaction() as unit:
            yield View(unit, self.name)


class Store(View):
    """An open database of sessions, messages and projects.

    Threads may share it, and a child process that was forked may go on using it. Close it, or use it as a
    context manager.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        durability: Durability = "full",
        migrate: bool = True,
        read_only: bool = False,
        busy_timeout: float = 5.0,
    ) -> Self:
        """Open a database, and create or upgrade it where needed.

        Args:
            target: a path (``~`` is the home directory), ``:memory:``, or a URL: ``sqlite:///…``,
                ``postgresql://…``. Missing folders of a path are made; a new file is readable for you only.
            durability: "full": what was acknowledged survives a power loss. "normal": faster; a power loss
                never corrupts the database, but may take the last writes.
            migrate: upgrade an older schema. When false, one that needs it is refused.
            read_only: write nothing, whatever is called; a database that is missing or needs an upgrade is refused.
            busy_timeout: seconds to wait for another writer.

        Raises:
            DatabaseMissingError: there is none, and `read_only` forbids making one.
            DatabaseUnavailableError: it cannot be opened or reached.
            DatabaseCorruptError: the file is damaged, or not a database.
            UnsupportedDatabaseError: not SQLite or PostgreSQL, or tables of something else are in it.
            SchemaNewerError: a newer version of this library upgraded it.
            SchemaOutdatedError: it needs an upgrade that `migrate` or `read_only` forbids.
        """
        if durability not in ("full", "normal"):
            raise InvalidInputError(f"durability is 'full' or 'normal', not {durability!r}.")
        if not busy_timeout > 0:
            raise InvalidInputError(f"busy_timeout is a number of seconds above 0, not {busy_timeout!r}.")
        database = Database(target, Settings(durability=durability, read_only=read_only, busy_timeout=busy_timeout))
        try:
            _ensure_schema(database, allow_upgrade=migrate and not read_only)
        except BaseException:  # whatever it is, nobody has the store
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection; any later call raises `StoreClosedError`. Closing again does nothing."""
        self._database.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._database.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[View]:
        """Give the same verbs (``tx.sessions``, ``tx.messages``, …) in one transaction.

        It is committed when the block ends, and rolled back when an exception leaves it. A verb that fails
        inside it has changed nothing, so catching its error and going on is fine. Other writers wait: keep it
        short. It belongs to the thread that began it, which meanwhile cannot use the store itself.

        Raises:
            TransactionError: this thread is inside a transaction of this store already.
            DatabaseLockedError: another writer did not finish within the busy timeout.
        """
        with self._database.transaction() as unit:
            yield View(unit)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[View]:
        """Give the reading verbs over one state of the data, whatever others write meanwhile.

        Keep it short: while it lasts, SQLite cannot reuse the space of its write-ahead log.

        Raises:
            TransactionError: this thread is inside a transaction of this store already; or, from a verb, it writes.
        """
        with self._database.snapshot() as unit:
            yield View(unit)

    def profile(self, name: str) -> ProfileView:
        """Return the view of one profile.

        Raises:
            InvalidIdError: it cannot be a profile's name.
        """
        return ProfileView(self._database, name)

    def agent(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        store_profile: str | None = None,
        busy_timeout: float = 5.0,
        deadline: float = 30.0,
        foreign_owner: bool = False,
    ) -> AgentBridge:
        """Return the bridge to an agent's state.db, whose imports go into this store. Nothing is opened yet.

        Args:
            store_profile: the profile that imported sessions get here; the agent's `profile`, else "default".
            path, home, profile, busy_timeout, deadline, foreign_owner: see `AgentBridge`.
        """
        return AgentBridge(
            path,
            home=home,
            profile=profile,
            busy_timeout=busy_timeout,
            deadline=deadline,
            foreign_owner=foreign_owner,
            database=self._database,
            store_profile=profile if store_profile is None else store_profile,
        )

    def info(self) -> StoreInfo:
        """Return what is open: place, engine, size, schema revision."""
        backend, settings = self._database.backend, self._database.settings
        with self._database.read() as connection:
            return StoreInfo(
                target=backend.display,
                durability=settings.durability,
                read_only=settings.read_only,
                schema_revision=migrate.current_revision(connection),
                **backend.describe(connection),
            )


_ensure_schema = migrate.ensure
