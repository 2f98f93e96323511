"""Which revisions of a session a save of its live object counts up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store.webui import WebUIModels
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI


def append(session: Any) -> None:
    session.messages += said("more")


def rename(session: Any) -> None:
    session.title = "Rome"


def put_a_value(session: Any) -> None:
    session.tool_calls = [{"name": "ls"}]


def do_both(session: Any) -> None:
    append(session)
    rename(session)


@pytest.mark.parametrize(
    ("change", "transcript", "fields"),
    [(append, 2, 1), (rename, 1, 2), (put_a_value, 1, 2), (do_both, 2, 2), (str, 1, 2)],
)
def test_a_save_increments_the_revisions_of_changed_parts(
    models: WebUIModels, webui: WebUI, change: Callable[[Any], object], transcript: int, fields: int
) -> None:
    session = models.get_session(stored(models, "trip", "hello"))
    change(session)
    session.save()
    record = webui.store.sessions.get("trip")
    assert (record.revision, record.transcript_revision, record.fields_revision) == (2, transcript, fields)


def test_an_appended_message_can_be_updated_afterwards(models: WebUIModels, webui: WebUI) -> None:
    session = models.get_session(stored(models, "trip", "hello"))
    append(session)
    session.save()
    webui.store.sessions.update("trip", title="Rome")
    assert webui.store.messages.update("trip", 1, "edited", expected_revision=2).changed


def test_forks_lose_a_parent_that_changes_its_profile(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "parent", "hello")
    stored(models, "child", "hello", parent_session_id="parent")
    parent = models.get_session("parent")
    parent.profile = "work"
    parent.save()
    child = webui.store.sessions.get("child")
    assert (child.parent_id, child.revision, child.fields_revision) == (None, 2, 2)
