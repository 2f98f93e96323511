"""Sessions: create, find, list, change, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Unpack

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import ledger, listing, rows
from .collection import Collection, SessionKey, descends, find, live, require_free, touch
from .errors import (
    InvalidInputError,
    ProjectNotFoundError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
)
from .fields import SessionChanges, check_id, file_key, session_changes
from .listing import ANY, BLANK_SECONDS, AnyValue, SessionFilter
from .records import Page, SessionRecord
from .tables import BLANK, DEFAULT_PROFILE, Project, RetiredId, Session


class Sessions(Collection):
    """The sessions of a store, or of one profile of it."""

    def create(self, *, session_id: str | None = None, **fields: Unpack[SessionChanges]) -> SessionRecord:
        """Create a session without messages.

        Args:
            session_id: its id; one of 12 hexadecimal digits is made up when there is none.
            **fields: see `SessionRecord`. Left out: the title is "Untitled", the profile "default" (or the
                view's), both times are now, and the rest is empty.

        Raises:
            SessionExistsError: the id is taken.
            SessionDeletedError: the id is a deleted session's; deleted stays deleted.
            ProjectNotFoundError, SessionNotFoundError: the profile has no such project, or parent.
            InvalidInputError: a field does not fit.
        """
        changes = session_changes(fields)
        if session_id is not None:
            check_id(session_id, "session id")
        now = time.time()
        profile = self._own_profile(changes.get("profile")) or DEFAULT_PROFILE
        with self._unit.write() as connection:
            if session_id is None:
                session_id = uuid.uuid4().hex[:12]
            require_free(connection, session_id)
            values = {"created_at": now, "updated_at": now, **self._resolved(connection, changes, profile)}
            values |= {"session_id": session_id, "profile": profile}
            try:
                connection.execute(insert(Session).values(values))
            except IntegrityError as error:  # another process took the id since it was found free
                raise SessionExistsError(session_id) from error
            return _record(connection, session_id)

    def get(self, session_id: str) -> SessionRecord:
        """Return a session.

        Raises:
            SessionNotFoundError: there is none of this id.
            SessionDeletedError: it is deleted.
        """
        check_id(session_id, "session id")
        with self._unit.read() as connection:
            row = connection.execute(listing.record_query.where(Session.session_id == session_id)).one_or_none()
            if row is not None and row.deleted_at is None and self._scope in (None, row.profile):
                return listing.to_record(row)
            live(find(connection, session_id, self._scope))
            raise SessionNotFoundError(session_id)

    def exists(self, session_id: str) -> bool:
        """Whether there is a session of this id that is not deleted."""
        with self._unit.read() as connection:
            try:
                self._find(connection, session_id)
            except (SessionNotFoundError, SessionDeletedError):
                return False
            return True

    def list(
        self,
        *,
        profile: str | None = None,
        project_id: str | Literal[AnyValue.ANY] | None = ANY,
        archived: bool | None = None,
        pinned: bool | None = None,
        source: str | Literal[AnyValue.ANY] | None = ANY,
        include_empty: bool = False,
        limit: int = 50,
        after: str | None = None,
        total: bool = False,
    ) -> Page[SessionRecord]:
        """Return a page of sessions: pinned ones first, then the last written first.

        A page begins behind the last row of the page before, so that sessions which come and go meanwhile
        make it neither skip nor repeat another. (A session that is written to moves to the front.)

        Args:
            profile: only this profile's; all when None.
            project_id: only this project's; those without a project when None.
            archived, pinned: only those that are (True) or are not (False); both when None.
            source: only those from there; the user interface's own when None.
            include_empty: also untitled sessions without messages or a stream that are older than a minute.
            limit: at most so many rows, 1 to 1000.
            after: `Page.next` of the page before.
            total: count all pages' rows as well, which takes time that grows with them.

        Raises:
            ProjectNotFoundError: there is no such project.
            InvalidCursorError: `after` is not a cursor of this list.
        """
        with self._unit.read() as connection:
            wanted = self._filter(connection, profile, project_id, archived, pinned, source, include_empty)
            page = listing.list_page(connection, wanted, limit, after)
            if not total:
                return page
            return page.model_copy(update={"total": listing.count(connection, wanted)})

    def iterate(self, *, include_empty: bool = True, **filters: Any) -> Iterator[SessionRecord]:
        """Yield every session that `list` would show with the same filters, page by page."""
        after = None
        while True:
            page = self.list(include_empty=include_empty, limit=500, after=after, **filters)
            yield from page.items
            after = page.next
            if after is None:
                return

    def list_deleted(
        self, *, profile: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of the deleted sessions that can be restored, the last deleted first."""
        with self._unit.read() as connection:
            return listing.deleted_page(connection, self._own_profile(profile), limit, after)

    def count(
        self,
        *,
        profile: str | None = None,
        project_id: str | Literal[AnyValue.ANY] | None = ANY,
        archived: bool | None = None,
        pinned: bool | None = None,
        source: str | Literal[AnyValue.ANY] | None = ANY,
        include_empty: bool = False,
    ) -> int:
        """Return how many sessions `list` would show on all its pages."""
        with self._unit.read() as connection:
            wanted = self._filter(connection, profile, project_id, archived, pinned, source, include_empty)
            return listing.count(connection, wanted)

    def update(
        self, session_id: str, *, expected_revision: int | None = None, **changes: Unpack[SessionChanges]
    ) -> SessionRecord:
        """Change the fields that are named, and no other.

        Args:
            expected_revision: change nothing unless the session is still at this revision.
            **changes: see `SessionRecord`. `updated_at` is now unless it is named. A session that moves to
                another profile leaves its project and its fork links behind.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            StaleSessionError: it is at another revision.
            ProjectNotFoundError: the profile has no such project.
            InvalidInputError: a field does not fit, or nothing was named.
        """
        checked = session_changes(changes)
        if not checked:
            raise InvalidInputError("Name at least one field to change. Nothing was written.")
        profile = self._own_profile(checked.get("profile"))
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            if profile is not None and profile != key.profile:
                checked = {"project_id": None, "parent_id": None, **checked}
                connection.execute(update(Session).where(Session.parent_id == key.id).values(parent_id=None))
            values = self._resolved(connection, checked, profile or key.profile, key)
            # Imported originals of values that did not fit their columns give way to these new values.
            rows.remove_documents(connection, key.id, map(file_key, checked))
            touch(connection, key, **values)
            return _record(connection, session_id)

    def change_id(self, session_id: str, new_id: str) -> SessionRecord:
        """Give a session another public id. The old one never means another session again.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
        """
        check_id(new_id, "session id")
        with self._unit.write() as connection:
            key = self._lock(connection, session_id)
            connection.execute(  # going back to an id that was its own
                delete(RetiredId).where(RetiredId.session_id == new_id, RetiredId.successor_id == key.id)
            )
            require_free(connection, new_id)
            try:
                revision = touch(connection, key, session_id=new_id)
            except IntegrityError as error:
                raise SessionExistsError(new_id) from error
            _retire(connection, session_id, successor=key.id)
            ledger.follow(connection, key.id, key.revision, revision)
            return _record(connection, new_id)

    def delete(self, session_id: str) -> None:
        """Delete a session: it leaves every list and refuses every write until it is restored.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
        """
        with self._unit.write() as connection:
            key = self._lock(connection, session_id)
            touch(connection, key, deleted_at=time.time(), updated_at=key.updated_at)

    def restore(self, session_id: str) -> SessionRecord:
        """Bring a deleted session back as it was; one that is not deleted stays as it is.

        Raises:
            SessionNotFoundError: there is none of this id (any more).
        """
        with self._unit.write() as connection:
            key = find(connection, session_id, self._scope, lock=True)
            if key.deleted_at is not None:
                touch(connection, key, deleted_at=None, updated_at=key.updated_at)
            return _record(connection, session_id)

    def purge(self, session_id: str) -> None:
        """Remove a session, deleted or not, for good: messages and all. Its id is not used again.

        Raises:
            SessionNotFoundError: there is none of this id.
        """
        with self._unit.write() as connection:
            key = find(connection, session_id, self._scope, lock=True)
            connection.execute(delete(Session).where(Session.id == key.id))
            _retire(connection, session_id, successor=None)

    def delete_empty(
        self, *, profile: str | None = None, untitled_only: bool = True, older_than: float = BLANK_SECONDS
    ) -> tuple[str, ...]:
        """Delete the sessions without messages, and return their ids.

        Args:
            profile: only this profile's; all when None.
            untitled_only: leave those that have a title, or a stream at work.
            older_than: leave those written to in the last so many seconds.
        """
        now = time.time()
        conditions = [BLANK if untitled_only else (Session.message_count == 0) & Session.deleted_at.is_(None)]
        profile = self._own_profile(profile)
        if profile is not None:
            conditions.append(Session.profile == profile)
        with self._unit.write() as connection:
            emptied = connection.execute(
                update(Session)
                .where(*conditions, Session.updated_at <= now - older_than)
                .values(deleted_at=now, revision=Session.revision + 1)
                .returning(Session.session_id)
            )
            return tuple(sorted(emptied.scalars()))

    def _filter(  # noqa: PLR0917 - the arguments of `list`, in its order
        self,
        connection: Connection,
        profile: str | None,
        project_id: str | Literal[AnyValue.ANY] | None,
        archived: bool | None,
        pinned: bool | None,
        source: str | Literal[AnyValue.ANY] | None,
        include_empty: bool,
    ) -> SessionFilter:
        profile = self._own_profile(profile)
        for name, flag in (("archived", archived), ("pinned", pinned)):
            if not (flag is None or isinstance(flag, bool)):
                raise InvalidInputError(f"{name} is True, False or None, not {flag!r}. Nothing was read.")
        if not (source is ANY or source is None or isinstance(source, str)):
            raise InvalidInputError(f"source is text, None or ANY, not {source!r}. Nothing was read.")
        project: int | Literal[AnyValue.ANY] | None = ANY
        if project_id is None:
            project = None
        elif project_id is not ANY:
            check_id(project_id, "project id")
            row = _project(connection, project_id, profile)
            # A project's sessions are all of its profile: naming it is what the index begins with.
            project, profile = row.id, row.profile
        return SessionFilter(
            profile=profile,
            project=project,
            archived=archived,
            pinned=pinned,
            source=source,
            include_empty=include_empty,
        )

    def _resolved(
        self, connection: Connection, changes: Mapping[str, Any], profile: str, key: SessionKey | None = None
    ) -> dict[str, Any]:
        """Return `changes` with internal ids in the place of public ones, both of `profile`."""
        values = dict(changes)
        if values.get("project_id") is not None:
            values["project_id"] = _project(connection, values["project_id"], profile).id
        if values.get("parent_id") is not None:
            parent = find(connection, values["parent_id"], profile)
            if key is not None and descends(connection, parent.id, key.id):
                raise InvalidInputError(
                    f"Session {parent.session_id!r} comes from {key.session_id!r} itself and cannot be its parent. "
                    "Nothing was written."
                )
            values["parent_id"] = parent.id
        return values


def _record(connection: Connection, session_id: str) -> SessionRecord:
    return listing.to_record(connection.execute(listing.record_query.where(Session.session_id == session_id)).one())


def _project(connection: Connection, project_id: str, profile: str | None) -> Any:
    row = connection.execute(select(Project.id, Project.profile).where(Project.project_id == project_id)).one_or_none()
    if row is None or profile not in (None, row.profile):
        raise ProjectNotFoundError(project_id)
    return row


def _retire(connection: Connection, session_id: str, successor: int | None) -> None:
    connection.execute(insert(RetiredId).values(session_id=session_id, successor_id=successor, retired_at=time.time()))
