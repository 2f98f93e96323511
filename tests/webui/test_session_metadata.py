"""A session of which the metadata alone was read: what that costs, what comes later, and what a save cannot touch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hermes_store import SessionDeletedError
from hermes_store.webui import WebUIModels
from tests.support.statements import columns_read, executed, vm_steps
from tests.support.tables import all_rows
from tests.support.threads import all_well, together
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI

CALLS = [{"name": "ls", "args": {"path": "."}}]


@pytest.fixture
def trip(models: WebUIModels) -> str:
    """The id of a session with messages, documents, and unknown values."""
    return stored(
        models,
        "trip",
        "hello",
        "hi",
        tool_calls=CALLS,
        pending_user_message="wait",
        pending_attachments=[{"name": "a.png"}],
        x_usage={"in": 1},
    )


@pytest.fixture
def session(models: WebUIModels, trip: str) -> Any:
    """The same, its metadata read alone."""
    return models.Session.load_metadata_only(trip)


# ── What it costs ──


def test_a_metadata_load_reads_no_message_or_body(models: WebUIModels, webui: WebUI, trip: str) -> None:
    load = partial(models.Session.load_metadata_only, trip)
    assert len(executed(webui.store, load)) == 1
    read = columns_read(webui.store, load)
    assert {table for table, _ in read} <= {"sessions", "projects", "session_extras", "session_documents"}
    assert ("session_documents", "payload") not in read
    # The same watch sees the bodies when they are read.
    assert ("message_blobs", "payload") in columns_read(webui.store, partial(models.Session.load, trip))


def test_metadata_loads_cost_the_same_in_long_sessions(models: WebUIModels, webui: WebUI, trip: str) -> None:
    load = partial(models.Session.load_metadata_only, trip)
    webui.store.documents.put(trip, {"tool_calls": ["x" * 3000]})
    steps = vm_steps(webui.store, load)
    webui.store.messages.extend(trip, said(*map(str, range(2000))))
    webui.store.documents.put(trip, {"tool_calls": ["x" * 1000] * 1000})
    assert vm_steps(webui.store, load) == steps


def test_a_row_of_the_sidebar_needs_nothing_more(models: WebUIModels, webui: WebUI, session: Any) -> None:
    state = dict(session.__dict__)
    row = session.compact()
    assert row == models.Session.load(session.session_id).compact()
    assert row["message_count"] == 2
    assert session.__dict__ == state
    assert "messages" not in state


# ── What comes later ──


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("messages", said("hello", "hi")),
        ("tool_calls", CALLS),
        ("pending_user_message", "wait"),
        ("pending_attachments", [{"name": "a.png"}]),
        ("x_usage", {"in": 1}),
    ],
)
def test_an_unread_value_is_read_once_when_used(webui: WebUI, session: Any, name: str, expected: Any) -> None:
    assert name not in session.__dict__
    assert hasattr(session, name)
    value = getattr(session, name)
    assert value == expected
    webui.store.close()  # nothing more is read
    assert getattr(session, name) is value


def test_a_missing_attribute_is_looked_up_once(webui: WebUI, session: Any) -> None:
    assert not hasattr(session, "never_there")
    webui.store.close()
    assert getattr(session, "never_there", "default") == "default"
    with pytest.raises(AttributeError, match="never_there"):
        session.never_there  # noqa: B018


def test_values_that_were_never_stored_have_their_defaults(models: WebUIModels) -> None:
    stored(models, "bare")
    session = models.Session.load_metadata_only("bare")
    assert (session.messages, session.tool_calls, session.pending_attachments) == ([], [], [])
    assert session.pending_user_message is None
    other = models.Session.load_metadata_only("bare")
    session.tool_calls.append(1)  # the defaults are nobody else's
    session.pending_attachments.append(2)
    assert (other.tool_calls, other.pending_attachments, models.Session().tool_calls) == ([], [], [])
    session.save()
    found = models.Session.load("bare")
    assert (found.tool_calls, found.pending_attachments) == ([1], [2])


def test_concurrent_first_uses_return_the_same_lists(session: Any) -> None:
    lists = all_well(together(*[lambda: session.messages] * 8, *[lambda: session.tool_calls] * 8))
    assert len({id(one) for one in lists}) == 2


def test_values_read_later_are_the_newest_stored_ones(models: WebUIModels, trip: str, session: Any) -> None:
    writer = models.Session.load(trip)
    writer.messages.append({"content": "later"})
    writer.x_usage["in"] = 2
    writer.save()
    assert (session.messages[-1], session.x_usage) == ({"content": "later"}, {"in": 2})
    session.title = "Rome"
    session.messages.append({"content": "last"})
    session.save()
    found = models.Session.load(trip)
    assert (found.title, len(found.messages), found.x_usage) == ("Rome", 4, {"in": 2})


def test_what_was_not_read_can_be_deleted(models: WebUIModels, trip: str, session: Any) -> None:
    del session.tool_calls, session.x_usage
    session.save()
    found: Any = models.Session.load(trip)
    assert found.tool_calls == []
    assert not hasattr(found, "x_usage")
    assert found.messages == said("hello", "hi")


def test_using_a_session_deleted_since_raises_an_error(models: WebUIModels, trip: str, session: Any) -> None:
    models.delete_session(trip)
    with pytest.raises(SessionDeletedError):
        session.messages  # noqa: B018
    session.pending_user_message = "assigning is no use of it"
    with pytest.raises(SessionDeletedError):
        session.save()


# ── What a save cannot touch ──


def test_a_save_of_it_untouched_writes_nothing(webui: WebUI, session: Any) -> None:
    rows = all_rows(webui.store)
    session.save(touch_updated_at=False)
    assert all_rows(webui.store) == rows


SAVES: dict[str, Callable[[Any], object]] = {
    "a touch": lambda session: None,
    "a rename": lambda session: setattr(session, "title", "Rome"),
    "a pin and a stream": lambda session: (
        setattr(session, "pinned", True),
        setattr(session, "active_stream_id", None),
    ),
    "an odd title": lambda session: setattr(session, "title", {"no": "text"}),
    "another profile": lambda session: setattr(session, "profile", "work"),
}


@pytest.mark.parametrize("name", SAVES)
def test_saving_only_metadata_changes_no_message_or_document(
    models: WebUIModels, webui: WebUI, trip: str, session: Any, name: str
) -> None:
    rows = all_rows(webui.store)
    whole = models.Session.load(trip)
    SAVES[name](session)
    session.save()
    session.save()
    after = all_rows(webui.store)
    assert after["messages"] == rows["messages"]
    assert after["message_blobs"] == rows["message_blobs"]
    assert [row for row in after["session_documents"] if "title" not in row] == rows["session_documents"]
    found = models.Session.load(trip)
    for key in ("messages", "tool_calls", "pending_user_message", "pending_attachments", "x_usage"):
        assert getattr(found, key) == getattr(whole, key)


def test_replacing_an_unread_value_changes_nothing_else(models: WebUIModels, trip: str, session: Any) -> None:
    session.tool_calls = []
    session.brand_new = 1
    session.save()
    found = models.Session.load(trip)
    assert (found.tool_calls, found.brand_new, found.x_usage) == ([], 1, {"in": 1})
    assert found.messages == said("hello", "hi")


@pytest.mark.parametrize("messages", [[], [{"content": "all new"}], [*said("hello", "hi"), {"content": "one more"}]])
def test_messages_that_are_replaced_unread_are_replaced(
    models: WebUIModels, trip: str, session: Any, messages: list[Any]
) -> None:
    session.messages = copy.deepcopy(messages)
    session.save()
    found = models.Session.load(trip)
    assert (found.messages, found.tool_calls) == (messages, CALLS)
