"""Text, on every backend: whatever Python calls text is kept in every column, and breaks no list.

Lone surrogates are refused by both drivers and NUL by PostgreSQL; DLE is what the store itself escapes with.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from hermes_store import Page, ProjectRecord, SessionRecord, Store
from hermes_store.storage.schema import metadata
from hermes_store.storage.types import LosslessText
from hermes_store.transcripts.encoding import ROLE_LIMIT
from hermes_store.validation import KEY_LIMIT, PROFILE_LIMIT, PROJECT_NAME_LIMIT, SOURCE_LIMIT, TEXT_LIMIT, TITLE_LIMIT
from tests.support.json_values import AWKWARD_TEXTS, texts
from tests.support.tables import message_rows

#: Every column of free text that callers write, and how much it holds.
LIMITS = {
    "sessions.title": TITLE_LIMIT,
    "sessions.workspace": TEXT_LIMIT,
    "sessions.model": TEXT_LIMIT,
    "sessions.personality": TEXT_LIMIT,
    "sessions.active_stream_id": TEXT_LIMIT,
    "sessions.source": SOURCE_LIMIT,
    "sessions.profile": PROFILE_LIMIT,
    "projects.profile": PROFILE_LIMIT,
    "projects.name": PROJECT_NAME_LIMIT,
    "messages.role": ROLE_LIMIT,
    "session_documents.key": KEY_LIMIT,
}
#: `test_usage.py` and `test_changes.py` try these.
TRIED = {"usage.profile", "usage.model", "usage.provider", "gone_ids.profile"}
#: Columns of letters and digits, and those that only imports write.
OTHERS = {
    *("projects.color", "import_items.origin", "import_items.item", "kept_messages.role", "gone_ids.public_id"),
    *TRIED,
}
SESSION_FIELDS = [column.removeprefix("sessions.") for column in LIMITS if column.startswith("sessions.")]


def write(store: Store, text: str, *columns: str) -> tuple[SessionRecord, ProjectRecord]:
    """Make a session and a project with `text`, cut to size, in `columns`, and something plain in the rest."""

    def fill(column: str) -> str:
        cut = text[: LIMITS[column]] if column in columns else "plain"
        return cut or "plain"

    with store.transaction() as tx:
        fields: dict[str, Any] = {name: fill(f"sessions.{name}") for name in SESSION_FIELDS}
        session = tx.sessions.create(**fields)
        tx.messages.append(session.session_id, {"role": fill("messages.role")})
        tx.documents.put(session.session_id, {fill("session_documents.key"): text})
        project = tx.projects.create(name=fill("projects.name"), profile=fill("projects.profile"))
        return tx.sessions.get(session.session_id), project


def require_kept(store: Store, text: str, *columns: str) -> None:
    """Write, and find what was written by every way there is."""
    session, project = write(store, text, *columns)
    for column in columns:
        expected = text[: LIMITS[column]] or "plain"
        table, name = column.split(".")
        if table == "sessions":
            assert getattr(session, name) == expected, column
        elif table == "projects":
            assert getattr(project, name) == expected, column
        elif table == "messages":
            assert store.messages.read(session.session_id) == [{"role": expected}]
            assert message_rows(store)[-1][2] == expected
        else:
            assert store.documents.read(session.session_id) == {expected: text}
            assert store.documents.read(session.session_id, expected) == {expected: text}
    assert store.sessions.get(session.session_id) == session
    assert session in store.sessions.list(limit=1000).items
    for filters in ({"profile": session.profile}, {"source": session.source}):
        found: Page[SessionRecord] = store.sessions.list(limit=1000, **filters)
        assert session in found.items
        assert {getattr(item, name) for item in found.items for name in filters} == set(filters.values())
    assert project in store.projects.list(profile=project.profile).items
    assert project == store.projects.rename(project.project_id, project.name)
    changes: dict[str, Any] = {name: getattr(session, name) for name in SESSION_FIELDS}
    changed = store.sessions.update(session.session_id, **changes, updated_at=session.updated_at)
    revisions = {"revision": changed.revision, "fields_revision": changed.revision}
    assert changed == session.model_copy(update=revisions)


def test_every_text_column_is_tried_here() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LosslessText)
    }
    assert columns == set(LIMITS) | OTHERS


@pytest.mark.slow
@settings(max_examples=10)
@given(text=texts)
def test_any_text_is_kept_in_every_column(store: Store, text: str) -> None:
    require_kept(store, text, *LIMITS)


@pytest.mark.slow
def test_lists_show_sessions_with_every_awkward_text(store: Store) -> None:
    for text in AWKWARD_TEXTS:
        store.sessions.create(title=text)
    assert [session.title for session in store.sessions.list().items] == AWKWARD_TEXTS[::-1]
    for text in AWKWARD_TEXTS:
        require_kept(store, text, *LIMITS)
    profiles = {text for text in AWKWARD_TEXTS if text}
    assert {session.profile for session in store.sessions.iterate(include_empty=True)} == {
        *profiles,
        "plain",
        "default",
    }
    for profile in profiles:
        assert store.sessions.delete_empty(profile=profile, untitled_only=False, older_than=0) == []
        assert store.sessions.count(profile=profile) == 1


@pytest.mark.slow
@pytest.mark.parametrize("column", LIMITS)
def test_the_longest_text_is_kept_whatever_its_characters(store: Store, column: str) -> None:
    chance = random.Random(column)
    limit = LIMITS[column]
    # No two alike, so that nothing compresses it away: four bytes each, and five in place of one.
    for low, high in ((0x10000, 0x10FFFF), (0xD800, 0xDBFF), (0, 0)):
        require_kept(store, "".join(chr(chance.randint(low, high)) for _ in range(limit)), column)


def test_texts_that_look_like_escapes_stay_distinct(store: Store) -> None:
    """Equality must be that of Python: no two texts may meet in one stored form."""
    alike = ["\ud83d", "\x10d83d", "\x100010d83d", "d83d", "\\ud83d", "\x10", "\x100010", "\ufffd", "?"]
    for text in alike:
        store.sessions.create(title=text, source=text, profile=text)
    for text in alike:
        either: list[dict[str, Any]] = [{"source": text}, {"profile": text}]
        for filters in either:
            assert [session.title for session in store.sessions.list(**filters).items] == [text]
    together = store.sessions.create().session_id
    store.documents.put(together, {text: number for number, text in enumerate(alike)})
    assert store.documents.read(together) == {text: number for number, text in enumerate(alike)}
