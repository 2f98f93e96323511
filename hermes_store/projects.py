"""Projects: names under which sessions are gathered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, Final, Unpack

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from .collection import Collection
from .errors import InvalidInputError, ProjectExistsError, ProjectNotFoundError
from .fields import ProjectChanges, check_id, check_time, project_changes
from .records import ProjectRecord
from .tables import DEFAULT_PROFILE, Project, Session


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
        """Create a project, last in its profile's order.

        Args:
            name: 1 to 128 characters.
            color: ``#`` and three to eight hexadecimal digits.
            profile: "default" (or the view's) when None.
            project_id: its id; one of 12 hexadecimal digits is made up when there is none.
            created_at: epoch seconds; now when None.

        Raises:
            ProjectExistsError: the id is taken.
            InvalidInputError: a value does not fit.
        """
        values = project_changes({"name": name, "color": color})
        project_id = uuid.uuid4().hex[:12] if project_id is None else check_id(project_id, "project id")
        profile = self._own_profile(profile) or DEFAULT_PROFILE
        values |= {"project_id": project_id, "profile": profile}
        values["created_at"] = time.time() if created_at is None else check_time(created_at)
        with self._unit.write() as connection:
            last = connection.execute(select(func.max(Project.position)).where(Project.profile == profile)).scalar()
            values["position"] = 0 if last is None else last + 1
            try:
                with connection.begin_nested():
                    connection.execute(insert(Project).values(values))
            except IntegrityError as error:
                raise ProjectExistsError(project_id) from error
            return _record(self._row(connection, project_id))

    def get(self, project_id: str) -> ProjectRecord:
        """Return a project.

        Raises:
            ProjectNotFoundError: there is none of this id.
        """
        with self._unit.read() as connection:
            return _record(self._row(connection, project_id))

    def list(self, *, profile: str | None = None) -> Sequence[ProjectRecord]:
        """Return the projects of one profile (all profiles', when None) in their order."""
        profile = self._own_profile(profile)
        query = select(*_COLUMNS).order_by(Project.profile, Project.position, Project.id)
        if profile is not None:
            query = query.where(Project.profile == profile)
        with self._unit.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def rename(self, project_id: str, name: str) -> ProjectRecord:
        """Give a project another name; as `update`."""
        return self.update(project_id, name=name)

    def update(self, project_id: str, **changes: Unpack[ProjectChanges]) -> ProjectRecord:
        """Change a project's name or colour, whichever is named.

        Raises:
            ProjectNotFoundError: there is none of this id.
            InvalidInputError: a value does not fit, or nothing was named.
        """
        checked = project_changes(changes)
        if not checked:
            raise InvalidInputError("Name at least one field to change. Nothing was written.")
        with self._unit.write() as connection:
            row = self._row(connection, project_id, lock=True)
            # An original that did not fit its column is no longer what the project is called.
            extra = {key: value for key, value in (row.extra or {}).items() if key not in checked}
            connection.execute(update(Project).where(Project.id == row.id).values({**checked, "extra": extra or None}))
            return _record(self._row(connection, project_id))

    def reorder(self, project_ids: Sequence[str], *, profile: str | None = None) -> None:
        """Put a profile's projects in another order.

        Args:
            project_ids: each of the profile's projects, once.
            profile: "default" (or the view's) when None.

        Raises:
            InvalidInputError: one is missing, foreign or named twice; the order is as it was.
        """
        profile = self._own_profile(profile) or DEFAULT_PROFILE
        with self._unit.write() as connection:
            known = connection.execute(
                select(Project.project_id).where(Project.profile == profile).with_for_update()
            ).scalars()
            if sorted(known) != sorted(project_ids):
                raise InvalidInputError(
                    f"Name each project of profile {profile!r} exactly once. The order is as it was."
                )
            for position, project_id in enumerate(project_ids):
                connection.execute(update(Project).where(Project.project_id == project_id).values(position=position))

    def delete(self, project_id: str) -> int:
        """Delete a project, and return how many sessions are now without one.

        Raises:
            ProjectNotFoundError: there is none of this id.
        """
        with self._unit.write() as connection:
            row = self._row(connection, project_id, lock=True)
            released = connection.execute(
                update(Session)
                .where(Session.project_id == row.id)
                .values(project_id=None, revision=Session.revision + 1)
            )
            connection.execute(delete(Project).where(Project.id == row.id))
            return released.rowcount

    def _row(self, connection: Connection, project_id: str, *, lock: bool = False) -> Row[Any]:
        check_id(project_id, "project id")
        query = select(Project.id, *_COLUMNS).where(Project.project_id == project_id)
        if self._scope is not None:
            query = query.where(Project.profile == self._scope)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise ProjectNotFoundError(project_id)
        return row


_names: Final = tuple(ProjectRecord.model_fields)
_COLUMNS: Final = tuple(getattr(Project, name) for name in _names)


def _record(row: Row[Any]) -> ProjectRecord:
    values = {name: getattr(row, name) for name in _names}
    return ProjectRecord.model_construct(**{**values, "extra": row.extra or {}})
