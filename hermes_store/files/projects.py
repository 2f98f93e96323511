"""Taking in ``projects.json``: every project once, each in the profile that its sessions are of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, func, insert, select, update

from .. import fields, payload
from ..ledger import remember
from ..records import ProjectRecord
from ..reports import ImportItem, Outcome
from ..tables import DEFAULT_PROFILE, Project
from ..tables import ImportItem as ItemRow
from .directory import PROJECTS, StateDirectory, read_regular
from .image import SessionImage, shown

KIND: Final = "webui-project"


@dataclass(kw_only=True)
class ProjectRow:
    """A project as it is to be stored."""

    columns: dict[str, Any]
    #: As the file says; None in files older than the WebUI's profiles for projects.
    profile: str | None
    notes: list[str] = field(default_factory=list)
    #: The digest that the store remembers of it.
    known: bytes | None = None

    @property
    def project_id(self) -> str:
        return str(self.columns["project_id"])

    @property
    def digest(self) -> bytes:
        """Of all that the file says about it. (Its place in the list is not compared.)"""
        values = {**self.columns, "profile": self.profile, "extra": self.columns["extra"] or {}}
        return _digest(ProjectRecord.model_construct(**values))


class ProjectImport:
    """The projects of one import run.

    A project without a profile (files before the WebUI of 2026-05 have none) gets that of the first session
    that is in it, or "default", because a project and its sessions are always of one profile.
    """

    def __init__(self, directory: StateDirectory, *, prefer: Literal["store", "files"], dry_run: bool) -> None:
        self._directory = directory
        self._prefer = prefer
        self._dry_run = dry_run
        self._items: list[ImportItem] = []
        #: Those that wait for a session to tell their profile.
        self._waiting: dict[str, ProjectRow] = {}
        #: The profiles of those that a dry run would have made.
        self._would_be: dict[str, str] = {}

    def load(self, connection: Connection) -> None:
        """Read the file and take in the projects that name their profile."""
        if not self._directory.projects.exists():
            return
        first = self._first_position(connection)
        seen: set[str] = set()
        for index, data in enumerate(self._read()):
            row = read_row(data, index)
            if row is None:
                reason = f"entry {index} is no project but {shown(data)}"
                self._items.append(ImportItem(path=f"{PROJECTS}[{index}]", outcome=Outcome.FAILED, reason=reason))
                continue
            if row.project_id in seen:
                self._report(row, Outcome.SKIPPED, "the file names it twice; the first one counts")
                continue
            seen.add(row.project_id)
            row.columns["position"] = first + index
            self._take_in(connection, row)

    def link(self, connection: Connection, image: SessionImage) -> int | None:
        """Return the internal id of a session's project; where there is none, let the session remember its name."""
        if image.project_id is None:
            return None
        profile = image.columns["profile"]
        waiting = self._waiting.pop(image.project_id, None)
        if waiting is not None:
            self._create(connection, waiting, profile)
        found = connection.execute(_of_profile, {"project": image.project_id, "of_profile": profile}).scalar()
        if found is None and self._would_be.get(image.project_id) != profile:
            image.documents["project_id"] = payload.encode(image.project_id)
            image.notes.append(f"its project {image.project_id} is not there (in profile {profile!r}); it is in none")
        return found

    def finish(self, connection: Connection) -> list[ImportItem]:
        """Take in the projects that no session told the profile of, and return how all of them ended."""
        for row in self._waiting.values():
            self._create(connection, row, DEFAULT_PROFILE)
        self._waiting.clear()
        return self._items

    def _first_position(self, connection: Connection) -> int:
        """Return where this file's projects begin: behind all others, and again so when an import goes on."""
        own = select(ItemRow.item).where(ItemRow.kind == KIND, ItemRow.origin == self._directory.origin)
        last = connection.execute(select(func.max(Project.position)).where(Project.project_id.not_in(own))).scalar()
        return 0 if last is None else last + 1

    def _read(self) -> list[Any]:
        try:
            data = payload.decode(read_regular(self._directory.projects))
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
        except ValueError as error:
            reason = f"it is damaged: {error}"
        else:
            if isinstance(data, list):
                return data
            reason = "it holds no list of projects"
        self._items.append(ImportItem(path=PROJECTS, outcome=Outcome.FAILED, reason=reason))
        return []

    def _take_in(self, connection: Connection, row: ProjectRow) -> None:
        notes = connection.execute(
            select(ItemRow.origin, ItemRow.digest).where(ItemRow.kind == KIND, ItemRow.item == row.project_id)
        )
        digests = {note.origin: note.digest for note in notes}
        columns = [getattr(Project, name) for name in ProjectRecord.model_fields]
        stored = connection.execute(select(*columns).where(Project.project_id == row.project_id)).one_or_none()
        row.known = digests.get(self._directory.origin)
        if stored is None and digests:
            self._report(row, Outcome.SKIPPED, "it is deleted in the store")
        elif stored is not None:
            current = ProjectRecord.model_construct(**{**stored._mapping, "extra": stored.extra or {}})
            self._reconcile(connection, row, _digest(current))
        elif row.profile:
            self._create(connection, row, row.profile)
        else:
            self._waiting[row.project_id] = row

    def _reconcile(self, connection: Connection, row: ProjectRow, current: bytes) -> None:
        if row.digest == current:
            if row.known != current:
                self._remember(connection, row)
            self._report(row, Outcome.UNCHANGED)
        elif row.digest == row.known:
            self._report(row, Outcome.UNCHANGED)
        elif current != row.known and self._prefer == "store":
            reason = "the store's was changed, too" if row.known else "the store's is not from this file"
            self._report(row, Outcome.CONFLICT, f"{reason}; the store's was kept")
        else:
            if not self._dry_run:
                changed = {key: row.columns[key] for key in ("name", "color", "created_at", "extra")}
                connection.execute(update(Project).where(Project.project_id == row.project_id).values(changed))
            self._remember(connection, row)
            self._report(row, Outcome.UPDATED)

    def _create(self, connection: Connection, row: ProjectRow, profile: str) -> None:
        if self._dry_run:
            self._would_be[row.project_id] = profile
        else:
            connection.execute(insert(Project).values({**row.columns, "profile": profile}))
        self._remember(connection, row)
        if row.profile is None:
            row.notes.append(f"it names no profile; it is in {profile!r}")
        self._report(row, Outcome.IMPORTED)

    def _remember(self, connection: Connection, row: ProjectRow) -> None:
        if not self._dry_run:
            new = row.known is None
            origin = self._directory.origin
            remember(connection, KIND, origin, row.project_id, new=new, digest=row.digest, notes=row.notes)

    def _report(self, row: ProjectRow, outcome: Outcome, reason: str = "") -> None:
        path = f"{PROJECTS}#{row.project_id}"
        item = ImportItem(path=path, outcome=outcome, id=row.project_id, reason=reason, notes=row.notes)
        self._items.append(item)


