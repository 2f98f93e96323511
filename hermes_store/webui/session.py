"""The WebUI's live session: an object that all of its code shares, assigns to freely, and saves.

Its attributes are the session's values, in its ``__dict__`` by the WebUI's keys. What is not in the session's row is
read on first use. The object also keeps its base, what the store had when it was read, so that a save writes the
difference.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Self

from ..errors import (
    HermesStoreError,
    InvalidPayloadError,
    SessionDeletedError,
    SessionNotFoundError,
)
from ..quoting import quoted
from ..records import UNTITLED
from ..storage import session_keys
from ..storage.engine import Database
from ..storage.fork_gate import renew_after_fork
from ..storage.held_lock import HeldLock
from ..transcripts.copying import deep_copy
from ..validation import check_id, is_id
from ..webui_format import session_json
from .adopting import adopt_fields, adopt_messages
from .arguments import absolute_folder, checked_names, given
from .field_policy import UPDATED
from .lazy_values import LazyValues
from .saving import Saved, write
from .state import (
    COMPACT_KEYS,
    MESSAGES,
    ROW_KEYS,
    SESSION_ID,
    Extent,
    State,
    is_reserved,
    read,
    reserves_its_names,
)
from .versions import Base, Local, compared_keys

#: In place of an argument that was left out.
_LEFT_OUT: Final[Any] = object()


@reserves_its_names
class LiveSession(LazyValues):
    """A session as hermes-webui's code uses it; `WebUIModels.Session` is the class of this for one store.

    Args:
        session_id: its id; one of 12 hexadecimal digits is made up when there is none.
        workspace: a folder, made absolute; the default workspace when left out, and None stays None.
        model: the default model when left out.
        messages, tool_calls, pending_attachments: lists, empty when there is none.
        created_at, updated_at: epoch seconds; now when None.
        **others: any other value of the WebUI's, which becomes an attribute and is kept.
    """

    __slots__ = ()

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
        self._base = None
        self._database = None
        renew_after_fork(self, "_guard", HeldLock)
        now = time.time()
        workspace = self._models.default_workspace() if workspace is _LEFT_OUT else workspace
        self.session_id: str = given("session_id", session_id, uuid.uuid4().hex[:12])
        self.title = title
        self.workspace = None if workspace is None else absolute_folder(workspace)
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
        return cls._read(sid, Extent.WHOLE)

    @classmethod
    def load_metadata_only(cls, sid: Any) -> Self | None:
        """Return the stored session, reading its row alone; None when there is none of this id.

        Messages, tool calls and the rest are read when they are used. Saving writes nothing of what was not read.

        Raises:
            DatabaseError: the database cannot be read.
        """
        return cls._read(sid, Extent.ROW)

    @classmethod
    def _read(cls, sid: Any, extent: Extent) -> Self | None:
        if not is_id(sid):
            return None
        cls._models.import_new_files()
        found = cls._find(sid, extent)
        if found is None and cls._models.wait_for_import(sid):
            found = cls._find(sid, extent)
        return found

    @classmethod
    def _find(cls, sid: str, extent: Extent) -> Self | None:
        database = cls._models.database()
        try:
            with database.read() as unit:
                state = read(unit, sid, extent, is_reserved)
        except (SessionNotFoundError, SessionDeletedError):
            return None
        return cls._of(state, database)

    @classmethod
    def _of(cls, state: State, database: Database) -> Self:
        session = cls.__new__(cls)
        session._database = database
        renew_after_fork(session, "_guard", HeldLock)
        session._base = Base.of(state)
        session.__dict__.update({SESSION_ID: state.session_id, **state.values})  # none of them is reserved
        if state.messages is not None:
            session.__dict__[MESSAGES] = state.messages
        return session

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

    def save(
        self, touch_updated_at: bool = True, skip_index: bool = False, *, only: Collection[str] | None = None
    ) -> None:
        """Write what differs from what was read; what others wrote meanwhile is kept, and shown here.

        Where others changed the same field, `field_policy` says which value it gets.

        Args:
            touch_updated_at: make this the session's last change, so that it moves to the front of lists.
            skip_index: ignored, as there is no index to write.
            only: write the values of these keys alone; the messages only if ``messages`` is among them. Nothing else
                is looked at. A session that is new, and one whose last save was interrupted, is saved whole.

        Raises:
            StaleSessionError: others changed the same messages, too; its `positions` says which. Everything else was
                written. This object keeps its versions of them, and each later save that finds the others' raises this
                again; get the session anew.
            SessionDeletedError, SessionNotFoundError: it was deleted, and is not brought back.
            SessionExistsError: the session is new, and another one has its id.
            InvalidIdError, InvalidPayloadError: the id, or a value, cannot be stored.
            InvalidInputError: `only` has something that is no key.
            DatabaseError: the database refused.
        """
        names = None if only is None else checked_names(only)
        with self.exclusive():
            self.__dict__[SESSION_ID] = check_id(self.session_id, "session id")
            base, database = self._base, self._models.database()
            if base is not None and not self._is_stored(base, database):
                self._read_rest(base)
                base = None
            if base is None or base.attempt is not None:
                names = None
            part = base
            if base is not None and names is not None:
                part = base.limited_to(
                    compared_keys(names - {MESSAGES}, touch=touch_updated_at), messages=MESSAGES in names
                )
            local = self._local(part, touch=touch_updated_at, only=names)
            try:
                with database.write() as unit:
                    saved = write(unit, part, local)
                    if base is not None and part is not None and part is not base:
                        base.attempt = part.attempt and base.joined(part.attempt, part, is_alone=True)
            except HermesStoreError as error:
                self._models.save_failed(self, error)
                raise
            self._database = database
            self._accept(local, saved, part)
            self._report(saved, is_whole=names is None)

    def _is_stored(self, base: Base, database: Database) -> bool:
        """Whether a save changes the session that was read; else it makes a copy, under another id or elsewhere."""
        if not self.is_of(database):
            return False
        if base.session_id != self.session_id:
            with database.read() as unit:
                key = session_keys.find_row(unit, base.row_id)
            if key is None or key.session_id != self.session_id:
                return False
            base.session_id = key.session_id  # it was given to the stored session as well
        return True

    def _local(self, base: Base | None, *, touch: bool, only: Collection[str] | None = None) -> Local:
        values = dict(self.__dict__)
        if only is not None:
            values = {key: value for key, value in values.items() if key in only or key == SESSION_ID}
        with_messages = MESSAGES in values
        messages = values.pop(MESSAGES, None)
        if not isinstance(messages, list | tuple) and with_messages:
            raise InvalidPayloadError(f"are a {type(messages).__name__}, not a list", MESSAGES)
        if touch:
            values["updated_at"] = time.time()
        try:
            now = None if messages is None else list(messages)
        except Exception as error:  # whatever a class that is derived from `list` raises
            raise InvalidPayloadError(f"could not be read: {quoted(error)}", MESSAGES) from error
        local = Local(values.pop(SESSION_ID), values, now, base, touched=touch, is_hidden=is_reserved)
        if only is not None and base is not None:
            local.watch_stream(base)
        return local

    def _accept(self, local: Local, saved: Saved, part: Base | None) -> None:
        """Make the result of a save this session's state, except what was assigned to since.

        Args:
            part: what was compared with the store, this session's base or a part of it.
        """
        values = self.__dict__
        if self.session_id == local.session_id:
            values[SESSION_ID] = saved.base.session_id  # others may have given it another
        if UPDATED in local.values:
            values[UPDATED] = local.values[UPDATED]
        adopt_fields(values, lambda key, value: self._set({key: value}), local, saved)
        if saved.transcript is not None and saved.transcript.messages is not None:
            if not isinstance(values.get(MESSAGES), list):
                values[MESSAGES] = list(values.get(MESSAGES) or ())
            adopt_messages(values[MESSAGES], local, saved)
        base = saved.base
        if part is not None and part.only is not None and self._base is not None:
            base = self._base.joined(base, part, is_alone=saved.is_alone)
        # Last: a child that is forked before this has the old base, with which the next save finds what was written.
        # With the new base alone, the messages of others would look as if they had been removed here.
        self._base = base

    def _report(self, saved: Saved, *, is_whole: bool) -> None:
        """Log the values that were lost, and raise the error for messages that were not saved."""
        saved.log_lost()
        error = saved.conflict()
        if error is None:
            if is_whole:
                self._models.save_succeeded(self)
            return
        self._models.save_failed(self, error)
        raise error

    def renamed(self, session_id: str, revision: int | None) -> None:
        """Take another id, which the store gave the session as its revision `revision`; None for a new session."""
        with self.exclusive():
            if self._base is not None and revision is not None:
                self._base.session_id = session_id
                if self._base.revision == revision - 1:  # else others wrote before, and a save has to compare
                    self._base.revision = revision
            self.session_id = session_id

    def is_at(self, revision: int) -> bool:
        """Whether it was read or saved at a revision."""
        return self._base is not None and self._base.revision == revision

    def is_idle(self) -> bool:
        """Whether no other thread saves or reads it at the moment, and there is nothing that a save would write."""
        with self._guard.hold(0) as is_held:
            return is_held and not self.is_dirty()

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
        return {key: value for key, value in now.items() if not base.has(key, value)}

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
        self._base = None if base is None else base.copy()
        self._database = None if base is None else self._models.database()
        self.__dict__.update(values)
