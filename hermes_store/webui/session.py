"""The WebUI's live session: an object that all of its code shares, assigns to freely, and saves.

Its attributes are the session's values, in its ``__dict__`` by the WebUI's keys. What is not in the session's row is
read on first use. The object also keeps its base, what the store had when it was read, so that a save writes the
difference.
"""

from __future__ import annotations

import contextlib
import copy
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from ..errors import (
    DatabaseLockedError,
    HermesStoreError,
    InvalidInputError,
    InvalidPayloadError,
    SessionDeletedError,
    SessionNotFoundError,
)
from ..paths import path_of
from ..quoting import quoted
from ..records import UNTITLED
from ..storage import message_rows
from ..storage.engine import Database
from ..storage.fork_gate import renew_after_fork
from ..storage.held_lock import HeldLock
from ..transcripts.copying import deep_copy
from ..validation import check_id, is_id
from ..webui_format import session_json
from .saving import Base, Local, Saved, change, create
from .state import (
    COMPACT_KEYS,
    MESSAGES,
    ROW_KEYS,
    SESSION_ID,
    State,
    digest_of,
    digests_of,
    find_current,
    is_reserved,
    read,
    read_again,
    read_documents,
    read_messages,
    reserves_its_names,
)

if TYPE_CHECKING:
    from .models import WebUIModels

#: The most seconds to wait while another thread saves or reads the same session.
_PATIENCE: Final = 60.0
#: In place of an argument that was left out.
_LEFT_OUT: Final[Any] = object()


