"""The rows that the links in a session's JSON stand for: its project, and the session that it was forked from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import DatabaseCorruptError
from ..validation import is_id
from ..webui_format.field_mapping import PARENT, PROJECT, parent_kind
from ..webui_format.session_json import SOURCE_KEYS
from . import document_reading, project_rows, session_keys
from .session_keys import SessionKey
from .unit_of_work import UnitOfWork


def find_links(
    unit: UnitOfWork,
    values: Mapping[str, Any],
    profile: str,
    names: Iterable[str] = (PROJECT, PARENT),
    key: SessionKey | None = None,
) -> dict[str, int | None]:
    """Return the row ids that links stand for, None where there is no such row in the profile.

    Args:
        values: those of the session, by key.
        names: which links, of `PROJECT` and `PARENT`.
        key: the session that is linked; None when it is new.
    """
    links: dict[str, int | None] = {}
    for name in names:
        links[name] = _find_target(unit, name, values.get(name), profile)
    parent = links.get(PARENT)
    if parent is not None and key is not None and session_keys.descends(unit, parent, key.id):
        links[PARENT] = None
    return links


def parent_columns(
    unit: UnitOfWork, values: Mapping[str, Any], links: Mapping[str, int | None], key: SessionKey | None = None
) -> dict[str, Any]:
    """Return the column that says why a session has the parent that `find_links` found; none if that is not written.

    Args:
        values, key: as in `find_links`.
    """
    parent = links.get(PARENT)
    if parent is None:
        return {}
    if key is not None and not values.keys() >= set(SOURCE_KEYS):
        values = {**_small_values(unit, key.id), **values}
    return {"parent_kind": parent_kind(values, _small_values(unit, parent))}


def _small_values(unit: UnitOfWork, session: int) -> dict[str, Any]:
    try:
        return document_reading.read_extras(unit, session, "")
    except DatabaseCorruptError:  # then they do not tell
        return {}


def _find_target(unit: UnitOfWork, name: str, public_id: Any, profile: str) -> int | None:
    if not is_id(public_id):
        return None
    find = project_rows.find_link_target if name == PROJECT else session_keys.find_link_target
    return find(unit, public_id, profile)
