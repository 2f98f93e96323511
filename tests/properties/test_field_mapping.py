"""Field mapping: which columns and documents the values of a session become."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError
from hermes_store.transcripts import json_codec
from hermes_store.webui_format.field_mapping import PARENT, PROJECT, FieldWrites, map_fields, map_links, profile_of


def documents(writes: FieldWrites) -> dict[str, Any]:
    return {key: json_codec.decode(payload) for key, payload in writes.documents.items()}


def test_a_value_in_its_column_has_no_document() -> None:
    writes = map_fields({"title": "Rome", "model": None}, {"title"}, {})
    assert writes == FieldWrites(columns={"title": "Rome"}, removed={"title"})


def test_original_that_does_not_fit_is_a_document() -> None:
    writes = map_fields({"estimated_cost": "much"}, {"estimated_cost"}, {})
    assert (writes.columns, documents(writes), writes.removed) == (
        {"estimated_cost": None},
        {"estimated_cost": "much"},
        set(),
    )


def test_removed_values_become_those_of_new_sessions() -> None:
    writes = map_fields({}, {"title", "tool_calls", "x_unknown"}, {})
    assert writes == FieldWrites(columns={"title": "Untitled"}, removed={"title", "tool_calls", "x_unknown"})


def test_an_invalid_update_time_leaves_the_column() -> None:
    assert map_fields({"updated_at": "yesterday"}, {"updated_at"}, {}) == FieldWrites()


def test_the_source_has_a_column_and_documents() -> None:
    writes = map_fields({"raw_source": "cli", "source_tag": 5}, {"raw_source"}, {})
    assert writes.columns == {"source": "cli"}
    assert documents(writes) == {"raw_source": "cli", "source_tag": 5}


@pytest.mark.parametrize(("row_id", "kept"), [(7, {}), (None, {PROJECT: "p", PARENT: "s"})])
def test_a_link_is_in_its_column_or_document(row_id: int | None, kept: dict[str, str]) -> None:
    writes = map_links({PROJECT: "p", PARENT: "s"}, {PROJECT: row_id, PARENT: row_id})
    assert writes.columns == {"project_id": row_id, "parent_id": row_id}
    assert documents(writes) == kept
    assert writes.removed == {PROJECT, PARENT} - kept.keys()


def test_a_link_to_nothing_has_no_document() -> None:
    assert map_links({PROJECT: ""}, {PROJECT: None}) == FieldWrites(columns={"project_id": None}, removed={PROJECT})


def test_a_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at most 500 characters"):
        map_fields({"x" * 501: 1}, {"x" * 501}, {})


@pytest.mark.parametrize(
    ("profile", "column"), [("work", "work"), (None, "default"), ("", "default"), ([1], "default")]
)
def test_an_invalid_profile_becomes_the_default_profile(profile: Any, column: str) -> None:
    assert profile_of({"profile": profile}) == column