@reserves_its_names
class LiveSession:
    """A session as hermes-webui's code uses it; `WebUIModels.Session` is the class of this for one store.

    Args:
        session_id: its id; one of 12 hexadecimal digits is made up when there is none.
        workspace: a folder, made absolute; the default workspace when left out, and None stays None.
        model: the default model when left out.
        messages, tool_calls, pending_attachments: lists, empty when there is none.
        created_at, updated_at: epoch seconds; now when None.
        **others: any other value of the WebUI's, which becomes an attribute and is kept.
    """

    __slots__ = ("__dict__", "__weakref__", "_base", "_database", "_guard")

    #: Held while it is read or saved.
    _guard: HeldLock
    _models: ClassVar[WebUIModels]

    # The WebUI's own signature, in its order: its callers name some arguments and leave the others out.
    def __init__(  # noqa: PLR0917
        self,
        session_id: str | None = None,
        title: Any = UNTITLED,
        workspace: Any = _LEFT_OUT,
        model: Any = _LEFT_OUT,
        messages: list[Any] | None = None,
        created_at: float | None = None,
        updated_at: float | None = None,
        tool_calls: list[Any] | None = None,
        pinned: bool = False,
        archived: bool = False,
        project_id: str | None = None,
        profile: str | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        estimated_cost: float | None = None,
        personality: str | None = None,
        active_stream_id: str | None = None,
        pending_user_message: str | None = None,
        pending_attachments: list[Any] | None = None,
        pending_started_at: float | None = None,
        compression_anchor_visible_idx: int | None = None,
        compression_anchor_message_key: Any = None,
        **others: Any,
    ) -> None:
        self._base: Base | None = None
        self._database: Database | None = None
        renew_after_fork(self, "_guard", HeldLock)
        now = time.time()
        workspace = self._models.default_workspace() if workspace is _LEFT_OUT else workspace
        self.session_id: str = given("session_id", session_id, uuid.uuid4().hex[:12])
        self.title = title
        self.workspace = None if workspace is None else _absolute(workspace)
        self.model = self._models.default_model() if model is _LEFT_OUT else model
        self.messages: list[Any] = given("messages", messages, [])
        self.tool_calls: list[Any] = given("tool_calls", tool_calls, [])
        self.created_at = now if created_at is None else created_at
        self.updated_at = now if updated_at is None else updated_at
        self.pinned = bool(given("pinned", pinned, False))
        self.archived = bool(given("archived", archived, False))
        self.project_id = given("project_id", project_id, None)
        self.profile = profile
        self.input_tokens = given("input_tokens", input_tokens, 0)
        self.output_tokens = given("output_tokens", output_tokens, 0)
        self.estimated_cost = estimated_cost
        self.personality = personality
        self.active_stream_id = active_stream_id
        self.pending_user_message = pending_user_message
        self.pending_attachments: list[Any] = given("pending_attachments", pending_attachments, [])
        self.pending_started_at = pending_started_at
        self.compression_anchor_visible_idx = compression_anchor_visible_idx
        self.compression_anchor_message_key = compression_anchor_message_key
        self._set(others)

    @classmethod
    def load(cls, sid: Any) -> Self | None:
        """Return the stored session with all that belongs to it; None when there is none of this id.

        Raises:
            DatabaseError: the database cannot be read.
        """
        return cls._read(sid, whole=True)

    @classmethod
    def load_metadata_only(cls, sid: Any) -> Self | None:
        """Return the stored session, reading its row alone.

        Messages, tool calls and the rest are read when they are used. Saving writes nothing of what was not read.
        """
        return cls._read(sid, whole=False)

    @classmethod
    def _read(cls, sid: Any, *, whole: bool) -> Self | None:
        if not is_id(sid):
            return None
        cls._models.import_new_files()
        database = cls._models.database()
        try:
            with database.read() as unit:
                state = read(unit, sid, whole=whole)
        except (SessionNotFoundError, SessionDeletedError):
            return None
        return cls._of(state, database)

    @classmethod
    def _of(cls, state: State, database: Database) -> Self:
        session = cls.__new__(cls)
        session._database = database
        renew_after_fork(session, "_guard", HeldLock)
        session._base = Base.of(state)
        session.__dict__[SESSION_ID] = state.session_id
        session._set(state.values)
        if state.messages is not None:
            session.__dict__[MESSAGES] = state.messages
        return session

    def _set(self, values: dict[str, Any]) -> None:
        """Make values attributes, except those whose names this class uses: these stay in the store alone."""
        self.__dict__.update({key: value for key, value in values.items() if not is_reserved(key)})

    @property
    def path(self) -> Path:
        """Where the WebUI of the JSON files had this session; a file that is put there is imported.

        Raises:
            AttributeError: there is no such folder.
        """
        folder = self._models.session_dir()
        if folder is None:
            raise AttributeError("these sessions have no files: no session_dir was given")
        return folder / f"{check_id(self.session_id, 'session id')}.json"

    def __getattr__(self, name: str) -> Any:
        """Read what was not read yet. (Python comes here only for what the object does not have.)"""
        if name.startswith("__") or name in LiveSession.__slots__:
            raise AttributeError(name)
        with self.exclusive():
            if name not in self.__dict__:  # else another thread read it meanwhile
                self._read_more(name)
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"session {self.session_id!r} has no {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        # What was not read yet is read first: the new value replaces what is there now, and nothing later.
        if name not in LiveSession.__slots__ and name not in self.__dict__ and self._base is not None:
            # (Of one that is gone, it is the save that is refused.)
            with self.exclusive(), contextlib.suppress(SessionNotFoundError, SessionDeletedError):
                if name != MESSAGES:
                    self._read_more(name)
                elif self._base.messages is None:
                    with self._source().read() as unit:
                        key = find_current(unit, self._base.row_id, self._base.session_id)
                        self._base.messages = message_rows.digests(unit, key.id)
        object.__setattr__(self, name, value)

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
                    f"Another thread has been saving or reading session {self.session_id!r} for more than "
                    f"{_PATIENCE:g} s. Nothing was written; try again."
                )
            yield

    def _source(self) -> Database:
        """Return the database that it was read from or saved to, which need not be the one now."""
        now = self._models.database()
        return now if self._database is None or self.is_of(now) else self._database

    def _read_more(self, name: str) -> None:
        base = self._base
        if base is None or name in base.absent or (base.complete and name != MESSAGES) or is_reserved(name):
            return
        with self._source().read() as unit:
            if name == MESSAGES:
                key = find_current(unit, base.row_id, base.session_id)
                self.__dict__[MESSAGES], base.messages = read_messages(unit, key.id, key.session_id, key.message_count)
                return
            state = read_again(unit, base.row_id, base.session_id, complete=False)
            read_documents(unit, state, [name])
        if name in state.values:
            base.values[name] = digest_of(name, state.values[name])
            self.__dict__[name] = state.values[name]
        else:
            base.absent.add(name)

    def save(self, touch_updated_at: bool = True, skip_index: bool = False) -> None:
        """Write what differs from what was read, all or nothing; what others wrote meanwhile is kept, and shown here.

        Args:
            touch_updated_at: make this the session's last change, so that it moves to the front of lists.
            skip_index: ignored, as there is no index to write.

        Raises:
            StaleSessionError: others changed the same part. This object is as it was; get the session anew.
            SessionDeletedError, SessionNotFoundError: it was deleted, and is not brought back.
            SessionExistsError: the session is new, and another one has its id.
            InvalidIdError, InvalidPayloadError: the id, or a value, cannot be stored.
            DatabaseError: the database refused.
        """
        with self.exclusive():
            self.__dict__[SESSION_ID] = check_id(self.session_id, "session id")
            base, database = self._base, self._models.database()
            if base is not None and (base.session_id != self.session_id or not self.is_of(database)):
                self._read_rest(base)
                base = None
            local = self._local(base, touch=touch_updated_at)
            try:
                with database.write() as unit:
                    saved = create(unit, local) if base is None else change(unit, base, local)
            except HermesStoreError as error:
                self._models.save_failed(self, error)
                raise
            self._database = database
            self._accept(local, saved)

    def _read_rest(self, base: Base) -> None:
        """Read what was not read yet: under another id, or in another store, it is to be a copy of all of it."""
        with self._source().read() as unit:
            whole = read_again(unit, base.row_id, base.session_id, complete=True)
            if MESSAGES not in self.__dict__:
                self.__dict__[MESSAGES], base.messages = read_messages(
                    unit, whole.row_id, whole.session_id, whole.message_count
                )
        if not base.complete:
            unread = {key: value for key, value in whole.values.items() if key not in base.values}
            base.values |= digests_of(unread)
            base.complete = True
            self._set({key: value for key, value in unread.items() if key not in self.__dict__})

    def _local(self, base: Base | None, *, touch: bool) -> Local:
        values = dict(self.__dict__)
        messages = values.pop(MESSAGES, None)
        if not isinstance(messages, list | tuple) and MESSAGES in self.__dict__:
            raise InvalidPayloadError(f"are a {type(messages).__name__}, not a list", MESSAGES)
        if touch:
            values["updated_at"] = time.time()
        try:
            now = None if messages is None else list(messages)
        except Exception as error:  # whatever a class that is derived from `list` raises
            raise InvalidPayloadError(f"could not be read: {quoted(error)}", MESSAGES) from error
        return Local(values.pop(SESSION_ID), values, now, base, touched=touch)

    def _accept(self, local: Local, saved: Saved) -> None:
        """Make the result of a save this session's state, except what was assigned to since."""
        if self.session_id == local.session_id:
            self.__dict__[SESSION_ID] = saved.base.session_id  # others may have given it another
        if "updated_at" in local.values:
            self.__dict__["updated_at"] = local.values["updated_at"]
        for name, value in saved.adopted.items():
            if self.__dict__.get(name) is local.values.get(name):
                self._set({name: value})
        for name in saved.gone:
            if self.__dict__.get(name) is local.values.get(name):
                self.__dict__.pop(name, None)
        if saved.messages is not None and local.messages is not None:
            self.messages[: len(local.messages)] = saved.messages  # what was appended since stays after them
        # Last: a child that is forked before this has the old base, with which the next save finds what was written.
        # With the new base alone, the messages of others would look as if they had been removed here.
        self._base = saved.base

    def renamed(self, session_id: str, revision: int | None) -> None:
        """Have another id, which the store gave the session as its revision `revision`; None for a new one."""
        with self.exclusive():
            if self._base is not None and revision is not None:
                self._base.session_id = session_id
                if self._base.revision == revision - 1:  # else others wrote before, and a save has to compare
                    self._base.revision = revision
            self.session_id = session_id

    def is_of(self, database: Database) -> bool:
        """Whether it was read from, or saved to, this database."""
        return self._database is not None and self._database.is_same(database)

    def is_at(self, revision: int) -> bool:
        """Whether it was read or saved at a revision."""
        return self._base is not None and self._base.revision == revision

    def is_dirty(self) -> bool:
        """Whether there is something that a save would write."""
        with self.exclusive():
            base = self._base
            try:
                local = self._local(base, touch=False)
            except InvalidPayloadError:  # which the store never had
                return True
            return (
                base is None or bool(base.changed(local.digests)) or local.message_digests not in (None, base.messages)
            )

    def changed_values(self) -> dict[str, Any]:
        """Return the values that differ from what was read or saved, without looking at messages and documents."""
        base = self._base
        if base is None:
            return dict(self.__dict__)
        now = {key: value for key, value in dict(self.__dict__).items() if key in ROW_KEYS}
        return {key: value for key, value in now.items() if not _is_same(base, key, value)}

    @property
    def is_new(self) -> bool:
        """Whether it was never saved."""
        return self._base is None

    @property
    def stored_id(self) -> str | None:
        """The id that it was read or saved under."""
        return None if self._base is None else self._base.session_id

    @property
    def has_draft(self) -> bool:
        """Whether it has a draft, as far as it was read."""
        return session_json.has_draft(self.__dict__)

    @property
    def message_total(self) -> int:
        """How many messages there are, also where they were not read."""
        if MESSAGES in self.__dict__ or self._base is None:
            messages = self.__dict__.get(MESSAGES)
            return len(messages) if isinstance(messages, list | tuple) else 0
        return self._base.message_count

    @property
    def unsaved_messages(self) -> int:
        """How many more messages there are here than when it was read or saved."""
        base = self._base
        return 0 if base is None or base.messages is None else self.message_total - len(base.messages)

    def compact(self, include_runtime: bool = False, active_stream_ids: Any = None) -> dict[str, Any]:
        """Return the session as a row of the sidebar.

        Args:
            include_runtime: let ``is_streaming`` say whether its stream is among the active ones; else it is False.
            active_stream_ids: the ids of the running streams.
        """
        streams = active_stream_ids if include_runtime and active_stream_ids is not None else ()
        runtime = {
            "message_count": self.message_total,
            "is_streaming": isinstance(self.active_stream_id, str) and self.active_stream_id in streams,
        }
        return {key: runtime[key] if key in runtime else getattr(self, key) for key in COMPACT_KEYS}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with values of its own; how deep they are nested is no limit."""
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        values, base = self.__getstate__()
        made.__setstate__((deep_copy(values, memo), base))
        return made

    def __getstate__(self) -> tuple[dict[str, Any], Base | None]:
        """Return what a copy needs: all but the lock, which is each object's own."""
        return dict(self.__dict__), self._base

    def __setstate__(self, state: tuple[dict[str, Any], Base | None]) -> None:
        values, base = state
        renew_after_fork(self, "_guard", HeldLock)
        # Its own base: what one of them reads later is not thereby in the other.
        self._base = copy.deepcopy(base)
        self._database = None if base is None else self._models.database()
        self.__dict__.update(values)


def given(name: str, value: Any, otherwise: Any) -> Any:
    """Return a value, or another one if it is empty.

    Raises:
        InvalidInputError: it does not say whether it is empty.
    """
    try:
        return value or otherwise
    except Exception as error:  # whatever an object raises
        raise InvalidInputError(f"{name} is {quoted(value)}, of which nobody can tell whether it is empty.") from error


def _absolute(workspace: Any) -> str:
    """Return the absolute path of a folder.

    Raises:
        InvalidInputError: it cannot be a path.
    """
    path = path_of(workspace, "workspace")
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):  # a link to itself, a name that is too long: the folder is not opened here
        return str(path.absolute())


def _is_same(base: Base, key: str, value: Any) -> bool:
    try:
        return base.values.get(key) == digest_of(key, value)
    except InvalidPayloadError:  # which the store never had
        return False
