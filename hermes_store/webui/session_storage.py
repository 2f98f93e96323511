"""Sessions as dicts, for any web user interface: loading, saving what changed, lists.

`SessionStorage` replaces no class of the application's. The application keeps its own objects, and for each session a
token: the version that it read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..arguments import check_flag, check_instance, items_of
from ..errors import InvalidInputError
from ..pagination import check_limit
from ..paths import path_of
from ..quoting import quoted
from ..reports import ImportReport
from ..storage import retired_ids, search_pages, session_ids, session_keys, session_values
from ..storage.engine import Database
from ..storage.row_locks import Reserved, RowLock
from ..storage.search_pages import SearchFilter
from ..storage.session_values import ORDERS
from ..storage.session_writer import copy_whole
from ..store import Store
from ..transcripts import encoding
from ..validation import check_id, check_ids, check_profile, check_text
from ..webui_format.key_order import in_order
from ..words.query import parse
from .appending import append
from .arguments import checked_conditions, checked_count, checked_keys, checked_profiles, checked_values
from .contents import contents
from .folder_import import FolderImport
from .shared_stores import present_store
from .state import MESSAGES, SESSION_ID, Extent, read
from .token_saving import change, create, find
from .tokens import Adopted, Token


class SessionStorage:
    """The sessions of a store as dicts, by the keys of hermes-webui's session JSON. Threads may share it.

    Args:
        store: a store, or a callable that returns one (see `shared_store`), which is called each time.

    Raises:
        InvalidInputError: it is neither.
    """

    def __init__(self, store: Store | Callable[[], Store]) -> None:
        self._store = present_store(store)
        self._folder_import = FolderImport()

    def _database(self) -> Database:
        return self._store().database

    # ── Reading ──

    def load(self, session_id: str) -> tuple[dict[str, Any], Token]:
        """Return a session whole, with ``session_id`` and ``messages``, and its token.

        Raises:
            SessionNotFoundError: there is none of this id; its message names the present one if it was renamed.
            SessionDeletedError: it was deleted.
            InvalidIdError: it cannot be an id.
            DatabaseCorruptError: a message is damaged; it names the position.
        """
        return self._load(session_id, Extent.WHOLE)

    def load_metadata(self, session_id: str) -> tuple[dict[str, Any], Token]:
        """Return a session without what may be long, and its token; two queries at most.

        Left out are ``messages``, ``tool_calls``, ``context_messages`` and ``anchor_activity_scenes``, and the token
        does not allow to save these. `Token.message_count` says how many messages there are.

        Raises:
            SessionNotFoundError, SessionDeletedError, InvalidIdError: as `load`.
        """
        return self._load(session_id, Extent.METADATA)

    def _load(self, session_id: str, extent: Extent) -> tuple[dict[str, Any], Token]:
        session_id = check_id(session_id, "session id")
        database = self._database()
        with database.read() as unit:
            state = read(unit, session_id, extent)
        values = {SESSION_ID: state.session_id, **state.values}
        if state.messages is not None:
            values[MESSAGES] = state.messages
        return in_order(values), Token.of(state, database)

    def exists(self, session_id: str) -> bool:
        """Whether there is a session of this id that is not deleted.

        Raises:
            InvalidIdError: it cannot be an id.
        """
        return self._store().sessions.exists(session_id)

    def is_deleted(self, session_id: str) -> bool:
        """Whether a session of this id was deleted, so that no file and no other program may bring it back.

        Raises:
            InvalidIdError: it cannot be an id.
        """
        session_id = check_id(session_id, "session id")
        with self._database().read() as unit:
            return retired_ids.is_deleted(unit, session_id)

    def ids(self, *, profile: str | Iterable[str] | None = None) -> list[str]:
        """Return the ids of all sessions that are not deleted, in order.

        Args:
            profile: only this profile's, or these profiles'.
        """
        profiles = checked_profiles(profile)
        with self._database().read() as unit:
            return session_ids.ids(unit, profiles)

    def revision(self, session_id: str) -> int:
        """Return the revision of a session, which each write to it counts up.

        Raises:
            SessionNotFoundError, SessionDeletedError, InvalidIdError: as `load`.
        """
        with self._database().read() as unit:
            return session_keys.find_live(unit, session_id, None).revision

    def revisions(self, session_ids: Iterable[str]) -> dict[str, int]:
        """Return the revisions of those of some sessions that exist and are not deleted, by id; one query.

        A cache asks this: what it has is current if `Token.revision` is the same.

        Raises:
            InvalidIdError: one cannot be an id.
        """
        wanted = check_ids(session_ids, "session id")
        with self._database().read() as unit:
            return session_keys.current_revisions(unit, wanted)

    def rows(
        self,
        keys: Iterable[str],
        *,
        where: Mapping[str, Any] | None = None,
        order: str = "updated",
        profile: str | Iterable[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return some values of all sessions that are not deleted, as a list needs them; at most two queries.

        Args:
            keys: any keys of the session JSON but ``messages``; also ``message_count``, ``user_message_count`` (how
                many have the role "user"), ``last_message_at`` (the time of the last message), ``last_activity_at`` (of
                the last one that is not a tool's) and ``revision``. A value that a session does not have is that of a
                new session, or None.
            where: by key, the value that a session must have, or a list of values of which it must have one.
            order: "updated": the last changed first; "activity": by ``last_activity_at``, or ``updated_at`` where there
                is none.
            profile: only this profile's sessions, or these profiles'.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        wanted, conditions = checked_keys(keys), checked_conditions(where)
        if not isinstance(order, str) or order not in ORDERS:
            raise InvalidInputError(f"order is one of {', '.join(map(repr, ORDERS))}, not {quoted(order)}.")
        profiles = checked_profiles(profile)
        with self._database().read() as unit:
            return session_values.read(unit, wanted, conditions, order=order, profiles=profiles)

    def contents(
        self, session_ids: Iterable[str], *, first: int | None = None, text: str | None = None
    ) -> Iterator[tuple[str, list[Any]]]:
        """Return an iterator over the ids of some sessions and their messages, for a search through many.

        The messages of several sessions are read by one query, 2,000 at a time. Left out are sessions that are deleted
        or that there are not, and damaged messages, which are logged.

        Args:
            session_ids: the ids, in the order of the results.
            first: how many messages of each session, at most; the first ones.
            text: leave out sessions in whose messages it certainly is not, in upper or lower case. These are not
                decoded, which takes most of the time. The caller still has to look for the text in the others: they
                may have it in a value that is not shown.

        Raises:
            InvalidIdError: one cannot be an id.
            InvalidInputError: `first` is no number of messages, or `text` is no text.
        """
        wanted = check_ids(session_ids, "session id")
        most = None if first is None else checked_count("first", first)
        checked = None if text is None else check_text(text, "text")
        return contents(self._database(), list(dict.fromkeys(wanted)), most, checked)

    def search(self, words: str, *, profile: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return the sessions that a search finds in titles and messages, the best first, each once.

        Each has `session_id`, `match_type` ("title" or "content"), the `position` of the message (None for a title), a
        `snippet` of the text, and `matches`: the places in the snippet, as first and last + 1. It finds what is saved.

        Args:
            words: as `Store.search` takes them. With an asterisk at its end, the last word is found by its beginning.
            profile: only this profile's sessions; all when None.
            limit: the largest number of sessions, 1 to 1000.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        query = parse(check_text(words, "search"))
        wanted = SearchFilter(profile=None if profile is None else check_profile(profile))
        most = check_limit(limit)
        with self._database().read() as unit:
            hits = search_pages.best_of_sessions(unit, query, wanted, most)
        return [
            {
                "session_id": hit.session.session_id,
                "match_type": "title" if hit.position is None else "content",
                "position": hit.position,
                "snippet": hit.snippet,
                "matches": hit.matches,
            }
            for hit in hits
        ]

    def children(self, session_id: str) -> list[str]:
        """Return the ids of the sessions whose ``parent_session_id`` is this one, deleted or not, the oldest first.

        Raises:
            SessionNotFoundError, InvalidIdError: as `load`.
        """
        with self._database().read() as unit:
            return session_ids.children(unit, session_keys.find(unit, session_id, None).id)

    # ── Writing ──

    def save(
        self,
        session_id: str,
        values: Mapping[str, Any],
        messages: Iterable[Any] | None = None,
        *,
        base: Token | None,
        only: Collection[str] | None = None,
        touch: bool = True,
    ) -> tuple[Token, Adopted]:
        """Write what differs from the version that was read, and merge it with what others wrote since.

        New messages are always written. Where others changed the same field, the rules of
        :mod:`hermes_store.webui.field_policy` say which value it gets; a value that is given up is logged.

        Args:
            session_id: the session's id.
            values: its values by key: all those that were loaded, as they are now. A key that is missing is removed.
                ``session_id`` and ``messages`` may be among them.
            messages: the whole transcript. When None, the one among the values; if there is none, the messages stay as
                they are.
            base: the token of the version that was read, or None for a new session.
            only: write these keys alone, whatever else the values have; the messages only if they are an argument.
            touch: make this the session's last change: ``updated_at`` is now, in whatever the values have.

        Returns:
            The token of what is stored now, and what of that is not as it was given.

        Raises:
            StaleSessionError: others changed the same messages, too; its `positions` says where these are in what is
                stored now. Everything else was written; load the session again.
            SessionDeletedError, SessionNotFoundError: it was deleted, and is not brought back.
            SessionExistsError: `base` is None, and there is a session of this id with something else in it.
            InvalidInputError: an argument is not valid, or `base` is the token of another session or of metadata alone.
            InvalidPayloadError: a value or a message is not a JSON value.
        """
        session_id = check_id(session_id, "session id")
        check_flag("touch", touch)
        given, transcript = checked_values(session_id, values, messages, with_messages=only is None)
        if base is None:
            if only is not None:
                raise InvalidInputError("A new session is saved whole, so `only` needs a `base`. Nothing was written.")
            return create(self._database(), session_id, given, transcript, touch=touch)
        check_instance("base", base, Token)
        names = None if only is None else set(checked_keys(only))
        if names is not None:
            given = {key: value for key, value in given.items() if key in names}
        return change(self._database(), base, session_id, given, transcript, only=names, touch=touch)

    def append(
        self, session_id: str, messages: Iterable[Any], *, base: Token, touch: bool = True
    ) -> tuple[Token, Adopted]:
        """Add messages at the end, whatever others wrote: it takes the same time in a short session and a long one.

        If it raises an error, it can be repeated with the same token: what was written all the same is not added twice.

        Args:
            session_id: the session's id.
            messages: the new messages alone.
            base: the token of the version that was read, with or without messages.
            touch: make this the session's last change.

        Returns:
            As `save`. The adopted messages are the whole transcript if others had changed it.

        Raises:
            SessionDeletedError, SessionNotFoundError, InvalidInputError, InvalidPayloadError: as `save`.
        """
        session_id = check_id(session_id, "session id")
        check_flag("touch", touch)
        check_instance("base", base, Token)
        encoded = encoding.encode(items_of(messages, MESSAGES, "Nothing was written."))
        database = self._database()
        version = base.base_in(database)
        with database.write() as unit:
            key = find(unit, version, session_id, lock=RowLock.CHANGE)
            if not encoded:
                return base, Adopted(session_id=key.session_id, values={})
            appended = append(unit, base, key, encoded, database, touch=touch)
        base.note_append(None)
        return appended

    def copy_as(self, session_id: str, new_id: str) -> tuple[dict[str, Any], Token]:
        """Copy a session with everything in it under another id, inside the database.

        Returns:
            The copy's metadata and token, as `load_metadata`.

        Raises:
            SessionExistsError: the new id is, or was, another session's.
            SessionDeletedError: it is a deleted one's; or the session to copy is deleted.
            SessionNotFoundError, InvalidIdError: as `load`.
        """
        new_id = check_id(new_id, "session id")
        with self._database().write() as unit:
            unit.reserve(Reserved.SESSIONS)
            copy_whole(unit, session_keys.find_live(unit, session_id, None, lock=RowLock.CHANGE), new_id)
        return self.load_metadata(new_id)

    def fork(
        self, session_id: str, *, at: int | None = None, title: str | None = None, new_id: str | None = None
    ) -> tuple[dict[str, Any], Token]:
        """Create a session that begins with the first messages of another one; see `Sessions.fork`.

        Returns:
            The fork's metadata and token, as `load_metadata`.

        Raises:
            SessionExistsError, SessionDeletedError, SessionNotFoundError, InvalidIdError: as `copy_as`.
            InvalidInputError: `at` is out of range, or the title is not valid.
        """
        made = self._store().sessions.fork(session_id, at=at, title=title, new_id=new_id)
        return self.load_metadata(made.session_id)

    def rename_id(self, session_id: str, new_id: str) -> None:
        """Give a session another id. Its tokens stay good, and the old id is never used for another session.

        Raises:
            SessionExistsError, SessionDeletedError, SessionNotFoundError, InvalidIdError: as `copy_as`.
        """
        self._store().sessions.change_id(session_id, new_id)

    def delete(self, session_id: str) -> None:
        """Delete a session: it refuses every write from then on. `Store.sessions.restore` brings it back.

        Raises:
            SessionNotFoundError, InvalidIdError: as `load`.
            SessionDeletedError: it is deleted already.
        """
        self._store().sessions.delete(session_id)

    def discard(self, session_id: str) -> None:
        """Remove a session, deleted or not, for good. Its id is not used again.

        Raises:
            SessionNotFoundError, InvalidIdError: as `load`.
        """
        self._store().sessions.purge(session_id)

    def import_folder(self, folder: str | os.PathLike[str]) -> ImportReport | None:
        """Import the JSON files of a folder of sessions, and the ``projects.json`` next to it.

        Only what appeared since this object did it last, which one `stat` of the folder shows. Nothing in the folder
        is written, moved or deleted, and what was deleted in the store is not brought back.

        Returns:
            What was imported; None if nothing appeared.

        Raises:
            FilesError: it is no folder of sessions, or cannot be read.
        """
        path: Path = path_of(folder, "folder of sessions")
        return self._folder_import.report(self._store(), path)
