"""Fields that two live objects changed: which value the session gets, and what the objects show then."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui.field_policy import add_up, later
from tests.support.statements import executed
from tests.support.webui.sessions import said, warnings_of

COUNTERS = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "estimated_cost"]


# ── Counters ──


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", COUNTERS)
def test_increments_of_both_add_up(pair: Any, stored_of: Any, name: str, whole: bool) -> None:
    sessions = pair(whole=whole, **{name: 10})
    for increments in ((5, 7), (3, 3)):
        for session, increment in zip(sessions, increments, strict=True):
            setattr(session, name, getattr(session, name) + increment)
        sessions.save()
    assert getattr(stored_of(sessions), name) == getattr(sessions.second, name) == 28
    assert not sessions.second.is_dirty()


@pytest.mark.parametrize("name", ["cache_read_tokens", "estimated_cost"])
def test_a_missing_counter_counts_from_zero(pair: Any, stored_of: Any, name: str) -> None:
    sessions = pair()
    for session in sessions:
        setattr(session, name, 2)
    sessions.save()
    assert getattr(stored_of(sessions), name) == getattr(sessions.second, name) == 4


def test_counter_set_back_keeps_the_other_s_count(pair: Any, stored_of: Any) -> None:
    sessions = pair(input_tokens=100)
    sessions.first.input_tokens += 5
    sessions.second.input_tokens = 0
    sessions.save()
    assert stored_of(sessions).input_tokens == 5


SUMS: list[tuple[Any, Any, Any, Any]] = [
    # base, local, remote, the sum
    (10, 15, 17, 22),
    (None, 0.5, 0.25, 0.75),
    (10, 0, 0, None),
    (10, None, 0, None),
    (float("nan"), 1, 2, None),
    (1, float("inf"), 2, None),
    (1, "many", 2, None),
    (1, True, 2, None),
    (0, 1e308, 1e308, None),
    (0, 10**400, 1.5, None),
    (2**70, 2**70 + 1, 2**70 + 2, 2**70 + 3),
]


@pytest.mark.parametrize(("base", "local", "remote", "total"), SUMS)
def test_only_numbers_add_up(base: Any, local: Any, remote: Any, total: Any) -> None:
    assert add_up(base, local, remote) == total


def test_the_last_writer_wins_for_a_nonnumeric_counter(pair: Any, stored_of: Any) -> None:
    sessions = pair(input_tokens=1)
    sessions.first.input_tokens, sessions.second.input_tokens = 2, "many"
    sessions.save()
    assert stored_of(sessions).input_tokens == "many"


# ── Lists of records ──


def test_merged_tool_calls_of_both_name_their_messages(pair: Any, stored_of: Any) -> None:
    calls = [{"name": "ls", "assistant_msg_idx": 1}]
    sessions = pair(tool_calls=calls)
    held = sessions.second.tool_calls
    for session, name, count in zip(sessions, ("cat", "rm"), (1, 2), strict=True):
        session.messages += said(*(f"{name} {number}" for number in range(count)))
        session.tool_calls.append({"name": name, "assistant_msg_idx": len(session.messages) - 1})
        session.tool_calls.append({"name": name, "assistant_msg_idx": None})
    last = held[-2]
    sessions.save()
    expected = [*calls, *({"name": "cat", "assistant_msg_idx": at} for at in (2, None))]
    expected += [{"name": "rm", "assistant_msg_idx": at} for at in (4, None)]
    assert stored_of(sessions).tool_calls == sessions.second.tool_calls == expected
    assert [message["content"] for message in stored_of(sessions).messages[2:]] == ["cat 0", "rm 0", "rm 1"]
    assert sessions.second.tool_calls is held
    assert held[-2] is last
    assert not sessions.second.is_dirty()


def test_a_merge_renumbers_tool_calls_of_one_side(pair: Any, stored_of: Any) -> None:
    sessions = pair()
    sessions.first.messages += said("first")
    sessions.second.messages += said("second")
    sessions.second.tool_calls = [{"name": "ls", "assistant_msg_idx": 2}]
    sessions.save()
    assert stored_of(sessions).tool_calls == sessions.second.tool_calls == [{"name": "ls", "assistant_msg_idx": 3}]


def test_adopted_calls_name_their_messages_after_a_merge(pair: Any, stored_of: Any) -> None:
    sessions = pair()
    sessions.first.messages += said("first")
    sessions.first.tool_calls = [{"name": "ls", "assistant_msg_idx": 2}]
    sessions.second.messages.insert(0, {"role": "system"})
    sessions.save()
    assert stored_of(sessions).tool_calls == sessions.second.tool_calls == [{"name": "ls", "assistant_msg_idx": 3}]


@pytest.mark.parametrize("name", ["gateway_routing_history", "new_list"])
def test_other_lists_of_records_are_joined(pair: Any, stored_of: Any, name: str) -> None:
    sessions = pair(gateway_routing_history=[{"n": 0}])
    for number, session in enumerate(sessions):
        setattr(session, name, [*getattr(session, name, []), {"n": f"of {number}"}])
    sessions.save()
    expected = [*([{"n": 0}] if name == "gateway_routing_history" else []), {"n": "of 0"}, {"n": "of 1"}]
    assert getattr(stored_of(sessions), name) == getattr(sessions.second, name) == expected


@pytest.mark.parametrize("lists", [([1], [2]), ([{"a": 1}], [3]), ([{"a": 0}, {"b": 1}], [{"c": 1}])])
def test_of_lists_that_diverge_the_last_is_kept(pair: Any, stored_of: Any, lists: Any) -> None:
    sessions = pair(enabled=[{"a": 0}])
    sessions.first.enabled, sessions.second.enabled = lists
    sessions.save()
    assert stored_of(sessions).enabled == sessions.second.enabled == lists[1]


# ── The title ──

BY_HAND: dict[str, Any] = {"title": "Rome"}
OF_MODEL: dict[str, Any] = {"title": "A Trip to Italy", "llm_title_generated": True}
TITLES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    # before, what the first one assigns, and the second one, and the title
    ({"title": "Untitled"}, BY_HAND, {"title": "a"}, "Rome"),
    ({"title": "Untitled"}, BY_HAND, OF_MODEL, "Rome"),
    ({}, BY_HAND, {"title": "Untitled"}, "Rome"),
    ({"title": "Untitled"}, {"title": "a"}, BY_HAND, "Rome"),
    ({"title": "Untitled"}, OF_MODEL, BY_HAND, "Rome"),
    ({"title": "Untitled"}, {"title": "a"}, OF_MODEL, "A Trip to Italy"),
    ({"title": "a", "llm_title_generated": True}, BY_HAND, {"title": "Oslo"}, "Oslo"),
    (
        {"llm_title_generated": True, "manual_title": False},
        {**BY_HAND, "manual_title": True},
        {"title": "A new title"},
        "Rome",
    ),
    ({}, BY_HAND, {"title": "a", "manual_title": True}, "a"),
]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("before", "assigned", "title"), [(one[0], one[1:3], one[3]) for one in TITLES])
def test_a_title_given_by_hand_is_kept(
    pair: Any, before: dict[str, Any], assigned: tuple[dict[str, Any], ...], title: str, whole: bool
) -> None:
    sessions = pair(whole=whole, **before)
    for session, values in zip(sessions, assigned, strict=True):
        for key, value in values.items():
            setattr(session, key, value)
    sessions.save()
    assert sessions.second.title == title
    assert not sessions.second.is_dirty()


def test_the_first_message_title_loses_in_long_transcripts(pair: Any, stored_of: Any) -> None:
    sessions = pair(title="Untitled", messages=said(*map(str, range(100))))
    sessions.first.title, sessions.second.title = "0", "A trip"
    sessions.second.llm_title_generated = True
    sessions.save()
    assert stored_of(sessions).title == "A trip"


def test_an_answer_lands_when_its_title_does_not(pair: Any, stored_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    sessions = pair(title="Untitled", messages=said("to Rome?"))
    sessions.first.title = "Rome"
    sessions.second.messages.append({"role": "assistant", "content": "Yes"})
    sessions.second.title = "to Rome?"
    sessions.save()
    found = stored_of(sessions)
    assert (found.title, sessions.second.title) == ("Rome", "Rome")
    assert [message["content"] for message in found.messages] == ["to Rome?", "Yes"]
    (warning,) = warnings_of(caplog)
    assert "'title'" in warning


# ── The stream ──

BEGUN = {
    "active_stream_id": "s2",
    "pending_user_message": "and then?",
    "pending_attachments": [{"name": "a.png"}],
    "pending_started_at": 5.0,
}
IDLE = {
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": list[Any](),
    "pending_started_at": None,
}


@pytest.mark.parametrize("order", [(BEGUN, IDLE), (IDLE, BEGUN)], ids=["begun first", "cleared first"])
def test_a_begun_stream_is_not_cleared_by_another(pair: Any, stored_of: Any, order: Any) -> None:
    sessions = pair(active_stream_id="s1", pending_user_message="hello", pending_started_at=1.0)
    for session, values in zip(sessions, order, strict=True):
        for key, value in values.items():
            setattr(session, key, value)
    sessions.save()
    for session in (sessions.second, stored_of(sessions)):
        assert {key: getattr(session, key) for key in BEGUN} == BEGUN


def test_the_last_of_two_streams_is_kept_whole(pair: Any, stored_of: Any) -> None:
    sessions = pair()
    for key, value in BEGUN.items():
        setattr(sessions.first, key, value)
    sessions.second.active_stream_id, sessions.second.pending_user_message = "s3", "no"
    sessions.save()
    for session in (sessions.second, stored_of(sessions)):
        assert {key: getattr(session, key) for key in BEGUN} == {
            **IDLE,
            "active_stream_id": "s3",
            "pending_user_message": "no",
        }


# ── The time of the last change ──


@pytest.mark.parametrize(("first", "second"), [(8_000.0, 9_000.0), (9_000.0, 8_000.0)])
def test_the_later_of_two_change_times_is_kept(pair: Any, stored_of: Any, first: float, second: float) -> None:
    sessions = pair()
    for session, time in zip(sessions, (first, second), strict=True):
        session.updated_at = time
        session.save(touch_updated_at=False)
    assert stored_of(sessions).updated_at == sessions.second.updated_at == 9_000.0


def test_a_time_is_later_than_no_time() -> None:
    assert [later(1.0, None), later(None, 1.0), later("x", 1.0), later(1.0, 1.0)] == [
        "local",
        "remote",
        "remote",
        "local",
    ]


# ── Any other field ──

# What the first one changes, and what the second one changes later and is kept.
LAST_ONE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "title": (lambda first: setattr(first, "title", "Rome"), lambda second: setattr(second, "title", "Oslo")),
    "an odd title": (lambda first: setattr(first, "title", ["Rome"]), lambda second: setattr(second, "title", "Oslo")),
    "tool_calls": (
        lambda first: setattr(first, "tool_calls", [1]),
        lambda second: second.tool_calls[0]["args"].update(path="/"),
    ),
    "last_usage": (
        lambda first: setattr(first, "last_usage", {"in": 9}),
        lambda second: second.last_usage.update(out=2),
    ),
    "brand_new": (lambda first: setattr(first, "brand_new", 1), lambda second: setattr(second, "brand_new", 2)),
    "a removal of last_usage": (
        lambda first: delattr(first, "last_usage"),
        lambda second: second.last_usage["deep"][1].update(x=2),
    ),
    "project_id": (lambda first: setattr(first, "project_id", "p"), lambda second: setattr(second, "project_id", "q")),
}


@pytest.mark.parametrize("name", LAST_ONE)
def test_the_last_value_wins_with_one_warning(
    pair: Any, stored_of: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = pair(tool_calls=[{"args": {"path": "."}}], last_usage={"in": 1, "deep": [1, {"x": 1}]})
    for session, change in zip(sessions, LAST_ONE[name], strict=True):
        change(session)
        session.messages += said("more")
    key = name.rsplit(maxsplit=1)[-1]
    value = copy.deepcopy(getattr(sessions.second, key))
    sessions.save()
    for session in (sessions.second, stored_of(sessions)):
        assert getattr(session, key) == value
        assert [message["content"] for message in session.messages] == ["a", "b", "more"]
    (warning,) = warnings_of(caplog)
    assert f"'{key}' was changed by two writers" in warning
    assert "Rome" not in warning
    sessions.second.save()
    assert not warnings_of(caplog)


def test_merging_a_rename_and_pin_reads_no_message(sqlite_store: Store, pair: Any) -> None:
    sessions = pair(whole=False)
    sessions.first.pinned, sessions.second.title = True, "Rome"
    sessions.first.save()
    statements = " ".join(text for text, _ in executed(sqlite_store, sessions.second.save))
    assert "FROM messages" not in statements
    assert "message_blobs" not in statements
