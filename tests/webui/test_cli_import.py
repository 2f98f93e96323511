"""`import_cli_session`: a copy of the agent's session, once, and never over something else."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import SessionDeletedError, SessionExistsError
from hermes_store.webui import WebUIModels
from tests.support.agent.agentdb import AgentDb
from tests.support.agent.home import FISH, SHOWN, listed, make_home
from tests.support.tables import all_rows
from tests.support.threads import all_well, together
from tests.support.webui.sessions import said
from tests.support.webui.standin import WebUI


@pytest.fixture(autouse=True)
def agent(webui: WebUI) -> AgentDb:
    """The example home's file."""
    return make_home(webui.home)


def take(models: WebUIModels, sid: str = FISH, **values: Any) -> Any:
    """Import a session as the WebUI does, with the agent's own times."""
    row = next(row for row in models.get_cli_sessions() if row["session_id"] == sid)
    messages = values.pop("messages", models.get_cli_session_messages(sid))
    times = {"created_at": row["created_at"], "updated_at": row["updated_at"], **values}
    return models.import_cli_session(sid, row["title"], messages, model="m", profile="work", **times)


def test_an_imported_session_keeps_its_times_and_messages(models: WebUIModels, webui: WebUI) -> None:
    row = next(row for row in models.get_cli_sessions() if row["session_id"] == FISH)
    session = take(models)
    record = webui.store.sessions.get(FISH)
    assert (session.created_at, session.updated_at) == (record.created_at, record.updated_at)
    assert (record.created_at, record.updated_at) == (row["created_at"], row["updated_at"])
    assert (record.title, record.model, record.profile, record.workspace) == (row["title"], "m", "work", "/srv/last")
    assert webui.store.messages.read(FISH) == models.get_cli_session_messages(FISH)
    assert models.get_session(FISH).messages == session.messages
    session.is_cli_session, session._cli_origin = True, {"source": "cli"}  # as the WebUI goes on
    session.save(touch_updated_at=False)
    again = models.Session.load(FISH)
    assert again is not None
    assert (again.is_cli_session, again._cli_origin, again.updated_at) == (True, {"source": "cli"}, row["updated_at"])


def test_the_times_of_what_names_none_are_now(models: WebUIModels) -> None:
    session = models.import_cli_session("s1", "T", said("hello"))
    assert session.model == "unknown"
    assert session.created_at == session.updated_at > 1.7e9
    assert models.import_cli_session("s2", "T", [], created_at=0, updated_at=0).created_at == 0


def test_importing_again_changes_nothing(models: WebUIModels, webui: WebUI) -> None:
    take(models)
    before = all_rows(webui.store)
    again = take(models)
    assert all_rows(webui.store) == before
    again.title = "Renamed"
    again.save()
    assert models.Session.load(FISH).title == "Renamed"


def test_threads_that_import_the_same_session_make_one(models: WebUIModels, webui: WebUI) -> None:
    all_well(together(*[lambda: take(models)] * 6))
    assert [row["session_id"] for row in models.all_sessions()] == [FISH]
    assert webui.store.messages.read(FISH) == models.get_cli_session_messages(FISH)


@pytest.mark.parametrize("other", [{"messages": said("other")}, {"messages": []}, {"created_at": 5.0}])
def test_an_import_does_not_overwrite_a_different_session(
    models: WebUIModels, webui: WebUI, other: dict[str, Any]
) -> None:
    take(models)
    before = all_rows(webui.store)
    with pytest.raises(SessionExistsError):
        take(models, **other)
    assert all_rows(webui.store) == before


@pytest.mark.parametrize("verb", ["delete_session", "discard_session"])
def test_a_deleted_agent_session_is_never_shown_again(models: WebUIModels, webui: WebUI, verb: str) -> None:
    messages = models.get_cli_session_messages(FISH)
    take(models)
    assert getattr(models, verb)(FISH) is True
    assert set(listed(models)) == set(SHOWN) - {FISH}
    before = all_rows(webui.store)
    with pytest.raises(SessionDeletedError):
        models.import_cli_session(FISH, "Back", messages)
    assert all_rows(webui.store) == before
    if verb == "delete_session":
        webui.store.sessions.restore(FISH)
        assert set(listed(models)) == set(SHOWN)
