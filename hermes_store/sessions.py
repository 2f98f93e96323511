"""Sessions: create, find, list, change, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Unpack

from .arguments import check_flag, check_tristate
from .collection import UNCHECKED, Unchecked, require_current
from .deletion import Deletion
from .errors import DatabaseCorruptError, InvalidInputError, SessionNotFoundError
from .forking import Forking
from .pagination import check_limit
from .records import DEFAULT_PROFILE, Missing, Page, SessionOrder, SessionRecord
from .storage import (
    document_reading,
    document_rows,
    project_rows,
    retired_ids,
    session_ids,
    session_keys,
    session_listing,
    session_records,
    session_rows,
)
from .storage.list_filter import ListFilter
from .storage.row_locks import Reserved, RowLock
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .transcripts import json_codec
from .validation import (
    SessionChanges,
    check_id,
    check_ids,
    check_order,
    check_revision,
    check_source,
    check_time,
    file_key,
    is_id,
    session_changes,
)
from .webui_format import session_json
from .whole_sessions import WholeSessions


class Sessions(Deletion, Forking, WholeSessions):
    """The sessions of a store, or of one profile of it."""

    def create(self, *, session_id: str | None = None, **fields: Unpack[SessionChanges]) -> SessionRecord:
        """Create a session without messages.

        Args:
            session_id: its id; 12 random hexadecimal digits when None.
            **fields: fields of `SessionRecord`. The default title is "Untitled", and the default profile is "default"
                or that of the view. Both times are now, and all other fields are empty.

        Returns:
            The new session.

        Raises:
            SessionExistsError: the id is in use. In the view of a profile: or another profile used it before.
            SessionDeletedError: a deleted or purged session has this id.
            ProjectNotFoundError, SessionNotFoundError: the profile has no such project, or no such parent.
            InvalidInputError: a field is not valid.
        """
        changes = session_changes(fields)
        session_id = uuid.uuid4().hex[:12] if session_id is None else check_id(session_id, "session id")
        profile = self._own_profile(changes.get("profile")) or DEFAULT_PROFILE
        now = time.time()
        with self._transactions.write() as unit:
            retired_ids.require_free(unit, session_id, self._scope)
            values = {"created_at": now, "updated_at": now, **_resolved(unit, changes, profile), "profile": profile}
            session_rows.add(unit, session_id, values)
            return session_records.get_existing(unit, session_id)

    def get(self, session_id: str) -> SessionRecord:
        """Return a session.

        Raises:
            SessionNotFoundError: no session has this id (in this profile).
            SessionDeletedError: the session is deleted.
            InvalidIdError: the id is not valid.
        """
        session_id = check_id(session_id, "session id")
        with self._transactions.read_each() as unit:
            record = session_records.get(unit, session_id)
            if record is not None and record.deleted_at is None and self._scope in (None, record.profile):
                return record
            self._find(unit, session_id)  # raises the error that says why
            raise SessionNotFoundError(session_id)

    def get_many(self, session_ids: Iterable[str], *, deleted: bool | None = False) -> dict[str, SessionRecord]:
        """Return several sessions in one query, by id. Ids that no session has are left out.

        Args:
            session_ids: the ids.
            deleted: True: only deleted sessions; False: only the others; None: both.

        Raises:
            InvalidIdError: an id is not valid.
            InvalidInputError: an argument is not valid.
        """
        wanted = check_ids(session_ids, "session id")
        if deleted is not None:
            deleted = check_flag("deleted", deleted)
        with self._transactions.read_each() as unit:
            return session_records.get_many(unit, wanted, self._scope, deleted=deleted)

    def exists(self, session_id: str) -> bool:
        """Whether a session has this id and is not deleted.

        Raises:
            InvalidIdError: the id is not valid.
        """
        session_id = check_id(session_id, "session id")
        with self._transactions.read_each() as unit:
            return session_keys.exists(unit, session_id, self._scope)

    def find(self, prefix: str, *, limit: int = 20, deleted: bool | None = False) -> list[str]:
        """Return the ids of sessions that begin with a text, in order.

        Args:
            prefix: at least one character.
            limit: the largest number of ids to return, 1 to 1000.
            deleted: True: only the ids of deleted sessions; False: only those of the others; None: both.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        limit = check_limit(limit)
        if deleted is not None:
            deleted = check_flag("deleted", deleted)
        if not is_id(prefix):
            return []
        prefix = check_id(prefix)
        with self._transactions.read_each() as unit:
            return session_ids.find_prefix(unit, prefix, self._scope, limit, deleted=deleted)

    def list(
        self,
        *,
        profile: str | None = None,
        project_id: str | Literal[Missing.WITHOUT] | None = None,
        archived: bool | None = None,
        pinned: bool | None = None,
        source: str | Literal[Missing.WITHOUT] | None = None,
        since: float | None = None,
        until: float | None = None,
        include_empty: bool = False,
        order: SessionOrder = "updated",
        limit: int = 50,
        after: str | None = None,
        total: bool = False,
    ) -> Page[SessionRecord]:
        """Return a page of sessions: pinned ones first, then by time, the latest first.

        Pages are keyset-based: sessions created or deleted between two calls neither skip nor repeat others. A session
        whose time changes moves to the front. A filter that is None does not filter.

        Args:
            profile: only sessions of this profile.
            project_id: only sessions of this project; `WITHOUT`: only sessions in no project.
            archived, pinned: True: only archived or pinned sessions; False: only the others.
            source: only sessions of this source; `WITHOUT`: only those of the user interface itself. It cannot be
                combined with `project_id`.
            since, until: only sessions whose time is at or after `since`, or before `until`, in epoch seconds. The time
                is the one that `order` names.
            include_empty: also blank sessions: untitled ones without messages or a stream, older than a minute.
            order: the time to sort by. "updated": `updated_at`, which every write sets. "activity":
                `last_activity_at`, which only messages set, or `updated_at` where it is None.
            limit: the largest number of sessions to return, 1 to 1000.
            after: `Page.next` of the previous page.
            total: also count the sessions on all pages. The time for it grows with their number.

        Raises:
            ProjectNotFoundError: there is no such project.
            InvalidCursorError: `after` is not a cursor of this list, or is one of another order.
            InvalidInputError: an argument has a wrong type, or no index serves the combination of filters.
        """
        check_flag("total", total)
        # One page of all sessions, or of a profile's, is one statement.
        is_one = after is None and not total and project_id is None and (source is None or self._own_profile(profile))
        with self._transactions.read_each() if is_one else self._transactions.read() as unit:
            wanted = self._filter(
                unit, profile, project_id, archived, pinned, source, since, until, include_empty, order
            )
            page = session_listing.list_page(unit, wanted, limit, after)
            if not total:
                return page
            return page.model_copy(update={"total": session_listing.count(unit, wanted)})

    def iterate(
        self,
        *,
        profile: str | None = None,
        project_id: str | Literal[Missing.WITHOUT] | None = None,
        archived: bool | None = None,
        pinned: bool | None = None,
        source: str | Literal[Missing.WITHOUT] | None = None,
        since: float | None = None,
        until: float | None = None,
        include_empty: bool = False,
        order: SessionOrder = "updated",
    ) -> Iterator[SessionRecord]:
        """Yield the sessions of all pages of `list`. The arguments and errors are those of `list`."""
        after: str | None = None
        while True:
            page = self.list(
                profile=profile,
                project_id=project_id,
                archived=archived,
                pinned=pinned,
                source=source,
                since=since,
                until=until,
                include_empty=include_empty,
                order=order,
                limit=500,
                after=after,
            )
            yield from page.items
            after = page.next
            if after is None:
                return

    def count(
        self,
        *,
        profile: str | None = None,
        project_id: str | Literal[Missing.WITHOUT] | None = None,
        archived: bool | None = None,
        pinned: bool | None = None,
        source: str | Literal[Missing.WITHOUT] | None = None,
        since: float | None = None,
        until: float | None = None,
        include_empty: bool = False,
        order: SessionOrder = "updated",
    ) -> int:
        """Return the number of sessions on all pages of `list`. The arguments and errors are those of `list`."""
        with self._transactions.read() as unit:
            wanted = self._filter(
                unit, profile, project_id, archived, pinned, source, since, until, include_empty, order
            )
            return session_listing.count(unit, wanted)

    def update(
        self,
        session_id: str,
        *,
        expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED,
        touch: bool = True,
        **changes: Unpack[SessionChanges],
    ) -> SessionRecord:
        """Change the named fields of a session, and return it. Without `expected_revision` the last writer wins.

        Args:
            session_id: the session.
            expected_revision: the revision at which the fields were read. Nothing is changed if fields or documents
                changed after it. Messages do not count.
            touch: set `updated_at` to now, which moves the session to the front of lists. It stays as it is if it is
                later than now.
            **changes: fields of `SessionRecord` with their new values. A session that moves to another profile leaves
                its project and loses its links to a parent and to forks.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            StaleSessionError: fields or documents changed after `expected_revision`.
            ProjectNotFoundError: the profile has no such project.
            InvalidInputError: a field is not valid, no field is named, or the revision is not a whole number.
        """
        checked = session_changes(changes)
        if not checked:
            raise InvalidInputError("Name at least one field to change. Nothing was written.")
        check_flag("touch", touch)
        if expected_revision is not UNCHECKED:
            check_revision(expected_revision)
        profile = self._own_profile(checked.get("profile"))
        with self._transactions.write() as unit:
            lock = _reserved(unit, checked)
            key = self._lock(unit, session_id, lock)
            if expected_revision is not UNCHECKED:
                require_current(key, expected_revision, key.fields_revision, "its fields or documents")
            if profile is not None and profile != key.profile:
                checked = {"project_id": None, "parent_id": None, **checked}
                session_rows.release_children(unit, key)
            values = _resolved(unit, checked, profile or key.profile, key)
            # These values replace the originals of imported values that did not fit their columns.
            written, removed = {}, [file_key(name) for name in checked]
            if "source" in checked:
                written = _source_documents(unit, key, checked["source"])
                removed += session_json.SOURCE_KEYS if checked["source"] is None else ()
            document_rows.write(unit, key.id, key.session_id, written, removed)
            session_rows.change(unit, key, values, fields=True, touch=touch)
            return session_records.get_existing(unit, key.session_id)

    def change_id(self, session_id: str, new_id: str) -> SessionRecord:
        """Change the public id of a session, and return it. The old id is never used for another session.

        Args:
            session_id: the present id.
            new_id: the new one: 1 to 128 letters, digits, ``_`` and ``-``.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            SessionExistsError, SessionDeletedError: another session has or had the new id; as in `create`.
            InvalidIdError: an id is not valid.
        """
        new_id = check_id(new_id, "session id")
        with self._transactions.write() as unit:
            session_rows.rename(unit, self._lock(unit, session_id, RowLock.REMOVE), new_id, self._scope)
            return session_records.get_existing(unit, new_id)

    def _filter(  # noqa: PLR0917 - the arguments of `list`, in its order
        self,
        unit: UnitOfWork,
        profile: str | None,
        project_id: str | Literal[Missing.WITHOUT] | None,
        archived: bool | None,
        pinned: bool | None,
        source: str | Literal[Missing.WITHOUT] | None,
        since: float | None,
        until: float | None,
        include_empty: bool,
        order: SessionOrder,
    ) -> ListFilter:
        profile = self._own_profile(profile)
        check_flag("include_empty", include_empty)
        check_tristate("archived", archived)
        check_tristate("pinned", pinned)
        source = check_source(source)
        project: int | Missing | None
        if project_id is None or isinstance(project_id, Missing):
            project = project_id
        else:
            # A project's sessions are all of its profile: naming it is what the index begins with.
            project, profile, _ = project_rows.find(unit, project_id, profile)
        return ListFilter(
            profile=profile,
            project=project,
            archived=archived,
            pinned=pinned,
            source=source,
            order=check_order(order),
            since=None if since is None else check_time(since),
            until=None if until is None else check_time(until),
            include_empty=include_empty,
        )


