"""Which columns and documents the values of a session become when some of them are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import InvalidInputError
from ..records import ParentKind
from ..transcripts import json_codec
from ..validation import FILE_KEYS, KEY_LIMIT
from .session_json import COLUMNS, SESSION_KEYS, SOURCE_KEYS, source_of

#: The key of the project that a session is in.
PROJECT: Final = "project_id"
#: The key of the session that another one was forked from.
PARENT: Final = FILE_KEYS["parent_id"]

_UPDATED: Final = "updated_at"
_NOT_NULL: Final = frozenset({"created_at", _UPDATED})
#: The columns of the keys whose values are ids of other rows.
LINK_COLUMNS: Final = {PROJECT: "project_id", PARENT: "parent_id"}


@dataclass
class FieldWrites:
    """What is to be written for some values of a session."""

    #: By the names of the table's columns.
    columns: dict[str, Any] = field(default_factory=dict)
    #: The JSON of values by key.
    documents: dict[str, bytes] = field(default_factory=dict)
    #: Keys that are to have no document.
    removed: set[str] = field(default_factory=set)

    def _add_document(self, key: str, value: Any) -> None:
        if len(key) > KEY_LIMIT:
            raise InvalidInputError(f"A session's key has at most {KEY_LIMIT} characters. Nothing was written.")
        self.documents[key] = json_codec.encode(value, key)
        self.removed.discard(key)

    def _add_link(self, key: str, public_id: Any, row_id: int | None) -> None:
        """Write an id of another row: in the column where there is such a row, else as a document."""
        self.columns[LINK_COLUMNS[key]] = row_id
        if row_id is None and public_id not in (None, ""):
            self._add_document(key, public_id)
        else:
            self.documents.pop(key, None)
            self.removed.add(key)


def map_fields(values: Mapping[str, Any], names: Collection[str], links: Mapping[str, int | None]) -> FieldWrites:
    """Return what is to be written for the values of some keys.

    Args:
        values: all values of the session, by key.
        names: the keys to write. One that is not among the values gets what a new session has.
        links: the row ids that the values of `PROJECT` and `PARENT` stand for, None where there is no such row; a key
            that is not in it is not written.

    Raises:
        InvalidInputError: a key is too long.
        InvalidPayloadError: a value is not a JSON value.
    """
    writes = FieldWrites(removed=set(names) - {_UPDATED})  # every save changes it, and an original of it counts no more
    for name in names:
        value = values.get(name, SESSION_KEYS.get(name))
        if name in COLUMNS:
            _add_column(writes, name, value)
        elif name in values and not (name in SESSION_KEYS and value == SESSION_KEYS[name]):
            writes._add_document(name, value)
    if not set(names).isdisjoint(SOURCE_KEYS):
        writes.columns["source"] = source_of(values)
        for name in values.keys() & set(SOURCE_KEYS):  # also one that was in the column alone
            writes._add_document(name, values[name])
    return _add_links(writes, values, links)


def map_links(values: Mapping[str, Any], links: Mapping[str, int | None]) -> FieldWrites:
    """Return what is to be written for the project and the parent of a session; as `map_fields`."""
    return _add_links(FieldWrites(), values, links)


def parent_kind(values: Mapping[str, Any], parent: Mapping[str, Any]) -> ParentKind:
    """Return why a session has a parent, as far as its values and the parent's tell; see `ParentKind`."""
    if values.get("session_source") == "fork":
        return "fork"
    if "subagent" in [values.get(key) for key in SOURCE_KEYS]:
        return "subagent"
    return "compression" if parent.get("pre_compression_snapshot") is True else "import"


def profile_of(values: Mapping[str, Any]) -> str:
    """Return the profile that the column stores for a session with these values."""
    profile: str
    profile, _ = COLUMNS["profile"](values.get("profile"))
    return profile


def _add_column(writes: FieldWrites, name: str, value: Any) -> None:
    stored, exact = COLUMNS[name](value)
    if not (stored is None and name in _NOT_NULL):
        writes.columns[name] = stored
    if not exact and name != _UPDATED:
        writes._add_document(name, value)


def _add_links(writes: FieldWrites, values: Mapping[str, Any], links: Mapping[str, int | None]) -> FieldWrites:
    for key, row_id in links.items():
        writes._add_link(key, values.get(key), row_id)
    return writes
