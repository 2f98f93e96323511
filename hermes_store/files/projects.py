"""Import of ``projects.json``: every project once, each in the profile of its sessions."""

from __future__ import annotations

from typing import Any, Final, Literal

from ..errors import ProjectExistsError
from ..outcomes import ItemKind, Outcome
from ..records import DEFAULT_PROFILE
from ..reports import ImportItem
from ..storage import import_log, project_rows
from ..storage.unit_of_work import REFUSED_VALUES, UnitOfWork, why_refused
from ..transcripts import json_codec
from ..webui_format import project_json
from ..webui_format.project_json import ProjectContent
from ..webui_format.session_json import SessionContent, shown
from .directory import PROJECTS, StateDirectory, read_regular

#: The projects' kind in the import log.
KIND: Final = import_log.PROJECT

_CHANGEABLE: Final = ("name", "color", "created_at", "extra")


class ProjectImporter:
    """The projects of one import.

    A project without a profile (files before the WebUI of 2026-05 have none) gets that of the newest session
    in it, which is imported first, or "default", because a project and its sessions are always of one profile.
    """

    def __init__(self, directory: StateDirectory, *, prefer: Literal["store", "files"], dry_run: bool) -> None:
        self._directory = directory
        self._prefer = prefer
        self._dry_run = dry_run
        self._items: list[ImportItem] = []
        #: Those without a profile, until a session that is in them is imported.
        self._waiting: dict[str, ProjectContent] = {}
        #: In a dry run: the profiles of the projects that an import would create.
        self._simulated: dict[str, str] = {}
        #: In a dry run: whether an import would write.
        self.would_write = False

    def load(self, unit: UnitOfWork) -> None:
        """Read the file and import the projects that have a profile."""
        if not self._directory.projects.exists():
            return
        first = project_rows.next_position_for_import(unit, KIND, self._directory.origin)
        seen: set[str] = set()
        for index, data in enumerate(self._read()):
            project = project_json.from_json(data, index)
            if project is None:
                reason = f"entry {index} is no project but {shown(data)}"
                self._add_item(f"{PROJECTS}[{index}]", Outcome.FAILED, reason)
                continue
            if project.project_id in seen:
                self._report(project, Outcome.SKIPPED, "the file names it twice; the first one counts")
                continue
            seen.add(project.project_id)
            project.columns["position"] = first + index
            self._import(unit, project, project.profile)

    def link(self, unit: UnitOfWork, session: SessionContent) -> int | None:
        """Return the row id of a session's project.

        If there is no such project, None is returned, and the project's id is added to the session's documents.
        """
        project_id = session.project_id
        if project_id is None:
            return None
        profile = session.columns["profile"]
        waiting = self._waiting.pop(project_id, None)
        if waiting is not None:
            self._import(unit, waiting, profile)  # again, as another import may have been faster
        found = project_rows.find_link_target(unit, project_id, profile)
        if found is None and self._simulated.get(project_id) != profile:
            session.documents["project_id"] = json_codec.encode(project_id)
            session.notes.append(f"its project {project_id} is not there (in profile {profile!r}); it is in none")
        return found

    @property
    def are_waiting(self) -> bool:
        """Whether there are projects without a profile that no session is in yet."""
        return bool(self._waiting)

    def finish(self, unit: UnitOfWork) -> None:
        """Import the projects without a profile that no session is in."""
        for project in self._waiting.values():
            self._import(unit, project, DEFAULT_PROFILE)
        self._waiting.clear()

    @property
    def items(self) -> list[ImportItem]:
        """The reports on all projects."""
        return self._items

    def _read(self) -> list[Any]:
        try:
            data = json_codec.decode(read_regular(self._directory.projects))
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
        except ValueError as error:
            reason = f"it is damaged: {error}"
        else:
            if isinstance(data, list):
                return data
            reason = "it holds no list of projects"
        self._add_item(PROJECTS, Outcome.FAILED, reason)
        return []

    def _import(self, unit: UnitOfWork, project: ProjectContent, profile: str | None) -> None:
        """Import a project.

        Args:
            profile: the one it is to be in; None if that is not known yet.
        """
        recorded = import_log.digests(unit, KIND, project.project_id)
        stored = project_rows.values(unit, project.project_id)
        if stored is not None:
            imported = recorded.get(self._directory.origin)
            self._reconcile(unit, project, project_json.digest(stored), imported)
        elif recorded:
            self._report(project, Outcome.SKIPPED, "it is deleted in the store")
        elif profile:
            self._create(unit, project, profile)
        else:
            self._waiting[project.project_id] = project

    def _reconcile(self, unit: UnitOfWork, project: ProjectContent, stored: bytes, imported: bytes | None) -> None:
        """Bring the store's project up to the file's, as far as that is right.

        Args:
            stored: the digest of what the store has.
            imported: the digest of what was imported last; None when it was not imported from this directory.
        """
        digest = project_json.digest(project.columns)
        if digest == stored:
            if imported != stored:
                self._record(unit, project, new=imported is None)
            self._report(project, Outcome.UNCHANGED)
        elif digest == imported:
            self._report(project, Outcome.UNCHANGED)
        elif stored != imported and self._prefer == "store":
            reason = "the store's was changed, too" if imported else "the store's is not from this file"
            self._report(project, Outcome.CONFLICT, f"{reason}; the store's was kept")
        else:
            if not self._dry_run:
                changes = {name: project.columns[name] for name in _CHANGEABLE}
                project_rows.change(unit, project.project_id, changes)
            self._record(unit, project, new=imported is None)
            self._report(project, Outcome.UPDATED)

    def _create(self, unit: UnitOfWork, project: ProjectContent, profile: str) -> None:
        if project.profile is None:
            project.notes.append(f"it names no profile; it is in {profile!r}")
        try:
            self._add(unit, project, profile)
        except (*REFUSED_VALUES, ProjectExistsError) as error:  # the others are not to fail because of this one
            self._report(project, Outcome.FAILED, why_refused(error))
        else:
            self._report(project, Outcome.IMPORTED)

    def _add(self, unit: UnitOfWork, project: ProjectContent, profile: str) -> None:
        if self._dry_run:
            self.would_write = True
            self._simulated[project.project_id] = profile
            return
        with unit.savepoint():
            project_rows.add(unit, {**project.columns, "profile": profile})
            self._record(unit, project, new=True)

    def _record(self, unit: UnitOfWork, project: ProjectContent, *, new: bool) -> None:
        self.would_write = True
        if not self._dry_run:
            digest = project_json.digest(project.columns)
            origin = self._directory.origin
            import_log.record(unit, KIND, origin, project.project_id, new=new, digest=digest, notes=project.notes)

    def _report(self, project: ProjectContent, outcome: Outcome, reason: str = "") -> None:
        self._add_item(f"{PROJECTS}#{project.project_id}", outcome, reason, project)

    def _add_item(self, path: str, outcome: Outcome, reason: str, project: ProjectContent | None = None) -> None:
        self._items.append(
            ImportItem(
                kind=ItemKind.PROJECT,
                path=path,
                outcome=outcome,
                id=None if project is None else project.project_id,
                reason=reason,
                notes=[] if project is None else project.notes,
            )
        )
