"""Sessions: create, find, list, change, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Unpack

from .arguments import check_flag, check_tristate
from .collection import UNCHECKED, Unchecked, require_current
from .deletion import Deletion
from .errors import InvalidInputError, SessionNotFoundError
from .forking import Forking
from .pagination import check_limit
from .records import DEFAULT_PROFILE, Missing, Page, SessionOrder, SessionRecord
from .storage import (
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
from .whole_sessions import WholeSessions


class Sessions(Deletion, Forking, WholeSessions):
    """The sessions of a store, or of one profile of it."""

    def create(self, *, session_id: str | None = None, **fields: Unpack[SessionChanges]) -> SessionRecord:
        """Create a session without messages.

        Args:
            session_id: its id; 12 random hexadecimal digits when None.
            **fields: see `SessionRecord`. Without them the title is "Untitled", the profile "default" (or the view's),
                both times are now, and the rest is empty.

        Raises:
            SessionExistsError: the id is taken. (In the view of a profile, also if it was ever used in another one.)
            SessionDeletedError: the id is that of a deleted or purged session.
            ProjectNotFoundError, SessionNotFoundError: the profile has no such project, or parent.
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
            SessionNotFoundError: there is none of this id.
            SessionDeletedError: it is deleted.
        """
        session_id = check_id(session_id, "session id")
        with self._transactions.read_each() as unit:
            record = session_records.get(unit, session_id)
            if record is not None and record.deleted_at is None and self._scope in (None, record.profile):
                return record
            self._find(unit, session_id)  # raises the error that says why
            raise SessionNotFoundError(session_id)

    def get_many(self, session_ids: Iterable[str], *, deleted: bool | None = False) -> dict[str, SessionRecord]:
        """Return those of some sessions that exist, by id.

        Args:
            session_ids: their ids.
            deleted: only those that are (True) or are not (False) deleted; None: both.

        Raises:
            InvalidIdError: one cannot be an id.
            InvalidInputError: an argument is not valid.
        """
        wanted = check_ids(session_ids, "session id")
        if deleted is not None:
            deleted = check_flag("deleted", deleted)
        with self._transactions.read_each() as unit:
            return session_records.get_many(unit, wanted, self._scope, deleted=deleted)

    def exists(self, session_id: str) -> bool:
        """Whether there is a session of this id that is not deleted.

        Raises:
            InvalidIdError: it cannot be an id.
        """
        session_id = check_id(session_id, "session id")
        with self._transactions.read_each() as unit:
            return session_keys.exists(unit, session_id, self._scope)

    def find(self, prefix: str, *, limit: int = 20, deleted: bool | None = False) -> list[str]:
        """Return the ids that begin with a text, in order.

        Args:
            prefix: at least one character.
            limit: the largest number of ids to return, 1 to 1000.
            deleted: only those of sessions that are (True) or are not (False) deleted; None: both.

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
        """Return a page of sessions: pinned ones first, then those with the latest time first.

        Pages are keyset-based: sessions created or deleted between two calls are neither skipped nor repeated. (One
        whose time changes moves to the front.) None as a filter does not filter.

        Args:
            profile: only this profile's.
            project_id: only this project's, or `WITHOUT`: those in no project.
            archived, pinned: only those that are (True) or are not (False) archived or pinned.
            source: only those of this source, or `WITHOUT`: those of the user interface itself. Not together with
                `project_id`.
            since, until: only those whose time, by which they are sorted, is at or after `since`, or before `until`, in
                epoch seconds.
            include_empty: also blank sessions: untitled ones without messages or a stream, older than a minute.
            order: which time they are sorted by: "updated" by `updated_at`, which every write moves; "activity" by
                `last_activity_at`, which only messages move, or by `updated_at` where that is None.
            limit: the largest number of rows to return, 1 to 1000.
            after: `Page.next` of the page before.
            total: count the rows of all pages as well, which takes time that grows with them.

        Raises:
            ProjectNotFoundError: there is no such project.
            InvalidCursorError: `after` is not a cursor of this list, or one of another order.
            InvalidInputError: a filter has a wrong type, or there is no index for the combination.
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
        """Yield every session that `list` shows on all its pages; the arguments are those of `list`."""
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
        """Return how many sessions `list` shows on all its pages; `order` says which time `since` and `until` mean."""
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
        """Change the fields that are named, and no others. Without `expected_revision` the last writer wins.

        Args:
            expected_revision: change nothing if fields or documents changed after this revision of the session.
                (Messages do not count.)
            touch: make this the session's last write, which moves it to the front of lists.
            **changes: see `SessionRecord`. `updated_at` is now unless it is named, or `touch` is False, or stays as it
                is if that is later: a clock that was set back moves no session back. A session that moves to another
                profile leaves its project and its fork links.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            StaleSessionError: fields or documents changed after `expected_revision`.
            ProjectNotFoundError: the profile has no such project.
            InvalidInputError: a field is not valid, nothing was named, or the revision is not a whole number.
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
            document_rows.write(unit, key.id, key.session_id, {}, [file_key(name) for name in checked])
            session_rows.change(unit, key, values, fields=True, touch=touch)
            return session_records.get_existing(unit, key.session_id)

    def change_id(self, session_id: str, new_id: str) -> SessionRecord:
        """Give a session another public id. The old one is never used for another session.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            SessionExistsError, SessionDeletedError: the new id is, or was, another session's; as in `create`.
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