def _reserved(unit: UnitOfWork, changes: Mapping[str, Any]) -> RowLock:
    """Reserve what changes of a session need, and return the lock of its row that they need."""
    if not changes.keys().isdisjoint({"profile", "parent_id"}):
        unit.reserve(Reserved.SESSIONS)
    return RowLock.REMOVE if "profile" in changes else RowLock.CHANGE


def _resolved(
    unit: UnitOfWork, changes: Mapping[str, Any], profile: str, key: SessionKey | None = None
) -> dict[str, Any]:
    """Return `changes` with row ids in place of public ids; both have to be of `profile`."""
    values = dict(changes)
    if values.get("project_id") is not None:
        values["project_id"], _, _ = project_rows.find(unit, values["project_id"], profile, lock=RowLock.LINK)
    if values.get("parent_id") is not None:
        parent = session_keys.find(unit, values["parent_id"], profile, lock=RowLock.LINK)
        if key is not None and session_keys.descends(unit, parent.id, key.id):
            raise InvalidInputError(
                f"Session {parent.session_id!r} was forked from {key.session_id!r} itself and cannot be its parent. "
                "Nothing was written."
            )
        values["parent_id"] = parent.id
    return values


def _source_documents(unit: UnitOfWork, key: SessionKey, source: str | None) -> dict[str, bytes]:
    """Return the document that says a new source in the session's JSON, if the former one is said by other keys there.

    (These have more meanings than the source: that of a fork says that it is one.)
    """
    first, *others = session_json.SOURCE_KEYS
    try:
        has_others = bool(document_reading.read(unit, key.id, key.session_id, others))
    except DatabaseCorruptError:  # the new source is stored all the same; reading the document reports the damage
        return {}
    return {first: json_codec.encode(source)} if has_others and source is not None else {}
