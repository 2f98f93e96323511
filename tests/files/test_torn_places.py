"""Files that are torn between two values: what is whole after the tear is read, whatever it is that begins there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.files import ImportItem, import_directory
from hermes_store.files.reading import UnreadableError, parse_session
from tests.support.state_dir import StateDir, by_name

_ANCHOR = {"role": "user", "ts": 1}
_TOOL_CALLS = [{"name": "terminal", "args": {"role": "x"}, "assistant_msg_idx": 1}]


def _said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(texts)]


def _new(messages: list[Any]) -> dict[str, Any]:
    """A session with its messages after its values, as the WebUI writes it since 2026."""
    head = {"session_id": "s", "title": "T", "created_at": 1778458282.5, "compression_anchor_message_key": _ANCHOR}
    return {**head, "messages": messages, "tool_calls": _TOOL_CALLS, "gateway_routing": {"tier": [1, 2]}}


def _old(messages: list[Any]) -> dict[str, Any]:
    """A session with its messages before most of its values, as v0.1.0 wrote it."""
    return {"session_id": "s", "messages": messages, "title": "T", "tool_calls": [], "created_at": 1774900000.5}


Shape = Callable[[list[Any]], dict[str, Any]]

FORMATS: dict[str, dict[str, Any]] = {
    "one line": {},
    "no blanks": {"separators": (",", ":")},
    "indented by 2": {"indent": 2},
    "indented by 4": {"indent": 4},
}
_formats = pytest.mark.parametrize("form", FORMATS)
_shapes = pytest.mark.parametrize("shape", [_new, _old])


def _text(data: dict[str, Any], form: str) -> bytes:
    return json.dumps(data, **FORMATS[form]).encode()


_token = re.compile(rb'"(?:[^"\\]|\\.)*+"|[][{},:]|[^][{},:\s"]+')


def _places(text: bytes) -> list[int]:
    """Return where the tokens of a text begin and end: the bytes between which no text or number is torn."""
    places = {place for match in _token.finditer(text) for place in match.span()}
    return sorted(places - {0, len(text)})


def _begins(data: dict[str, Any], text: bytes) -> list[int]:
    """Return where each of a session's messages begins in its text."""
    begins, at = [], text.index(b'"messages"')
    decoder = json.JSONDecoder()
    for message in data["messages"]:
        at = text.index(b"{", at)
        begins.append(at)
        value, end = decoder.raw_decode(text.decode("ascii"), at)
        assert value == message
        at = end
    return begins


def _import(store: Store, state: StateDir, contents: dict[str, bytes]) -> dict[str, tuple[ImportItem, list[Any]]]:
    """Import files, and return what is said of each, and its messages in the store."""
    for name, content in contents.items():
        state.write(name, content)
    items = by_name(import_directory(store, state.root))
    return {
        name: (item, [] if item.outcome == "failed" else list(store.messages.read(item.id or "")))
        for name, item in items.items()
        if not name.endswith(".bak")
    }


# ── The beginning is missing ──────────────────────────────────────────────────────────────────────

#: Some are the same: none of these may be taken for a copy of another one.
MESSAGES = [*_said("go on", "ok", "go on", "ok"), {"role": "user", "content": [{"type": "text", "text": "{[,:]}"}]}]


@pytest.mark.slow
@_shapes
@_formats
def test_messages_after_a_missing_beginning_are_read(
    sqlite_store: Store, state: StateDir, shape: Shape, form: str
) -> None:
    data = shape(MESSAGES)
    text = _text(data, form)
    begins = _begins(data, text)
    found = _import(sqlite_store, state, {f"at{place}.json": text[place:] for place in _places(text)})
    for place in _places(text):
        item, stored = found[f"at{place}.json"]
        expected = [message for message, begin in zip(MESSAGES, begins, strict=True) if begin >= place]
        assert stored == expected, (text[place:], item.reason)
        assert item.outcome == "recovered" if expected else item.outcome in ("recovered", "failed")
        if item.outcome == "recovered" and place > 1:  # the first key comes after the bracket
            assert "the beginning of the session is missing or damaged" in item.reason


