"""Two live objects of one session, in one process and in two: each change is kept, or refused as a whole."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    ConflictError,
    SessionDeletedError,
    SessionNotFoundError,
    StaleSessionError,
    Store,
)
from hermes_store.webui import WebUIModels
from tests.support.tables import all_rows
from tests.support.webui.second_writer import Elsewhere, Writer
from tests.support.webui.sessions import said
from tests.support.webui.standin import WebUI

FOUR = said("a", "b", "c", "d")
E, F, G = ({"role": "user", "content": text, "timestamp": 1.5} for text in "efg")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    process = Elsewhere()
    yield process
    process.end()


@pytest.fixture(scope="module", params=["sqlite-same process", "sqlite-another process", "postgresql-another process"])
def case(request: pytest.FixtureRequest) -> str:
    """The database, and where the other one is."""
    return str(request.param)


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest, case: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    if case.startswith("postgresql"):
        return str(request.getfixturevalue("make_postgres_database")())
    template = request.getfixturevalue("sqlite_template")
    return str(shutil.copy(template, tmp_path_factory.mktemp("shared") / "hermes.db"))


@pytest.fixture(scope="module")
def store(target: str) -> Iterator[Store]:
    """One for all tests, each of which has a session of its own."""
    with Store.open(target, durability="normal", busy_timeout=60) as store:
        for name in ("p", "q"):
            store.projects.create(project_id=name, name=name)
        yield store


@pytest.fixture
def webui(store: Store, tmp_path: Path) -> WebUI:
    return WebUI(store, home=tmp_path / "hermes-home")


@pytest.fixture
def shared(models: WebUIModels) -> str:
    """The id of a session with four messages, a document, and two unknown values."""
    session = models.Session(
        title="Trip",
        messages=copy.deepcopy(FOUR),
        tool_calls=[{"name": "ls", "args": {"path": "."}}],
        last_usage={"in": 1, "deep": [1, {"x": 1}]},
        llm_title_generated=False,
    )
    session.save()
    return session.session_id


@pytest.fixture
def other(request: pytest.FixtureRequest, case: str, target: str, store: Store, shared: str) -> Iterator[Any]:
    """The other one, who has read the session."""
    if case.endswith("same process"):
        writer: Any = Writer(target, store)
    else:
        writer = request.getfixturevalue("elsewhere")
        writer.open(target)
    writer.load(shared)
    yield writer
    writer.close()


@pytest.fixture
def mine(models: WebUIModels, shared: str) -> Any:
    """My live object, which is also the cached one."""
    return models.get_session(shared)


@pytest.fixture
def stored(models: WebUIModels, shared: str) -> Callable[[], Any]:
    """Return the session as the store has it, read anew."""

    def stored() -> Any:
        session = models.Session.load(shared)
        assert session is not None
        return session

    return stored


# ── Both survive ──

# What the other one changes, and what I change; neither may take anything from the other.
APART: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a rename and a pin": ({"title": "Rome"}, {"pinned": True}),
    "a rename and a document": ({"title": "Rome"}, {"tool_calls": []}),
    "an unknown value and a known one": ({"llm_title_generated": True}, {"model": "claude"}),
    "two unknown values": ({"_cli_origin": "cli"}, {"is_cli_session": True}),
    "a project and a profile": ({"project_id": "q"}, {"personality": "terse"}),
    "the same value on both sides": ({"title": "Rome", "pinned": True}, {"title": "Rome", "archived": True}),
    "an odd value and an ordinary one": ({"title": {"not": "text"}}, {"estimated_cost": float("inf")}),
    "documents": ({"pending_user_message": "wait"}, {"pending_attachments": [{"name": "a.png"}]}),
    "a project, and a profile that has no such project": ({"project_id": "q"}, {"profile": "work"}),
    "a profile, and a project of the former one": ({"profile": "work"}, {"project_id": "q"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", APART)
def test_different_values_changed_by_both_are_both_kept(stored: Any, mine: Any, other: Any, name: str) -> None:
    theirs, ours = APART[name]
    other.assign(**theirs)
    other.save()
    for key, value in ours.items():
        setattr(mine, key, value)
    mine.save()
    expected = theirs | ours
    for session in (mine, stored()):  # the object shows what the other one wrote, too
        assert {key: getattr(session, key) for key in expected} == expected
        assert session.messages == FOUR
    assert not mine.is_dirty()


def test_an_unknown_value_that_the_other_one_removed_stays_removed(stored: Any, mine: Any, other: Any) -> None:
    other.remove("last_usage")
    other.save()
    mine.title = "Rome"
    mine.save()
    for session in (mine, stored()):
        assert not hasattr(session, "last_usage")
        assert session.title == "Rome"


def test_appends_of_both_stand_one_after_the_other_the_stored_first(
    store: Store, shared: str, stored: Any, mine: Any, other: Any
) -> None:
    mine.messages.append(E)
    other.append(F, G)
    other.save()
    mine.save()
    assert mine.messages == stored().messages == [*FOUR, F, G, E]
    assert store.sessions.get(shared).message_count == 7


def test_an_append_survives_that_the_other_one_renames_and_the_other_way_round(
    stored: Any, mine: Any, other: Any
) -> None:
    other.assign(title="Rome")
    other.save()
    mine.messages.append(E)
    mine.save()
    other.append(F)
    other.save()
    session = stored()
    assert (session.title, session.messages) == ("Rome", [*FOUR, E, F])


def test_an_edit_and_an_append_are_both_kept(stored: Any, mine: Any, other: Any) -> None:
    mine.messages[1]["content"] = "better"
    other.append(E)
    other.save()
    mine.save()
    assert mine.messages == stored().messages == [FOUR[0], {**FOUR[1], "content": "better"}, *FOUR[2:], E]


def test_edits_of_different_messages_are_both_kept(stored: Any, mine: Any, other: Any) -> None:
    mine.messages[0]["edited"] = {"by": ["me"]}
    other.splice(3, 4, E)
    other.save()
    mine.save()
    assert mine.messages == stored().messages == [{**FOUR[0], "edited": {"by": ["me"]}}, *FOUR[1:3], E]


def test_the_live_list_takes_in_what_the_other_one_wrote_and_stays_the_same_list(mine: Any, other: Any) -> None:
    """The streaming thread holds the list, not the session."""
    held = mine.messages
    other.append(E)
    other.save()
    mine.title = "Rome"
    mine.save()
    assert mine.messages is held
    assert held == [*FOUR, E]


def test_one_who_read_the_metadata_alone_writes_over_nothing_that_he_did_not_read(
    stored: Any, mine: Any, other: Any
) -> None:
    mine.messages.append(E)
    mine.tool_calls.append({"name": "cat"})
    mine.last_usage["in"] = 2
    other.load(mine.session_id, False)
    other.assign(title="Rome")
    mine.save()
    other.save()
    session = stored()
    assert (session.title, session.messages, session.last_usage["in"]) == ("Rome", [*FOUR, E], 2)
    assert session.tool_calls == [{"name": "ls", "args": {"path": "."}}, {"name": "cat"}]


# ── One is refused ──


def append_mine(session: Any) -> None:
    session.messages.append(E)


# What the other one does, and what I do: both of the same part.
CONFLICTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "truncate against append": (lambda other: other.splice(1, None), append_mine),
    "append against truncate": (lambda other: other.append(F), lambda mine: mine.messages.__delitem__(slice(1, None))),
    "append against clear": (lambda other: other.append(F), lambda mine: setattr(mine, "messages", [])),
    "clear against append": (lambda other: other.assign(messages=[]), append_mine),
    "the same message": (lambda other: other.splice(2, 3, F), lambda mine: mine.messages[2].update(content="x")),
    "a removal against an edit": (lambda other: other.splice(1, 2), lambda mine: mine.messages[1].update(content="x")),
    "insertions at one place": (lambda other: other.splice(1, 1, F), lambda mine: mine.messages.insert(1, E)),
    "another title": (lambda other: other.assign(title="Rome"), lambda mine: setattr(mine, "title", "Oslo")),
    "an odd title": (lambda other: other.assign(title=["Rome"]), lambda mine: setattr(mine, "title", "Oslo")),
    "tool calls": (
        lambda other: other.assign(tool_calls=[1]),
        lambda mine: mine.tool_calls[0]["args"].update(path="/"),
    ),
    "one unknown value": (lambda other: other.assign(last_usage={"in": 9}), lambda mine: mine.last_usage.update(out=2)),
    "an unknown value that is new": (
        lambda other: other.assign(brand_new=1),
        lambda mine: setattr(mine, "brand_new", 2),
    ),
    "a value that one of them removed": (
        lambda other: other.remove("last_usage"),
        lambda mine: mine.last_usage["deep"][1].update(x=2),
    ),
    "a project": (lambda other: other.assign(project_id="p"), lambda mine: setattr(mine, "project_id", "q")),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_a_true_conflict_is_refused_and_nothing_is_lost_in_either(
    models: WebUIModels, store: Store, mine: Any, other: Any, name: str
) -> None:
    change_theirs, change_mine = CONFLICTS[name]
    change_theirs(other)
    other.save()
    change_mine(mine)
    mine.personality = "kept, too"
    rows, state = all_rows(store), copy.deepcopy(dict(mine.__dict__))
    with pytest.raises(StaleSessionError) as refusal:
        mine.save()
    assert refusal.value.session_id == mine.session_id
    assert all_rows(store) == rows
    assert mine.__dict__ == state
    assert mine.is_dirty()
    # The next one to ask gets what is stored, and who had the change still has it, to do it again.
    again = models.get_session(mine.session_id)
    assert again is not mine
    again.archived = True
    again.save()
    with pytest.raises(StaleSessionError):
        mine.save()
    assert mine.__dict__ == state


def test_a_conflict_in_one_value_writes_none_of_the_others(stored: Any, mine: Any, other: Any) -> None:
    other.assign(title="Rome")
    other.save()
    mine.title, mine.pinned = "Oslo", True
    mine.messages.append(E)
    with pytest.raises(StaleSessionError, match="title"):
        mine.save()
    session = stored()
    assert (session.title, session.pinned, session.messages) == ("Rome", False, FOUR)
    # With the other's value taken over, the rest of the change goes through.
    mine.title = "Rome"
    mine.save()
    session = stored()
    assert (session.title, session.pinned, session.messages) == ("Rome", True, [*FOUR, E])


@pytest.mark.parametrize("name", ["tool_calls", "last_usage", "never_seen"])
def test_a_value_assigned_unread_does_not_overwrite_what_the_other_one_wrote_since(
    models: WebUIModels, stored: Any, shared: str, other: Any, name: str
) -> None:
    session = models.get_session(shared, metadata_only=True)
    setattr(session, name, ["mine"])
    other.assign(**{name: ["theirs"]})
    other.save()
    with pytest.raises(StaleSessionError, match=name):
        session.save()
    assert getattr(stored(), name) == ["theirs"]


def test_messages_assigned_unread_do_not_overwrite_what_the_other_one_appended_since(
    models: WebUIModels, stored: Any, shared: str, other: Any
) -> None:
    session = models.get_session(shared, metadata_only=True)
    session.messages = []
    other.append(E)
    other.save()
    with pytest.raises(StaleSessionError):
        session.save()
    assert stored().messages == [*FOUR, E]


# ── Deleted, purged ──

GONE: dict[str, tuple[Callable[[Any, str], Any], type[Exception]]] = {
    "deleted": (lambda other, sid: other.delete(sid), SessionDeletedError),
    "purged": (lambda other, sid: other.discard(sid), SessionNotFoundError),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GONE)
def test_a_session_that_the_other_one_took_away_refuses_every_save_and_stays_away(
    models: WebUIModels, store: Store, mine: Any, other: Any, name: str
) -> None:
    take_away, error = GONE[name]
    sid = mine.session_id
    take_away(other, sid)
    rows = all_rows(store)
    for change in (lambda: None, lambda: setattr(mine, "title", "Rome"), lambda: mine.messages.append(E)):
        change()
        state = copy.deepcopy(dict(mine.__dict__))
        for touch in (True, False):
            with pytest.raises(error):
                mine.save(touch_updated_at=touch)
        assert mine.__dict__ == state
    assert models.Session.load(sid) is None
    with pytest.raises(KeyError):
        models.get_session(sid)
    # Nor does a new session of this id bring it back.
    with pytest.raises(ConflictError):
        models.Session(session_id=sid, title="Again").save()
    assert all_rows(store) == rows


@pytest.mark.slow
def test_a_deleted_session_that_was_restored_takes_saves_again(
    store: Store, stored: Any, mine: Any, other: Any
) -> None:
    mine.messages.append(E)
    other.delete(mine.session_id)
    with pytest.raises(SessionDeletedError):
        mine.save()
    store.sessions.restore(mine.session_id)
    mine.save()
    assert stored().messages == [*FOUR, E]
