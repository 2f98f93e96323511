"""A project of hermes-webui: its JSON object, and the columns that are stored of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .. import validation
from ..records import ProjectRecord
from ..transcripts import json_codec
from .session_json import shown, taken


@dataclass(kw_only=True)
class ProjectContent:
    """What is stored of a project."""

    #: The values of the table's columns, but for the profile and the position.
    columns: dict[str, Any]
    #: None in files older than the WebUI's profiles for projects.
    profile: str | None
    #: What did not fit its column, in words for a person.
    notes: list[str] = field(default_factory=list)

    @property
    def project_id(self) -> str:
        return str(self.columns["project_id"])


def from_json(data: Any, index: int) -> ProjectContent | None:
    """Return what is to be stored of a project's JSON object; None when it is not an object.

    Args:
        data: the object. A value that its column cannot hold is kept in `extra`.
        index: its place in the list, from which a project without a valid id gets one.
    """
    if not isinstance(data, dict):
        return None
    extra = dict(data)
    notes: list[str] = []
    columns: dict[str, Any] = {}

    def column(key: str, fits: bool, otherwise: Any) -> None:
        columns[key] = extra.pop(key, otherwise) if fits else otherwise
        if not fits and extra.get(key) is not None:
            notes.append(taken(key, extra[key], otherwise))

    made = hashlib.blake2b(json_codec.encode([index, data]), digest_size=6).hexdigest()
    column("project_id", validation.is_id(data.get("project_id")), made)
    name, color, created = data.get("name"), data.get("color"), data.get("created_at")
    name_fits = isinstance(name, str) and 1 <= len(name) <= validation.PROJECT_NAME_LIMIT
    column("name", name_fits, _similar_name(name))
    column("color", validation.is_color(color), None)
    is_number = isinstance(created, int | float) and not isinstance(created, bool)
    column("created_at", is_number and abs(created or 0) < 1e300, 0.0)  # false for NaN, too
    columns["created_at"] = float(columns["created_at"])
    profile = extra.pop("profile", None)
    if not isinstance(profile, str) or not 1 <= len(profile) <= validation.PROFILE_LIMIT:
        if profile not in (None, ""):
            extra["profile"] = profile
        profile = None
    return ProjectContent(columns={**columns, "extra": extra or None}, profile=profile, notes=notes)


def _similar_name(name: Any) -> str:
    if not name:
        return "Untitled"
    return (name if isinstance(name, str) else shown(name))[: validation.PROJECT_NAME_LIMIT]


_KEYS: Final = ("project_id", "name", "color", "profile", "created_at")


def to_json(project: ProjectRecord) -> dict[str, Any]:
    """Return a project's JSON object, as hermes-webui writes it."""
    return columns_to_json(vars(project))


def columns_to_json(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a project with these columns; as `to_json`."""
    return {**{key: columns[key] for key in _KEYS}, **(columns["extra"] or {})}


def digest(columns: Mapping[str, Any]) -> bytes:
    """Return a digest of a project's columns, to tell whether it changed.

    Neither the position counts nor the profile, which an import may have chosen.
    """
    names = ("project_id", "name", "color", "created_at")
    data = {**{name: columns[name] for name in names}, **(columns["extra"] or {})}
    return json_codec.digest(json_codec.encode({key: data[key] for key in sorted(data) if key != "profile"}))