@pytest.mark.slow
@_shapes
@_formats
@pytest.mark.parametrize("count", [2, 9])
def test_the_fuller_of_file_and_backup_is_taken(
    sqlite_store: Store, state: StateDir, shape: Shape, form: str, count: int
) -> None:
    data = shape(MESSAGES)
    text, in_backup = _text(data, form), _said(*map(str, range(count)))
    begins = _begins(data, text)
    backup = _text(_new(in_backup), form)
    contents = {f"at{place}.json": text[place:] for place in _places(text)}
    found = _import(sqlite_store, state, contents | {f"{name}.bak": backup for name in contents})
    for place in _places(text):
        item, stored = found[f"at{place}.json"]
        whole = [message for message, begin in zip(MESSAGES, begins, strict=True) if begin >= place]
        assert item.outcome == "recovered"
        if len(whole) >= count:
            assert stored == whole
            assert re.search(rf"its \.bak of .* has {count} messages and was left out", item.reason)
        else:
            assert stored == in_backup
            assert "taken from its .bak" in item.reason
            assert not whole or f"the file itself has {len(whole)} whole message" in item.reason


@_formats
@pytest.mark.parametrize("keys", [{"session_id": "s"}, {"title": "T"}, {"messages": [1]}])
def test_a_first_message_with_session_keys_is_read(
    sqlite_store: Store, state: StateDir, form: str, keys: dict[str, Any]
) -> None:
    data = _new([{"role": "user", "content": "first", **keys}, *MESSAGES])
    text = _text(data, form)
    begin = _begins(data, text)[0]
    contents = {"object.json": text[begin:], "array.json": text[text.rindex(b"[", 0, begin) :]}
    for item, stored in _import(sqlite_store, state, contents).values():
        assert (item.outcome, stored) == ("recovered", data["messages"])


@pytest.mark.parametrize("indent", [2, 4])
def test_an_indented_first_line_is_read(sqlite_store: Store, state: StateDir, indent: int) -> None:
    text = json.dumps(_new(MESSAGES), indent=indent).encode()
    begin = text.index(b'"title"') - indent
    ((item, stored),) = _import(sqlite_store, state, {"s.json": text[begin:]}).values()
    assert stored == MESSAGES
    assert sqlite_store.sessions.get(item.id or "").title == "T"


