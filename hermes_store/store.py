"""The store: opens a database and gives access to everything in it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, cast

from .arguments import check_flag, check_timeout, mapping_of
from .changes import Following
from .documents import Documents
from .errors import InvalidInputError
from .imports import Imports
from .messages import Messages
from .projects import Projects
from .quoting import quoted, text_of
from .results import ReplicaLag, StoreInfo, StoreStats
from .search import Searching
from .sessions import Sessions
from .shares import Shares
from .storage import migrations, schema_repair, search_state, session_ids
from .storage.dialects import Durability, JournalMode, Settings, Target
from .storage.engine import Database, Transactions
from .storage.fork_gate import delay_forks
from .usage import Usage
from .validation import check_profile
from .watching import Watch, watch


class View(Searching, Following):
    """The collections of a store, or of one profile of it.

    Args:
        transactions: where the verbs get their units of work.
        scope: the profile whose rows they see; all when None.
    """

    def __init__(self, transactions: Transactions, scope: str | None = None) -> None:
        super().__init__(transactions, scope)
        self.sessions = Sessions(transactions, scope)
        self.messages = Messages(transactions, scope)
        self.documents = Documents(transactions, scope)
        self.projects = Projects(transactions, scope)
        self.shares = Shares(transactions, scope)
        self.usage = Usage(transactions, scope)
        self.imports = Imports(transactions, scope)

    def stats(self) -> StoreStats:
        """Return the numbers of sessions, messages and projects."""
        with self._transactions.read() as unit:
            return session_ids.stats(unit, self._scope)


class ProfileView(View):
    """One profile of a store: the same verbs, which neither see nor change the rows of other profiles."""

    def __init__(self, database: Database, name: str) -> None:
        super().__init__(database, check_profile(name))
        self.name = name
        self._database = database

    def watch(self, *, after: str | None = None, timeout: float | None = None) -> Watch:
        """Return an iterator of the changes of this profile; see `Store.watch`."""
        return watch(self._database, self.name, after, timeout)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[View]:
        """Give the same verbs in one transaction; see `Store.transaction`."""
        with self._database.transaction() as transaction:
            yield View(transaction, self.name)


class Store(View):
    """An open database of sessions, messages and projects.

    Threads may share it, and a forked child process may continue to use it. Close it, or use it as a context manager.
    """

    #: For the packages of this library that are built on a store; not part of the public interface.
    database: Database
    #: The store of the standby; None when it was opened without one.
    _replica: Self | None = None

    def __init__(self, *arguments: object, **options: object) -> None:
        raise InvalidInputError("Use Store.open(…): it takes a path or a URL, and returns an open store.")

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        durability: Durability = "full",
        migrate: bool = True,
        read_only: bool = False,
        busy_timeout: float = 5.0,
        journal_mode: JournalMode = "auto",
        search: bool = True,
        engine_options: Mapping[str, Any] | None = None,
        replica: Target | None = None,
    ) -> Self:
        """Open a database, and create or upgrade it where needed.

        Args:
            target: a path (``~`` is the home directory), ``:memory:``, or a URL: ``sqlite:///…``,
                ``postgresql://…``. Missing folders of a path are made. Only its owner can read a new file.
            durability: "full": committed writes survive a power loss. "normal": faster; a power loss never corrupts the
                database, but the last writes may be lost.
            migrate: upgrade an older schema. When false, a database that needs an upgrade is refused.
            read_only: refuse all writes. A database that is missing or needs an upgrade is refused.
            busy_timeout: seconds to wait for another writer, above 0. It is limited to at least a millisecond and at
                most 2,000,000 s (23 days).
            journal_mode: of a SQLite file. "auto": a file with data keeps its mode; a new one gets "wal", or "delete"
                on a network file system or one shared with a virtual machine. "wal" or "delete": switch to this mode.
            search: create a new database with an index of words for `search`. An existing database is not changed;
                `StoreInfo.search` says whether it has the index.
            engine_options: for PostgreSQL: ``pool_size`` (8 connections are kept), ``max_overflow`` (24 more at most),
                ``pool_recycle``, ``pool_pre_ping`` and ``pool_use_lifo`` as in SQLAlchemy's `create_engine`;
                ``connect_args``, parameters of libpq by name; ``credentials``, a function that is called for each new
                connection and returns a mapping with its ``user`` and ``password``. Or ``engine`` alone: an existing
                Engine for ``postgresql+psycopg``, which the store uses and does not close.
            replica: the URL of a standby of this PostgreSQL database, for `Store.replica`. The other options apply to
                it as well, except ``engine``. The store connects to it when it is first used.

        Raises:
            InvalidInputError: an argument is not valid.
            DatabaseMissingError: there is no database, and `read_only` forbids to create one.
            DatabaseUnavailableError: it cannot be opened or reached.
            DatabaseCorruptError: the file is damaged, or not a database.
            UnsupportedDatabaseError: it is not SQLite or PostgreSQL, or it has tables of another program.
            SchemaNewerError: a newer version of this library upgraded it.
            SchemaOutdatedError: it needs an upgrade that `migrate` or `read_only` forbids.
        """
        if text_of(durability) not in ("full", "normal"):
            raise InvalidInputError(f"durability is 'full' or 'normal', not {quoted(durability)}.")
        check_flag("migrate", migrate)
        check_flag("read_only", read_only)
        check_flag("search", search)
        if text_of(journal_mode) not in ("auto", "wal", "delete"):
            raise InvalidInputError(f"journal_mode is 'auto', 'wal' or 'delete', not {quoted(journal_mode)}.")
        settings = Settings(
            durability=cast(Durability, text_of(durability)),
            read_only=read_only,
            busy_timeout=check_timeout(busy_timeout),
            journal_mode=cast(JournalMode, text_of(journal_mode)),
            search=search,
            engine_options={} if engine_options is None else mapping_of(engine_options, "engine_options"),
        )
        with delay_forks():
            store = cls._unopened(target, settings)
            try:
                if replica is not None:
                    store._replica = cls._unopened(replica, _replica_settings(settings))
                    _check_replica(store.database, store._replica.database)
                if read_only:
                    schema_repair.ensure_readable(store.database)
                else:
                    migrations.ensure(store.database, allow_upgrade=migrate)
            except BaseException:  # the caller gets no store to close
                store.close()
                raise
        return store

    @classmethod
    def _unopened(cls, target: Target, settings: Settings) -> Self:
        """Return a store that has not connected to its database yet."""
        store = cls.__new__(cls)
        store.database = Database(target, settings)
        View.__init__(store, store.database)
        return store

    def close(self) -> None:
        """Close all connections. Later calls raise `StoreClosedError`; closing again does nothing."""
        self.database.close()
        if self._replica is not None:
            self._replica.close()

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self.database.is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[View]:
        """Give the same verbs (``tx.sessions``, ``tx.messages``, …) in one transaction.

        It is committed when the block ends, and rolled back when an exception leaves the block. A verb that fails
        inside it has changed nothing, so you can catch its error and continue. Other writers wait until it ends, so
        keep it short. Only the thread that began it can use it, and that thread cannot use the store inside the block.

        Raises:
            TransactionError: this thread is inside a transaction of this store already.
            DatabaseLockedError: another writer did not finish within the busy timeout.
        """
        with self.database.transaction() as transaction:
            yield View(transaction)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[View]:
        """Give the verbs that read, on one consistent state of the data: writes of others are not seen.

        Keep it short. While it lasts, SQLite cannot reuse the space of its write-ahead log.

        Raises:
            TransactionError: this thread is inside a transaction of this store already, or a verb in the block writes.
        """
        with self.database.snapshot() as snapshot:
            yield View(snapshot)

    def watch(self, *, after: str | None = None, timeout: float | None = None) -> Watch:
        """Return an iterator of the changes that are committed from now on, by any process; see `changes`.

        It waits for the next change, and returns it within a tenth of a second. It ends after `timeout` seconds without
        a change, or when the store is closed. Close it, or use it as a context manager. To continue later, pass
        `Watch.cursor` as `after`.

        Args:
            after: a cursor: begin with the changes after it. None: begin now.
            timeout: seconds without a change after which it ends; it never does when None.

        Raises:
            CursorExpiredError, InvalidCursorError: as `changes`; the first one from the iterator.
            InvalidInputError: the timeout is not valid.
            DatabaseUnavailableError: from the iterator: the server was not reached for longer than the busy timeout.
        """
        return watch(self.database, None, after, timeout)

    def profile(self, name: str) -> ProfileView:
        """Return the view of one profile, whose verbs neither see nor change the rows of other profiles.

        Args:
            name: the profile: text of 1 to 255 characters. It need not have any sessions.

        Raises:
            InvalidIdError: the name is not valid.
        """
        return ProfileView(self.database, name)

    def replica(self) -> Self:
        """Return the store of the standby, which reads what it has replayed so far and refuses writes.

        It is closed with this store. Without a standby, this store itself is returned.

        Raises:
            DatabaseUnavailableError: the standby cannot be reached.
            SchemaOutdatedError: it has not replayed an upgrade of the primary yet.
            DatabaseMissingError, UnsupportedDatabaseError, SchemaNewerError: as `open`.
        """
        if self._replica is None:
            return self
        self.database.require_open()
        if self._replica.database.schema_number is None:
            with delay_forks():
                migrations.ensure(self._replica.database, allow_upgrade=False)
        return self._replica

    def replica_lag(self) -> ReplicaLag:
        """Return how far the standby lags behind the primary, in bytes and seconds.

        Raises:
            DatabaseUnavailableError: the primary or the standby cannot be reached.
        """
        standby = self.replica().database
        with self.database.read_each() as unit:
            position = self.database.dialect.log_position(unit)
        with standby.read_each() as unit:
            is_standby, lacking, seconds = standby.dialect.lag(unit, position)
        return ReplicaLag(is_standby=is_standby, lacking_bytes=lacking, seconds=seconds)

    def info(self) -> StoreInfo:
        """Return the place, engine, size, settings and schema revision of the database."""
        database = self.database
        with database.read() as unit:
            return StoreInfo(
                target=database.dialect.display,
                durability=database.settings.durability,
                read_only=database.settings.read_only,
                schema_revision=migrations.stored_revision(unit),
                search=search_state.read(unit).is_enabled,
                **database.dialect.describe(unit),
            )


def _replica_settings(settings: Settings) -> Settings:
    options = {name: value for name, value in settings.engine_options.items() if name != "engine"}
    return dataclasses.replace(settings, read_only=True, engine_options=options)


def _check_replica(*databases: Database) -> None:
    if any(database.dialect.is_only_copy for database in databases):
        raise InvalidInputError("replica is the URL of a standby of a PostgreSQL database. Nothing was opened.")
