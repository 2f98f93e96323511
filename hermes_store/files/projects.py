"""Taking in ``projects.json``: every project once, each in the profile that its sessions are of."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from .. import fields, payload
from ..records import ProjectRecord
from ..tables import DEFAULT_PROFILE, Project
from ..tables import ImportItem as ItemRow
from .directory import PROJECTS, StateDirectory
from .image import SessionImage
from .ledger import remember
from .report import ImportItem, Outcome

KIND: Final = "webui-project"


@dataclass(kw_only=True)
class _Row:
    """A project as it is to be stored."""

    columns: dict[str, Any]
    #: As the file says; None in files older than the WebUI's profiles for projects.
    profile: str | None
    notes: list[str] = field(default_factory=list)

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

    def __init__(self, directory: StateDirectory, *, dry_run: bool) -> None:
        self._directory = directory
        self._dry_run = dry_run
        self._items: list[ImportItem] = []
        #: Those that wait for a session to tell their profile.
        self._waiting: dict[str, _Row] = {}

    def load(self, connection: Connection) -> None:
        """Read the file and take in the projects that name their profile."""
        if not self._directory.projects.exists():
            return
        base = connection.execute(select(func.max(Project.position))).scalar()
        first = 0 if base is None else base + 1
        seen: set[str] = set()
        for index, data in enumerate(self._read()):
            row = _read_row(data, index)
            if row is None:
                self._report(f"{index}", Outcome.FAILED, reason=f"entry {index} is no project but {_shown(data)}")
                continue
            if row.project_id in seen:
                self._report(row.project_id, Outcome.SKIPPED, reason="the file names it twice; the first one counts")
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
        found = connection.execute(
            select(Project.id).where(Project.project_id == image.project_id, Project.profile == profile)
        ).scalar()
        if found is None:
            image.documents["project_id"] = payload.encode(image.project_id)
            image.notes.append(f"its project {image.project_id} is not there (in profile {profile!r}); it is in none")
        return found

    def finish(self, connection: Connection) -> list[ImportItem]:
        """Take in the projects that no session told the profile of, and return how all of them ended."""
        for row in self._waiting.values():
            self._create(connection, row, DEFAULT_PROFILE)
        self._waiting.clear()
        return self._items

    def _read(self) -> list[Any]:
        try:
            data = payload.decode(self._directory.projects.read_bytes())
        except OSError as error:
            self._report("", Outcome.FAILED, reason=f"it cannot be read: {error.strerror}")
        except ValueError as error:
            self._report("", Outcome.FAILED, reason=f"it is damaged: {error}")
        else:
            if isinstance(data, list):
                return data
            self._report("", Outcome.FAILED, reason="it holds no list of projects")
        return []

    def _take_in(self, connection: Connection, row: _Row) -> None:
        known = connection.execute(
            select(ItemRow.digest).where(
                ItemRow.kind == KIND, ItemRow.origin == self._directory.origin, ItemRow.item == row.project_id
            )
        ).scalar()
        columns = [getattr(Project, name) for name in ProjectRecord.model_fields]
        stored = connection.execute(select(*columns).where(Project.project_id == row.project_id)).one_or_none()
        if stored is None and known is not None:
            self._report(row.project_id, Outcome.SKIPPED, row, reason="it is deleted in the store")
        elif stored is None:
            self._create(connection, row, row.profile) if row.profile else self._wait(row)
        else:
            current = ProjectRecord.model_construct(**{**stored._mapping, "extra": stored.extra or {}})
            self._reconcile(connection, row, known, _digest(current))

    def _wait(self, row: _Row) -> None:
        self._waiting[row.project_id] = row

    def _reconcile(self, connection: Connection, row: _Row, known: bytes | None, current: bytes) -> None:
        if row.digest in (known, current):
            self._remember(connection, row) if row.digest == current else None
            self._report(row.project_id, Outcome.UNCHANGED, row)
        elif current != known:
            reason = "the store's was changed, too, and was kept" if known else "the store's is another, and was kept"
            self._report(row.project_id, Outcome.CONFLICT, row, reason=reason)
        else:
            if not self._dry_run:
                changed = {key: row.columns[key] for key in ("name", "color", "created_at", "extra")}
                connection.execute(update(Project).where(Project.project_id == row.project_id).values(changed))
            self._remember(connection, row)
            self._report(row.project_id, Outcome.UPDATED, row)

    def _create(self, connection: Connection, row: _Row, profile: str) -> None:
        if not self._dry_run:
            connection.execute(insert(Project).values({**row.columns, "profile": profile}))
        self._remember(connection, row)
        if row.profile is None:
            row.notes.append(f"it names no profile; it is in {profile!r}")
        self._report(row.project_id, Outcome.IMPORTED, row)

    def _remember(self, connection: Connection, row: _Row) -> None:
        if self._dry_run:
            return
        this = {"kind": KIND, "origin": self._directory.origin, "item": row.project_id}
        remember(connection, this, {"digest": row.digest, "imported_at": time.time(), "notes": row.notes or None})

    def _report(self, project_id: str, outcome: Outcome, row: _Row | None = None, reason: str = "") -> None:
        path = f"{PROJECTS}#{project_id}" if project_id else PROJECTS
        notes = row.notes if row else []
        self._items.append(ImportItem(path=path, outcome=outcome, id=project_id or None, reason=reason, notes=notes))


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


def _read_row(data: Any, index: int) -> _Row | None:
    """Return a project's JSON object as columns, originals of what does not fit them in `extra`."""
    if not isinstance(data, dict):
        return None
    extra = dict(data)
    notes: list[str] = []
    columns: dict[str, Any] = {}

    def column(key: str, fits: bool, otherwise: Any) -> None:
        columns[key] = extra.pop(key, otherwise) if fits else otherwise
        if not fits and extra.get(key) is not None:
            notes.append(f"{key} is {_shown(extra[key])}, taken as {_shown(otherwise)}")

    made = hashlib.blake2b(payload.encode([index, data]), digest_size=6).hexdigest()
    column("project_id", fields.is_id(data.get("project_id")), made)
    name, colour, created = data.get("name"), data.get("color"), data.get("created_at")
    name_fits = isinstance(name, str) and 1 <= len(name) <= fields.PROJECT_NAME_LIMIT
    column("name", name_fits, str(name)[: fields.PROJECT_NAME_LIMIT] if name else "Untitled")
    column("color", fields.is_color(colour), None)
    number = isinstance(created, int | float) and not isinstance(created, bool)
    column("created_at", number and abs(created or 0) < 1e300, 0.0)  # false for NaN, too
    columns["created_at"] = float(columns["created_at"])
    profile = extra.pop("profile", None)
    if not isinstance(profile, str) or not 1 <= len(profile) <= fields.PROFILE_LIMIT:
        if profile not in (None, ""):
            extra["profile"] = profile
        profile = None
    return _Row(columns={**columns, "extra": extra or None}, profile=profile, notes=notes)


def _shown(value: Any) -> str:
    text = payload.encode(value).decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:57]}…"