@pytest.mark.parametrize("indent", [2, 4])
def test_a_part_of_an_indentation_costs_no_message(sqlite_store: Store, state: StateDir, indent: int) -> None:
    data = _new(MESSAGES)
    text = json.dumps(data, indent=indent).encode()
    places = [begin - blanks for begin in _begins(data, text) for blanks in range(2 * indent + 2)]
    found = _import(sqlite_store, state, {f"at{place}.json": text[place:] for place in places})
    for number, place in enumerate(places):
        assert found[f"at{place}.json"][1] == MESSAGES[number // (2 * indent + 2) :]


def test_a_whole_array_of_messages_is_no_session(sqlite_store: Store, state: StateDir) -> None:
    ((item, _),) = _import(sqlite_store, state, {"a.json": json.dumps(MESSAGES).encode()}).values()
    assert item.outcome == "failed"
    assert item.reason == "it is no session: it holds a JSON array, not an object"


@pytest.mark.parametrize("form", ["one line", "no blanks"])
def test_messages_inside_another_value_are_read(sqlite_store: Store, state: StateDir, form: str) -> None:
    text = _text(_new(MESSAGES), form)
    begin, end = text.index(b'ts"'), text.index(b'messages": [' if form == "one line" else b'messages":[')
    ((item, stored),) = _import(sqlite_store, state, {"s.json": text[:begin] + text[end:]}).values()
    assert (item.outcome, stored) == ("recovered", MESSAGES)
    assert sqlite_store.sessions.get("s").title == "T"


# ── Two writers ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@_shapes
@_formats
@pytest.mark.parametrize("count", [6, 2, 0])
def test_a_session_inside_another_one_is_read(
    sqlite_store: Store, state: StateDir, shape: Shape, form: str, count: int
) -> None:
    first, second = _said(*"abcd"), _said(*map(str, range(count)))
    data = shape(first)
    text, whole = _text(data, form), _text({**shape(second), "title": "Second"}, form)
    begins = _begins(data, text)
    found = _import(sqlite_store, state, {f"at{place}.json": text[:place] + whole for place in _places(text)})
    for place in _places(text):
        item, stored = found[f"at{place}.json"]
        assert item.outcome == "recovered", (text[:place], item.reason)
        if stored[-count:] != second:  # then the other one has more
            assert f"left out are those of {count} messages" in item.reason, text[:place]
            assert stored == first[: len(stored)]
        else:
            assert stored[: len(stored) - count] == first[: len(stored) - count]
        if place < begins[0] and text[place - 1 : place] == b":" and text.count(b"{", 0, place) == 1:
            assert sqlite_store.sessions.get(item.id or "").title == "Second"


@pytest.mark.parametrize("form", ["one line", "no blanks"])
def test_an_object_with_messages_stays_a_value(sqlite_store: Store, state: StateDir, form: str) -> None:
    draft = {"text": "and", "messages": ["x", {"text": "y"}]}
    text = _text({"session_id": "s", "title": "T", "draft": draft, "messages": []}, form)
    torn = text[: text.rindex(b'"messages"')].rstrip(b" \n,")
    ((item, stored),) = _import(sqlite_store, state, {"s.json": torn}).values()
    assert (item.outcome, stored) == ("recovered", [])
    assert sqlite_store.sessions.get("s").title == "T"
    assert sqlite_store.documents.read("s") == {"draft": draft}


# ── Any messages ──────────────────────────────────────────────────────────────────────────────────

_texts = st.text(st.sampled_from('ab "{}[],:\\\n'), max_size=8)
_messages: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    role=st.sampled_from(["user", "assistant"]),
    content=_texts | st.lists(st.builds(dict, type=st.just("text"), text=_texts), max_size=2),
)


@given(messages=st.lists(_messages, min_size=1, max_size=4), form=st.sampled_from(sorted(FORMATS)), data=st.data())
def test_messages_after_any_torn_place_are_read(messages: list[Any], form: str, data: st.DataObject) -> None:
    session = _new(messages)
    text = _text(session, form)
    place = data.draw(st.sampled_from(_places(text)))
    expected = [message for message, at in zip(messages, _begins(session, text), strict=True) if at >= place]
    try:
        stored = parse_session(text[place:]).messages
    except UnreadableError:
        assert expected == []
    else:
        assert [json.loads(message.payload) for message in stored] == expected
    both = parse_session(text[:place] + text)
    assert both.damage
    assert [json.loads(message.payload) for message in both.messages][-len(messages) :] == messages


# ── Whole files ───────────────────────────────────────────────────────────────────────────────────


@_formats
@pytest.mark.parametrize("ending", ["", "\0", "\ud800"], ids=["plain", "with NUL bytes", "with a lone surrogate"])
def test_messages_that_look_like_sessions_stay_messages(
    sqlite_store: Store, state: StateDir, form: str, ending: str
) -> None:
    inner = _new(_said("x", "y", "z"))
    messages = [{"role": "user", "content": inner, **inner}, inner, {"messages": _said("x")}, {"text": ending}]
    content = _text({**_new(messages), "snapshot": inner}, form) + (b"\0" if ending == "\0" else b"")
    ((item, stored),) = _import(sqlite_store, state, {"s.json": content}).values()
    assert (item.outcome, stored) == ("imported", messages)
    assert sqlite_store.documents.read("s")["snapshot"] == inner