_of_profile: Final = select(Project.id).where(
    Project.project_id == bindparam("project"), Project.profile == bindparam("of_profile")
)


def to_json(project: ProjectRecord) -> dict[str, Any]:
    """Return a project's JSON object, as hermes-webui writes it."""
    return {
        "project_id": project.project_id,
        "name": project.name,
        "color": project.color,
        "profile": project.profile,
        "created_at": project.created_at,
        **project.extra,
    }


def _digest(project: ProjectRecord) -> bytes:
    """Return the digest of what is compared: not the profile, which the store may have given it."""
    data = to_json(project)
    return payload.digest(payload.encode({key: data[key] for key in sorted(data) if key != "profile"}))


def read_row(data: Any, index: int) -> ProjectRow | None:
    """Return a project's JSON object as columns, originals of what does not fit them in `extra`."""
    if not isinstance(data, dict):
        return None
    extra = dict(data)
    notes: list[str] = []
    columns: dict[str, Any] = {}

    def column(key: str, fits: bool, otherwise: Any) -> None:
        columns[key] = extra.pop(key, otherwise) if fits else otherwise
        if not fits and extra.get(key) is not None:
            notes.append(f"{key} is {shown(extra[key])}, taken as {shown(otherwise)}")

    made = hashlib.blake2b(payload.encode([index, data]), digest_size=6).hexdigest()
    column("project_id", fields.is_id(data.get("project_id")), made)
    name, colour, created = data.get("name"), data.get("color"), data.get("created_at")
    name_fits = isinstance(name, str) and 1 <= len(name) <= fields.PROJECT_NAME_LIMIT
    column(
        "name",
        name_fits,
        (name if isinstance(name, str) else shown(name))[: fields.PROJECT_NAME_LIMIT] if name else "Untitled",
    )
    column("color", fields.is_color(colour), None)
    number = isinstance(created, int | float) and not isinstance(created, bool)
    column("created_at", number and abs(created or 0) < 1e300, 0.0)  # false for NaN, too
    columns["created_at"] = float(columns["created_at"])
    profile = extra.pop("profile", None)
    if not isinstance(profile, str) or not 1 <= len(profile) <= fields.PROFILE_LIMIT:
        if profile not in (None, ""):
            extra["profile"] = profile
        profile = None
    return ProjectRow(columns={**columns, "extra": extra or None}, profile=profile, notes=notes)
