"""Projects: names under which sessions are grouped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Unpack

from .collection import Collection
from .errors import InvalidInputError, ProjectNotFoundError
from .pagination import check_limit
from .records import DEFAULT_PROFILE, Page, ProjectRecord
from .results import ProjectDeletion
from .storage import project_rows
from .storage.row_locks import Reserved, RowLock
from .storage.unit_of_work import UnitOfWork
from .validation import ProjectChanges, check_id, check_ids, check_time, project_changes

#: How many sessions leave a project in one transaction. Other writers wait meanwhile, some 20 ms on SQLite.
_RELEASED_AT_ONCE = 500


class Projects(Collection):
    """The projects of a store, or of one profile of it."""

    def create(
        self,
        *,
        name: str,
        color: str | None = None,
        profile: str | None = None,
        project_id: str | None = None,
        created_at: float | None = None,
    ) -> ProjectRecord:
        """Create a project, and return it. It is the last one in the order of its profile.

        Args:
            name: 1 to 128 characters.
            color: ``#`` and three to eight hexadecimal digits, or None.
            profile: "default", or the profile of the view, when None.
            project_id: its id; 12 random hexadecimal digits when None.
            created_at: epoch seconds; now when None.

        Raises:
            ProjectExistsError: the id is in use.
            InvalidInputError: a value is not valid.
        """
        values = {**project_changes({"name": name, "color": color})}
        project_id = uuid.uuid4().hex[:12] if project_id is None else check_id(project_id, "project id")
        profile = self._own_profile(profile) or DEFAULT_PROFILE
        values |= {"project_id": project_id, "profile": profile}
        values["created_at"] = time.time() if created_at is None else check_time(created_at)
        with self._transactions.write() as unit:
            unit.reserve(Reserved.PROJECTS)
            project_rows.add(unit, {**values, "position": project_rows.next_position(unit, profile)})
            return self._get(unit, project_id)

    def get(self, project_id: str) -> ProjectRecord:
        """Return a project.

        Raises:
            ProjectNotFoundError: no project has this id (in this profile).
        """
        with self._transactions.read() as unit:
            return self._get(unit, project_id)

    def list(self, *, profile: str | None = None, limit: int = 1000, after: str | None = None) -> Page[ProjectRecord]:
        """Return a page of projects, sorted by profile and then by their positions.

        Args:
            profile: only projects of this profile; all when None.
            limit: the largest number of projects to return, 1 to 1000.
            after: `Page.next` of the previous page.

        Raises:
            InvalidCursorError: `after` is not a cursor of this list.
            InvalidInputError: an argument is not valid.
        """
        limit = check_limit(limit)
        profile = self._own_profile(profile)
        with self._transactions.read() as unit:
            items, more = project_rows.page(unit, profile, limit, after)
        return Page[ProjectRecord].from_trusted({"items": items, "next": more, "total": None})

    def rename(self, project_id: str, name: str) -> ProjectRecord:
        """Change the name of a project, and return it. The errors are those of `update`."""
        return self.update(project_id, name=name)

    def update(self, project_id: str, **changes: Unpack[ProjectChanges]) -> ProjectRecord:
        """Change the named fields of a project, and return it.

        Args:
            project_id: the project.
            **changes: `name`, `color`, or both, as in `create`.

        Raises:
            ProjectNotFoundError: no project has this id (in this profile).
            InvalidInputError: a value is not valid, or no field is named.
        """
        checked = project_changes(changes)
        if not checked:
            raise InvalidInputError("Name at least one field to change. Nothing was written.")
        with self._transactions.write() as unit:
            project_id = check_id(project_id, "project id")
            _, _, extra = project_rows.find(unit, project_id, self._scope, lock=RowLock.CHANGE)
            # The new value replaces the original of an imported value that did not fit its column.
            kept = {key: value for key, value in (extra or {}).items() if key not in checked}
            project_rows.change(unit, project_id, {**checked, "extra": kept or None})
            return self._get(unit, project_id)

    def reorder(self, project_ids: Sequence[str], *, profile: str | None = None) -> None:
        """Change the order of the projects of a profile.

        Args:
            project_ids: the ids of all projects of the profile, each once, in the new order.
            profile: "default", or the profile of the view, when None.

        Raises:
            InvalidInputError: a project is missing, of another profile, or named twice. The order is not changed.
        """
        wanted = check_ids(project_ids, "project id")
        profile = self._own_profile(profile) or DEFAULT_PROFILE
        with self._transactions.write() as unit:
            unit.reserve(Reserved.PROJECTS)
            known = dict(project_rows.positions(unit, profile))
            if sorted(known) != sorted(wanted):
                raise InvalidInputError(
                    f"Name each project of profile {profile!r} exactly once. The order is as it was."
                )
            moved = {key: position for position, key in enumerate(wanted) if known[key] != position}
            project_rows.set_positions(unit, moved)

    def delete(self, project_id: str) -> ProjectDeletion:
        """Delete a project. Its sessions are kept, and are in no project then.

        The sessions of a large project are taken out of it in several transactions, so that other writers wait for a
        short time only. After an interruption the project still exists, with the remaining sessions. Call it again to
        continue. Inside `Store.transaction` everything is one transaction.

        Raises:
            ProjectNotFoundError: no project has this id (in this profile).
        """
        released = 0
        while True:
            with self._transactions.write() as unit:
                row_id, _, _ = project_rows.find(unit, project_id, self._scope, lock=RowLock.REMOVE)
                some = project_rows.release_members(unit, row_id, _RELEASED_AT_ONCE)
                released += some
                if some < _RELEASED_AT_ONCE and not project_rows.has_members(unit, row_id):
                    project_rows.remove(unit, row_id)
                    return ProjectDeletion(project_id=check_id(project_id), released=released)
            if some < _RELEASED_AT_ONCE:  # the others are locked by writers, who may wait for the project
                with self._transactions.write() as unit:
                    project_rows.wait_for_member(unit, row_id)

    def _get(self, unit: UnitOfWork, project_id: str) -> ProjectRecord:
        project_id = check_id(project_id, "project id")
        record = project_rows.get(unit, project_id)
        if record is None or self._scope not in (None, record.profile):
            raise ProjectNotFoundError(project_id)
        return record
