"""The WebUI's list of projects: loaded, changed and saved as a whole, of which only the changes are written."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, Final

from ..arguments import items_of
from ..errors import InvalidInputError
from ..projects import Projects
from ..quoting import quoted
from ..records import DEFAULT_PROFILE
from ..storage import document_rows, project_rows, session_rows
from ..storage.engine import Database, Nested
from ..storage.row_locks import Reserved
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import json_codec
from ..transcripts.copying import deep_copy
from ..validation import is_id
from ..webui_format import project_json
from ..webui_format.field_mapping import PROJECT as _KEY

#: More sessions than there are.
_ALL: Final = 2**62

Base = dict[str, dict[str, Any]]


class _Loaded(threading.local):
    """Of each database, the list as this thread loaded it last: what is missing in the one it saves was deleted."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Database, Base] = weakref.WeakKeyDictionary()


_loaded: Final = _Loaded()


def load(database: Database) -> list[dict[str, Any]]:
    """Return all projects in their order."""
    with database.read() as unit:
        found = _stored(unit)
    _loaded.of[database] = _by_id(deep_copy(found))
    return found


def save(database: Database, projects: Sequence[Any], profile: str | None) -> None:
    """Make the projects be these, in this order; what others changed since this thread loaded them stays.

    Args:
        projects: all of them.
        profile: that of a new project which names none.
    """
    given = items_of(projects, "projects", "Nothing was written.")
    wanted = [_identified(project, index) for index, project in enumerate(given)]
    ids = [project[_KEY] for project in wanted]
    if len(set(ids)) < len(ids):
        raise InvalidInputError("The list names a project twice. Nothing was written.")
    with database.write() as unit:
        unit.reserve(*Reserved)
        stored = _by_id(_stored(unit))
        base = _loaded.of.get(database, stored)
        gone = sorted(base.keys() & stored.keys() - set(ids))
        for key in gone:  # all of them before one is locked to be deleted, for which writers of its sessions wait
            release(unit, key)
        for key in gone:
            Projects(Nested(unit)).delete(key)
        for project in wanted:
            key = project[_KEY]
            if key in stored:
                _change(unit, base.get(key, stored[key]), project, stored[key])
            elif key not in base:  # else it was deleted meanwhile, and stays deleted
                _create(unit, project, profile)
        _reorder(unit, _order(ids, base, stored))
        after = _stored(unit)
    _loaded.of[database] = _by_id(after)


def release(unit: UnitOfWork, project_id: str) -> int:
    """Take the sessions out of a project, also those that have its id as a value only, and return how many.

    Args:
        unit: has reserved the sessions.
    """
    wanted = json_codec.encode(project_id)
    naming = [row_id for row_id, payload in document_rows.sessions_with(unit, _KEY) if payload == wanted]
    if naming:
        document_rows.remove_rows(unit, naming, _KEY)
    released = session_rows.release_rows(unit, naming)
    row_id = project_rows.row_id_of(unit, project_id) if is_id(project_id) else None
    if row_id is None:
        return released
    released += project_rows.release_members(unit, row_id, _ALL)
    while project_rows.has_members(unit, row_id):
        project_rows.wait_for_member(unit, row_id)
        released += project_rows.release_members(unit, row_id, _ALL)
    return released


def _order(ids: list[str], base: Base, stored: Base) -> list[str]:
    """Return the order to put projects in: that of the list, or the stored one where the list moved nothing."""
    named = set(ids)
    unmoved = [key for key in base if key in named]
    return [*stored, *(key for key in ids if key not in stored)] if ids[: len(unmoved)] == unmoved else ids


def _by_id(projects: Sequence[dict[str, Any]]) -> Base:
    return {project[_KEY]: project for project in projects}


def _identified(project: Any, index: int) -> dict[str, Any]:
    """Return a project with an id: its own, or one that is made of its content."""
    if not isinstance(project, dict):
        raise InvalidInputError(f"A project is a JSON object, not {quoted(project)}. Nothing was written.")
    plain = json_codec.decode(json_codec.encode(project, f"project {index}"))  # whatever its values derive from
    content = project_json.from_json(plain, index)
    assert content is not None, "it is an object"  # noqa: S101
    return {**plain, _KEY: content.project_id}


def _stored(unit: UnitOfWork) -> list[dict[str, Any]]:
    return [_shown(columns) for columns in project_rows.all_in_order(unit)]


def _shown(columns: dict[str, Any]) -> dict[str, Any]:
    """Return a project's object. One of the default profile names none, as in the WebUI before projects had any."""
    shown = project_json.columns_to_json(columns)
    if shown["profile"] == DEFAULT_PROFILE:
        del shown["profile"]
    return shown


def _change(unit: UnitOfWork, base: dict[str, Any], local: dict[str, Any], stored: dict[str, Any]) -> None:
    """Write those values of a project that differ from what was loaded."""
    keys = base.keys() | local.keys()
    changed = {key for key in keys if json_codec.encode(base.get(key)) != json_codec.encode(local.get(key))}
    if not changed:
        return
    if (local.get("profile") or DEFAULT_PROFILE) != (stored.get("profile") or DEFAULT_PROFILE):
        raise InvalidInputError(f"Project {local[_KEY]!r} cannot move to another profile. Nothing was written.")
    merged = {key: value for key, value in stored.items() if key not in changed}
    content = project_json.from_json(merged | {key: local[key] for key in changed if key in local}, 0)
    assert content is not None, "it is an object"  # noqa: S101
    values = {key: content.columns[key] for key in ("name", "color", "created_at", "extra")}
    project_rows.change(unit, local[_KEY], values)


def _create(unit: UnitOfWork, project: dict[str, Any], profile: str | None) -> None:
    content = project_json.from_json(project, 0)
    assert content is not None, "it is an object"  # noqa: S101
    profile = content.profile or profile or DEFAULT_PROFILE
    project_rows.add(unit, {**content.columns, "position": 0, "profile": profile})


def _reorder(unit: UnitOfWork, ids: Sequence[str]) -> None:
    """Put projects in this order, and those that are not named after them, in the order that they have."""
    places = {project_id: place for place, project_id in enumerate(ids)}
    found = sorted(project_rows.positions(unit), key=lambda one: places.get(one[0], len(places)))
    moved = {project_id: place for place, (project_id, position) in enumerate(found) if position != place}
    if moved:
        project_rows.set_positions(unit, moved)
