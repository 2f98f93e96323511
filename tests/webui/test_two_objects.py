"""Two live objects of one session, in one process and in two: no change is lost, but for one of the same part."""

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
from tests.support.webui.sessions import said, warnings_of
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


def test_an_unknown_value_removed_by_another_stays_removed(stored: Any, mine: Any, other: Any) -> None:
    other.remove("last_usage")
    other.save()
    mine.title = "Rome"
    mine.save()
    for session in (mine, stored()):
        assert not hasattr(session, "last_usage")
        assert session.title == "Rome"


def test_appends_of_both_are_kept_in_saving_order(
    store: Store, shared: str, stored: Any, mine: Any, other: Any
) -> None:
    mine.messages.append(E)
    other.append(F, G)
    other.save()
    mine.save()
    assert mine.messages == stored().messages == [*FOUR, F, G, E]
    assert store.sessions.get(shared).message_count == 7


def test_an_append_survives_a_rename_and_vice_versa(stored: Any, mine: Any, other: Any) -> None:
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


def test_the_live_list_gets_others_messages_in_place(mine: Any, other: Any) -> None:
    """The streaming thread holds the list, not the session."""
    held = mine.messages
    other.append(E)
    other.save()
    mine.title = "Rome"
    mine.save()
    assert mine.messages is held
    assert held == [*FOUR, E]


def test_saving_metadata_overwrites_nothing_that_was_not_read(stored: Any, mine: Any, other: Any) -> None:
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


# ── Both changed the same part ──


def edited(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "content": "x"}


# What the other one does, what I do, and the messages that are left.
SAME_PLACE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[Any]]] = {
    "truncate against append": (
        lambda other: other.splice(1, None),
        lambda mine: mine.messages.append(E),
        [FOUR[0], E],
    ),
    "append against truncate": (
        lambda other: other.append(F),
        lambda mine: mine.messages.__delitem__(slice(1, None)),
        [FOUR[0], F],
    ),
    "append against clear": (lambda other: other.append(F), lambda mine: setattr(mine, "messages", []), [F]),
    "clear against append": (lambda other: other.assign(messages=[]), lambda mine: mine.messages.append(E), [E]),
    "a removal against an edit": (
        lambda other: other.splice(1, 2),
        lambda mine: mine.messages[1].update(content="x"),
        [FOUR[0], edited(FOUR[1]), *FOUR[2:]],
    ),
    "an edit against a removal": (
        lambda other: other.splice(1, 2, edited(FOUR[1])),
        lambda mine: mine.messages.__delitem__(1),
        [FOUR[0], edited(FOUR[1]), *FOUR[2:]],
    ),
    "insertions at one place": (
        lambda other: other.splice(1, 1, F),
        lambda mine: mine.messages.insert(1, E),
        [FOUR[0], F, E, *FOUR[1:]],
    ),
    "a question and an answer in the place of one message": (
        lambda other: other.splice(3, 4, {"role": "assistant", "content": "better"}),
        lambda mine: mine.messages.__setitem__(3, E),
        [*FOUR[:3], {"role": "assistant", "content": "better"}, E],
    ),
}


@pytest.mark.parametrize("name", SAME_PLACE)
def test_no_append_and_no_edit_is_lost(store: Store, stored: Any, mine: Any, other: Any, name: str) -> None:
    change_theirs, change_mine, expected = SAME_PLACE[name]
    change_theirs(other)
    other.save()
    change_mine(mine)
    mine.save()
    assert mine.messages == stored().messages == expected
    assert store.sessions.get(mine.session_id).message_count == len(expected)
    assert not mine.is_dirty()


def test_of_a_message_both_edited_the_stored_stays(models: WebUIModels, stored: Any, mine: Any, other: Any) -> None:
    other.splice(2, 3, edited(FOUR[2]))
    other.assign(personality="terse", input_tokens=3)
    other.save()
    mine.messages[2]["content"], mine.title = "mine", "Rome"
    mine.messages.append(E)
    mine.input_tokens += 4
    everything = [*FOUR[:2], edited(FOUR[2]), FOUR[3], E]
    for _ in range(2):  # and so does each later save, until the message is taken over
        with pytest.raises(StaleSessionError, match=r"Message 2 of session .* not saved") as refusal:
            mine.save()
        assert (refusal.value.session_id, refusal.value.positions) == (mine.session_id, (2,))
        for session in (stored(), mine):
            assert (session.title, session.personality, session.input_tokens) == ("Rome", "terse", 7)
        assert stored().messages == everything
        assert mine.messages == [*FOUR[:2], {**FOUR[2], "content": "mine"}, FOUR[3], E]
        assert mine.is_dirty()
    # The next one to ask gets what is stored, and who had the change still has it, to do it again.
    again = models.get_session(mine.session_id)
    assert again is not mine
    assert again.messages == everything
    again.messages.append(G)
    again.save()
    mine.messages.append(F)
    with pytest.raises(StaleSessionError):
        mine.save()
    assert stored().messages == [*everything, G, F]
    mine.messages[2]["content"] = "x"
    mine.save()
    assert mine.messages == stored().messages == [*everything, G, F]
    assert not mine.is_dirty()


def test_a_message_both_edited_and_moved_appears_once(stored: Any, mine: Any, other: Any) -> None:
    ids = [{**message, "id": f"m{number}"} for number, message in enumerate(FOUR)]
    other.assign(messages=ids)
    other.save()
    mine.save()
    other.splice(2, 4, edited(ids[3]))
    other.save()
    mine.messages[3]["content"] = "mine"
    mine.messages.append(E)
    for _ in range(2):
        with pytest.raises(StaleSessionError) as refusal:
            mine.save()
        assert refusal.value.positions == (2,)
        assert stored().messages == [*ids[:2], edited(ids[3]), E]
        assert mine.messages == [*ids[:2], {**ids[3], "content": "mine"}, E]


@pytest.mark.parametrize("name", ["tool_calls", "last_usage", "never_seen"])
def test_unread_assigned_value_is_compared_with_the_stored(
    models: WebUIModels, shared: str, other: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = models.get_session(shared, metadata_only=True)
    setattr(session, name, ["mine"])
    other.assign(**{name: ["theirs"]})
    other.save()
    session.save()
    assert getattr(models.Session.load(shared), name) == getattr(session, name) == ["mine"]
    (warning,) = warnings_of(caplog)
    assert name in warning


def test_unread_assigned_messages_do_not_overwrite_appends(
    models: WebUIModels, stored: Any, shared: str, other: Any
) -> None:
    session = models.get_session(shared, metadata_only=True)
    session.messages = []
    other.append(E)
    other.save()
    session.save()
    assert stored().messages == session.messages == [E]


# ── Deleted, purged ──

GONE: dict[str, tuple[Callable[[Any, str], Any], type[Exception]]] = {
    "deleted": (lambda other, sid: other.delete(sid), SessionDeletedError),
    "purged": (lambda other, sid: other.discard(sid), SessionNotFoundError),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GONE)
def test_a_session_the_other_deleted_refuses_every_save(
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
def test_a_restored_session_accepts_saves_again(store: Store, stored: Any, mine: Any, other: Any) -> None:
    mine.messages.append(E)
    other.delete(mine.session_id)
    with pytest.raises(SessionDeletedError):
        mine.save()
    store.sessions.restore(mine.session_id)
    mine.save()
    assert stored().messages == [*FOUR, E]
