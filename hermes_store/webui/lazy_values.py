"""The part of a live session that reads what is not in its row when it is first used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..errors import DatabaseLockedError, SessionDeletedError, SessionNotFoundError
from ..storage import message_lookup
from ..storage.engine import Database
from ..storage.held_lock import HeldLock
from ..transcripts.known_values import KnownMessages
from .state import (
    MESSAGES,
    SESSION_ID,
    Extent,
    Messages,
    find_current,
    is_reserved,
    read_again,
    read_documents,
    read_messages,
    reserves_its_names,
)
from .versions import Base

if TYPE_CHECKING:
    from .models import WebUIModels

#: The most seconds to wait while another thread saves or reads the same session.
_PATIENCE: Final = 60.0


@reserves_its_names
class LazyValues:
    """Attributes that are a session's values by the WebUI's keys, in ``__dict__``; the others are in slots."""

    __slots__ = ("__dict__", "__weakref__", "_base", "_database", "_guard")

    _base: Base | None
    _database: Database | None
    #: Held while it is read or saved.
    _guard: HeldLock
    _models: ClassVar[WebUIModels]

    def __getattr__(self, name: str) -> Any:
        """Read what was not read yet. (Python comes here only for what the object does not have.)"""
        if name.startswith("__") or name in LazyValues.__slots__:
            raise AttributeError(name)
        with self.exclusive():
            if name not in self.__dict__:  # else another thread read it meanwhile
                self._read_more(name)
            if name in self.__dict__:
                return self.__dict__[name]
        session_id = self.__dict__.get(SESSION_ID)
        raise AttributeError(f"session {session_id!r} has no {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        # What was not read yet is read first: the new value replaces what is there now, and nothing later.
        if name not in LazyValues.__slots__ and name not in self.__dict__ and self._base is not None:
            # (Of one that is gone, it is the save that is refused.)
            with self.exclusive(), contextlib.suppress(SessionNotFoundError, SessionDeletedError):
                if name == MESSAGES:
                    self._read_digests(self._base)
                else:
                    self._read_more(name)
        object.__setattr__(self, name, value)

    def _read_digests(self, base: Base) -> None:
        """Read which messages there are, if that is not known."""
        if base.messages is None:
            base.attempt = None
            with self._source().read() as unit:
                key = find_current(unit, base.row_id, base.session_id)
                base.messages = message_lookup.digests(unit, key.id)

    def __delattr__(self, name: str) -> None:
        getattr(self, name, None)  # what was not read yet can be deleted, too
        object.__delattr__(self, name)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other threads from saving this session, and from reading more of it, during a `with` block.

        Raises:
            DatabaseLockedError: another thread has been doing that for more than a minute.
        """
        with self._guard.hold(_PATIENCE) as is_held:
            if not is_held:
                raise DatabaseLockedError(
                    f"Another thread has been saving or reading session {self.__dict__.get(SESSION_ID)!r} for more "
                    f"than {_PATIENCE:g} s. Nothing was written; try again."
                )
            yield

    def is_of(self, database: Database) -> bool:
        """Whether it was read from, or saved to, this database."""
        return self._database is not None and self._database.is_same(database)

    def _source(self) -> Database:
        """Return the database that it was read from or saved to, which need not be the one now."""
        now = self._models.database()
        return now if self._database is None or self.is_of(now) else self._database

    def _read_more(self, name: str) -> None:
        base = self._base
        if base is None or name in base.absent or (base.complete and name != MESSAGES) or is_reserved(name):
            return
        base.attempt = None
        with self._source().read() as unit:
            if name == MESSAGES:
                key = find_current(unit, base.row_id, base.session_id)
                self._take_messages(base, read_messages(unit, key.id, key.session_id, key.message_count))
                return
            state = read_again(unit, base.row_id, base.session_id, Extent.ROW, is_reserved)
            read_documents(unit, state, [name])
        if name in state.values:
            base.put(name, state.values[name])
            self.__dict__[name] = state.values[name]
        else:
            base.absent.add(name)

    def _read_rest(self, base: Base) -> None:
        """Read all that was not read yet."""
        base.attempt = None
        with self._source().read() as unit:
            whole = read_again(unit, base.row_id, base.session_id, Extent.WHOLE, is_reserved)
            if MESSAGES not in self.__dict__:
                self._take_messages(base, read_messages(unit, whole.row_id, whole.session_id, whole.message_count))
        if not base.complete:
            unread = {key: value for key, value in whole.values.items() if key not in base.values}
            for key, value in unread.items():
                base.put(key, value)
            base.extent = Extent.WHOLE
            self._set({key: value for key, value in unread.items() if key not in self.__dict__})

    def _take_messages(self, base: Base, read: Messages) -> None:
        base.messages, base.known_messages = read.digests, KnownMessages.of(*read)
        self.__dict__[MESSAGES] = read.messages

    def _set(self, values: dict[str, Any]) -> None:
        """Make values attributes, except those whose names this class uses: these stay in the store alone."""
        self.__dict__.update({key: value for key, value in values.items() if not is_reserved(key)})
