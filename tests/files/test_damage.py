"""Damaged files: what is whole in them is imported, and the report says what is wrong and what is missing."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.files import ImportItem, import_directory
from tests.support.json_values import nested_arrays
from tests.support.paths import EXAMPLE_STATE_DIR
from tests.support.state_dir import SPEC, StateDir, as_json, by_name, session

EXAMPLE = EXAMPLE_STATE_DIR / "sessions"


def _import(store: Store, state: StateDir, contents: dict[str, bytes]) -> dict[str, ImportItem]:
    """Import files of these contents; require that each is accounted for, and that what it says is so."""
    for name, content in contents.items():
        state.write(f"{name}.json", content)
    items = by_name(import_directory(store, state.root))
    assert items.keys() == {f"{name}.json" for name in contents}
    for item in items.values():
        assert item.outcome in ("imported", "recovered", "failed")
        assert bool(item.reason) == (item.outcome != "imported"), item
        if item.outcome == "failed":
            assert not store.sessions.exists(Path(item.path).stem)
        else:
            assert item.messages == store.sessions.get(item.id or "").message_count
            assert len(store.messages.read(item.id or "")) == item.messages
    return {name.removesuffix(".json"): item for name, item in items.items()}


# ── Torn: the end is missing ──────────────────────────────────────────────────────────────────────

_META = {"title": "t 🚀", "model": "m", "tool_calls": [{"n": 12}]}
TORN: dict[str, dict[str, Any]] = {
    "messages last": {**_META, "messages": [{"role": "user", "content": 'é\ud83d"]}\\'}, "b", None, {"n": [[], {}]}]},
    "messages first": {"messages": ["a", {"role": "tool", "content": "你好 🚀 }],"}, True], **_META},
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", TORN)
def test_messages_before_a_cut_anywhere_are_recovered(sqlite_store: Store, state: StateDir, shape: str) -> None:
    original = TORN[shape]
    text = json.dumps(original, ensure_ascii=shape == "messages last").encode()
    items = _import(sqlite_store, state, {f"cut{size}": text[:size] for size in range(len(text))})
    longest = 0
    for size in range(len(text)):
        item = items[f"cut{size}"]
        if size == 0:
            assert item.reason == "it is empty"
            continue
        _require_byte(item.reason, size)
        if item.outcome == "failed":
            continue
        messages = sqlite_store.messages.read(item.id or "")
        assert messages == original["messages"][: len(messages)]
        assert len(messages) >= longest  # a longer piece never gives less
        longest = len(messages)
        kept = {**sqlite_store.sessions.get(item.id or "").model_dump(), **sqlite_store.documents.read(item.id or "")}
        assert {key for key in ("title", "model", "tool_calls") if kept.get(key) not in (original[key], None)} <= {
            "title"
        }
        assert kept["title"] in (original["title"], "Untitled")
    assert longest == len(original["messages"])


def _require_byte(reason: str, size: int) -> None:
    found = re.search(r"at byte (\d+) of (\d+)", reason)
    assert found, reason
    assert int(found[2]) == size
    assert int(found[1]) <= size


def test_the_report_counts_kept_and_lost_messages(sqlite_store: Store, state: StateDir) -> None:
    text = as_json(session("a", "one", "two", "three"))
    state.write("a.json", text[: text.index(b'hree"')])
    state.write("_index.json", [{"session_id": "a", "message_count": 3}, 5, {"session_id": "b"}])
    item = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert item.outcome == "recovered"
    assert item.reason.startswith(f"it is torn or damaged at byte {text.index(b'hree') - 2} of {text.index(b'hree')} (")
    assert "2 whole messages were read, and what comes after them is missing" in item.reason
    assert "(the index counts 3 messages)" in item.reason


NUMBERS = [
    "17",
    "1774979520.",
    "17749.5e",
    "17749.5e-",
    "17749.5E+",
    "-",
    "-0",
    "-0.",
    "17\0\0\0\0",
    "17749.5\0",
    "17#9",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_without_a_visible_end_is_ignored(sqlite_store: Store, state: StateDir, number: str) -> None:
    items = _import(
        sqlite_store,
        state,
        {
            "field": b'{"title": "t", "updated_at": 5.5, "messages": ["a"], "created_at": %s' % number.encode(),
            "message": b'{"title": "t", "created_at": 4.5, "updated_at": 5.5, "messages": ["a", %s' % number.encode(),
        },
    )
    assert {item.outcome.value for item in items.values()} == {"recovered"}
    assert sqlite_store.messages.read("message") == sqlite_store.messages.read("field") == ["a"]
    assert sqlite_store.sessions.get("field").created_at == 5.5  # the time of its last change, for want of its own


# ── Damaged anywhere ──────────────────────────────────────────────────────────────────────────────

Damage = Callable[[bytes, random.Random], bytes]


def _span(content: bytes, chance: random.Random) -> slice:
    start = chance.randrange(len(content))
    return slice(start, start + chance.choice([1, 1, 2, 7, 50, 512, 4096]))


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _put(content: bytes, chance: random.Random, insertion: bytes) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + insertion + content[place:]


def _without(content: bytes, span: slice, fill: bytes = b"") -> bytes:
    return content[: span.start] + fill * (min(span.stop, len(content)) - span.start) + content[span.stop :]


DAMAGES: dict[str, Damage] = {
    "cut": lambda content, chance: content[: chance.randrange(len(content))],
    "flip": _flip,
    "delete": lambda content, chance: _without(content, _span(content, chance)),
    "zero": lambda content, chance: _without(content, _span(content, chance), b"\0"),
    "zero-filled end": lambda content, chance: _without(
        content, slice(chance.randrange(len(content)), len(content)), b"\0"
    ),
    "insert bytes": lambda content, chance: _put(content, chance, chance.randbytes(chance.choice([1, 4, 100]))),
    "insert marks": lambda content, chance: _put(
        content, chance, chance.choice([b'"', b"{", b"]", b",", b":", b"\\", b"1"])
    ),
    "repeat": lambda content, chance: _put(content, chance, content[_span(content, chance)]),
    "begin in the middle": lambda content, chance: content[chance.randrange(len(content)) :],
    "two writers": lambda content, chance: content[: chance.randrange(len(content))] + content,
    "old end": lambda content, chance: content + content[chance.randrange(len(content)) :],
}


def _originals() -> Iterator[bytes]:
    for name in ("18fa6d02b7ce", "b84e1d73f06a", "3f9c1e7a04b2"):
        yield (EXAMPLE / f"{name}.json").read_bytes()
    yield json.dumps(SPEC).encode()


def _same(one: bytes, other: bytes) -> int:
    """Return how many bytes are the same at the beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _undamaged(original: bytes, damaged: bytes) -> tuple[list[Any], list[Any]]:
    """Return the messages of a file that end before its first damaged byte, and those that begin after the last."""
    same_before, same_after = _same(original, damaged), _same(original[::-1], damaged[::-1])
    text = original.decode()
    before, after = [], []
    start = text.index("{", text.index('"messages"'))
    for message in json.loads(original)["messages"]:
        read, end = json.JSONDecoder().raw_decode(text, start)
        assert read == message
        if len(text[:end].encode()) < same_before:
            before.append(message)
        elif len(text[start:].encode()) < same_after:
            after.append(message)
        start = text.find("{", end)
    return before, after


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_anywhere_costs_no_message_outside_it(sqlite_store: Store, state: StateDir, damage: str) -> None:
    chance = random.Random(damage)
    originals = list(_originals())
    copies = {f"copy{n}": DAMAGES[damage](originals[n % len(originals)], chance) for n in range(60)}
    items = _import(sqlite_store, state, copies)
    for number, (name, content) in enumerate(copies.items()):
        before, after = _undamaged(originals[number % len(originals)], content)
        found = list(sqlite_store.messages.read(name)) if items[name].outcome != "failed" else []
        assert found[: len(before)] == before
        if damage == "repeat":  # a message that is there twice has the place of one of them
            assert [message for message in after if message not in found] == []
        else:
            assert found[len(found) - len(after) :] == after
        if damage in ("cut", "zero-filled end"):
            original = json.loads(originals[number % len(originals)])["messages"]
            assert found == original[: len(found)]  # nothing was made of what is left of a message
        if damage == "old end":
            assert "the session ends here" in items[name].reason
            assert found == json.loads(originals[number % len(originals)])["messages"]


@pytest.fixture(scope="module")
def one_store() -> Iterator[Store]:
    with Store.open(":memory:") as store:
        yield store


_marks = rb"""{"title":"t" "messages" messages [ ] { } , : null 1 -1.5e3 " "a" "\ud83d" NaN "session_id" [1] {} \ """
_pieces = st.sampled_from([*_marks.split(), b" ", b'"\xed\xa0\xbd"', b"\xff", b"\0", b"\xef\xbb\xbf"])


@given(content=st.binary(max_size=60) | st.lists(_pieces, max_size=14).map(b"".join))
def test_no_bytes_at_all_stop_the_import(
    one_store: Store, tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    state = StateDir(tmp_path_factory.mktemp("any") / "webui")
    name = f"s{one_store.sessions.count(include_empty=True)}"
    state.write(f"{name}.json", content)
    (item,) = import_directory(one_store, state.root).items
    assert item.outcome in ("imported", "recovered", "failed")
    assert item.outcome == "imported" or item.reason


@pytest.mark.parametrize("key", [b"1", b"null", b"true", b"NaN", b'["list"]', b"{}"])
def test_a_key_that_is_no_text_is_damage(sqlite_store: Store, state: StateDir, key: bytes) -> None:
    head = b'{"title": "t", "messages": ["a"], ' + key
    contents = {"going on": head + b": 2,", "torn": head + b': 2, "x', "closed": head + b": 2}"}
    for item in _import(
        sqlite_store, state, {name.replace(" ", "-"): text for name, text in contents.items()}
    ).values():
        assert item.outcome == "recovered"
        assert sqlite_store.messages.read(item.id or "") == ["a"]
        assert sqlite_store.documents.read(item.id or "") == {}


# ── What it looks like ────────────────────────────────────────────────────────────────────────────

WHOLE = as_json(session("a", "one", "zwei 😀"))
BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_damage(sqlite_store: Store, state: StateDir) -> None:
    item = _import(sqlite_store, state, {"a": BOM + WHOLE})["a"]
    assert (item.outcome, item.notes) == ("imported", [])
    assert sqlite_store.messages.read("a") == ["one", "zwei 😀"]


@pytest.mark.parametrize("mark", [b"", BOM], ids=["plain", "after a byte order mark"])
def test_the_reported_byte_offset_matches_the_file(sqlite_store: Store, state: StateDir, mark: bytes) -> None:
    head = mark + '{"title": "日本 😀", '.encode()
    item = _import(sqlite_store, state, {"a": head + b"oops}"})["a"]
    assert f"at byte {len(head)} of {len(head) + 5} " in item.reason
    state.write("b.json", head + b'"x": "\xff"}')
    assert (
        f"at byte {len(head) + 6} of {len(head) + 9}"
        in by_name(import_directory(sqlite_store, state.root))["b.json"].reason
    )


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_unicode_encodings_are_never_misread(sqlite_store: Store, state: StateDir, codec: str) -> None:
    content = WHOLE.decode().encode(codec)
    items = _import(sqlite_store, state, {"whole": content, "cut": content[: len(content) // 2], "odd": content[:-1]})
    for item in items.values():
        if item.outcome != "failed":
            messages = sqlite_store.messages.read(item.id or "")
            assert messages == ["one", "zwei 😀"][: len(messages)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\0" * 4096, "it is empty (4096 blank bytes)"),
        (b" \n\t\r\n", "it is empty (5 blank bytes)"),
        (b"PK\x03\x04 no JSON", "it is torn or damaged at byte 0 of 12"),
        (b'{"x": "caf\xe9"}', "it is not UTF-8 at byte 10 of 13"),
        (b'["a"]{"title": "t"}', "several JSON values"),
    ],
)
def test_an_unreadable_file_is_reported_with_its_problem(
    sqlite_store: Store, state: StateDir, content: bytes, reason: str
) -> None:
    item = _import(sqlite_store, state, {"a": content})["a"]
    assert item.outcome == "failed"
    assert reason in item.reason


@pytest.mark.parametrize(
    ("inner", "is_read"),
    [(nested_arrays(5000), True), (nested_arrays(5000)[:4000], False), (b"9" * 5000, False), (b"1e999999", True)],
    ids=["nested", "nested without end", "digits", "exponent"],
)
def test_messages_around_an_extreme_value_are_recovered(
    sqlite_store: Store, state: StateDir, inner: bytes, is_read: bool
) -> None:
    first, last = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    messages = b", ".join([json.dumps(first).encode(), inner, json.dumps(last).encode()])
    item = _import(sqlite_store, state, {"a": b'{"title": "t", "messages": [' + messages + b"]"})["a"]
    assert (item.outcome, item.messages) == ("recovered", 2 + is_read)
    found = sqlite_store.messages.read("a")
    assert (found[0], found[-1]) == (first, last)
    assert sqlite_store.sessions.get("a").title == "t"


# ── More after the end ────────────────────────────────────────────────────────────────────────────


def _numbered(count: int, **fields: Any) -> dict[str, Any]:
    return session("a", *({"role": "user", "content": str(number)} for number in range(count)), **fields)


def _followed() -> dict[str, tuple[bytes, int]]:
    """Files that begin with a whole session and go on, with how many messages are whole in them."""
    full, head = json.dumps(_numbered(40)).encode(), json.dumps({"session_id": "a", "title": "t"}).encode()
    lines = [head, *(json.dumps(message).encode() for message in _numbered(40)["messages"])]
    short, long = as_json(_numbered(2)), as_json(_numbered(40))
    one_line = json.dumps(_numbered(2)).encode()
    return {
        "a stub, then the session": (json.dumps(_numbered(0)).encode() + b"\n" + full, 40),
        "indented, then the session": (as_json(_numbered(0)) + long, 40),
        "a message a line": (b"\n".join(lines), 40),
        "a short text over a long one": (short + long[len(short) :], 39),
        "the same on one line": (one_line + full[len(one_line) :], 39),
        "two whole copies": (json.dumps(_numbered(39)).encode() + full, 40),
        "the longer copy first": (long + short, 40),
        "something else": (long + b"\nlog: saved", 40),
    }


@pytest.mark.parametrize("name", _followed())
def test_a_file_with_trailing_content_never_overwrites(sqlite_store: Store, state: StateDir, name: str) -> None:
    content, _ = _followed()[name]
    state.write("a.json", _numbered(41))
    import_directory(sqlite_store, state.root)
    state.write("a.json", content, age=1800)
    (item,) = import_directory(sqlite_store, state.root, prefer="files").items
    assert item.outcome == "conflict"
    assert "the store's copy was kept" in item.reason
    assert sqlite_store.messages.count("a") == 41


@pytest.mark.parametrize("name", _followed())
def test_whole_messages_after_a_sessions_end_are_recovered(sqlite_store: Store, state: StateDir, name: str) -> None:
    content, count = _followed()[name]
    item = _import(sqlite_store, state, {"a": content})["a"]
    assert (item.outcome, item.messages) == ("recovered", count)
    assert "the session ends here" in item.reason
    found = [int(message["content"]) for message in sqlite_store.messages.read("a")]
    assert found == sorted(set(found))


# ── Damage in the middle ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("key", ["title", "messages", "model", "tool_calls"])
def test_an_invalid_utf8_byte_is_kept_escaped(
    sqlite_store: Store, state: StateDir, key: str, indent: int | None
) -> None:
    data = {**_numbered(9), "title": "T#", "model": "m#", "tool_calls": [{"name": "n#"}]}
    data["messages"][4]["content"] = "before # after"
    content = json.dumps(data, indent=indent).encode()
    mark = content.index(b"#", content.index(f'"{key}"'.encode()))
    item = _import(sqlite_store, state, {"a": content[:mark] + b"\xe9" + content[mark + 1 :]})["a"]
    assert (item.outcome, item.messages) == ("recovered", 9)
    assert "not UTF-8 at byte" in item.reason
    assert f"kept as escapes in {'message 4' if key == 'messages' else key}" in item.reason
    expected = json.loads(json.dumps(data).replace("#", "\\udce9" if key == "messages" else "#"))
    assert sqlite_store.messages.read("a") == expected["messages"]


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("broken", [b'"4": oops', b'"role": "user" "content": "4"', b'"role": "us', b"\0" * 30, b'"4'])
def test_a_broken_message_loses_no_other(
    sqlite_store: Store, state: StateDir, broken: bytes, indent: int | None
) -> None:
    content = json.dumps(_numbered(9), indent=indent).encode()
    start = content.index(b'"role"', content.index(b'"3"'))
    content = content[:start] + broken + content[content.index(b'"4"') + 3 :]
    item = _import(sqlite_store, state, {"a": content})["a"]
    assert item.outcome == "recovered"
    assert [m["content"] for m in sqlite_store.messages.read("a") if m.get("content") != "4"] == [*"01235678"]
    assert sqlite_store.sessions.get("a").title == "Session a"


@pytest.mark.slow
def test_time_and_depth_of_recovery_are_bounded(sqlite_store: Store, state: StateDir) -> None:
    size = 40_000
    shapes = {
        "open-objects": b'{"a":' * size,
        "open-arrays": b"[" * size,
        "objects": b'{"x" ' * size,
        "texts": b'{"' * size,
        "escapes": b'{"\\"' * size,
        "lines": b"\n    {\n      " * size,
        "keys": b'"messages": [' * size,
        "nested-whole": b'{"a":' * size + b"1" + b"}" * size + b"!",
    }
    started = time.process_time()
    head = b'{"title": "t", "messages": [{"role": "user", "content": "first"}, '
    for item in _import(sqlite_store, state, {name: head + shape for name, shape in shapes.items()}).values():
        assert item.outcome == "recovered"
        assert sqlite_store.messages.read(item.id or "")[0] == {"role": "user", "content": "first"}
    assert time.process_time() - started < 8


# ── Absurd sizes ──────────────────────────────────────────────────────────────────────────────────


def test_an_absurdly_large_file_fails_by_itself(sqlite_store: Store, state: StateDir) -> None:
    path = state.write("sparse.json", b"")
    with path.open("r+b") as file:
        file.truncate(50 * 2**30)
    state.session("a", "hi")
    items = by_name(import_directory(sqlite_store, state.root))
    assert (items["sparse.json"].outcome, items["a.json"].outcome) == ("failed", "imported")
    assert f"{50 * 2**30} bytes, and at most {512 * 2**20} are read" in items["sparse.json"].reason


def test_the_largest_size_to_read_may_be_set(sqlite_store: Store, state: StateDir) -> None:
    size = len(state.session("a", "hi").read_bytes())
    (item,) = import_directory(sqlite_store, state.root, max_file_size=size - 1).items
    assert item.outcome == "failed"
    (item,) = import_directory(sqlite_store, state.root, max_file_size=size).items
    assert item.outcome == "imported"


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "torn"), [(260_000, False), (40_000, True)])
def test_a_session_of_very_many_keys_is_imported(sqlite_store: Store, state: StateDir, keys: int, torn: bool) -> None:
    content = json.dumps({"messages": ["hi"], **{f"key{number}": number for number in range(keys)}}).encode()
    state.write("a.json", content[:-1] if torn else content)
    (item,) = import_directory(sqlite_store, state.root).items
    assert (item.outcome, item.messages) == ("recovered" if torn else "imported", 1)
    assert len(sqlite_store.documents.read("a")) >= keys - torn


# ── The backup copy ───────────────────────────────────────────────────────────────────────────────


def test_a_damaged_session_is_read_from_its_backup(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", WHOLE[:-20])
    state.write("a.json.bak", session("a", "before", "it", "shrank", title="Older", note=1))
    items = by_name(import_directory(sqlite_store, state.root))
    assert items["a.json"].outcome == "recovered"
    assert re.search(r"at byte \d+ of \d+ .*taken from its \.bak of \d{4}-\d\d-\d\d", items["a.json"].reason)
    assert sqlite_store.messages.read("a") == ["before", "it", "shrank"]
    assert sqlite_store.sessions.get("a").title == "Older"
    assert sqlite_store.documents.read("a") == {"note": 1}


@pytest.mark.parametrize("backup", [WHOLE[:50], b"", b"[]", b'{"messages": 5}', b'{"unlike": "a session"}'])
def test_a_damaged_backup_lets_the_file_be_read(sqlite_store: Store, state: StateDir, backup: bytes) -> None:
    state.write("a.json", WHOLE[: WHOLE.index(b'"zwei')])
    state.write("a.json.bak", backup)
    item = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert item.outcome == "recovered"
    assert ".bak" not in item.reason
    assert sqlite_store.messages.read("a") == ["one"]


def test_a_whole_session_is_imported_without_its_backup(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", WHOLE)
    state.write("a.json.bak", session("a", "older", "and", "longer"))
    assert by_name(import_directory(sqlite_store, state.root))["a.json"].outcome == "imported"
    assert sqlite_store.messages.read("a") == ["one", "zwei 😀"]


def test_an_empty_file_is_recovered_from_its_backup(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", b"\0" * 100)
    state.write("a.json.bak", WHOLE)
    item: Any = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert (item.outcome, item.messages) == ("recovered", 2)
    assert item.reason.startswith("it is empty (100 blank bytes); taken from its .bak")


# ── Which of the two ──────────────────────────────────────────────────────────────────────────────


def _torn(count: int) -> bytes:
    """A file of which this many messages are whole, and the next is not."""
    content = as_json(_numbered(count + 1))
    return content[: content.index(f'"{count}"'.encode())]


@pytest.mark.parametrize(
    ("in_file", "in_backup", "indexed", "expected"),
    [
        (49, 0, None, 49),
        (49, 5, None, 49),
        (49, 60, None, 60),
        (0, 5, None, 5),
        (49, 5, 50, 49),
        (49, 5, 5, 5),
        (49, 0, 0, 49),
        (3, 60, 3, 3),
        (3, 60, 4, 60),
        (0, 60, 0, 60),
    ],
)
def test_file_or_backup_is_chosen_by_message_counts(  # noqa: PLR0917 - one row of the table
    sqlite_store: Store, state: StateDir, in_file: int, in_backup: int, indexed: int | None, expected: int
) -> None:
    state.write("a.json", _torn(in_file))
    state.write("a.json.bak", _numbered(in_backup))
    if indexed is not None:
        state.write("_index.json", [{"session_id": "a", "message_count": indexed}])
    item = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert (item.outcome, item.messages) == ("recovered", expected)
    assert sqlite_store.messages.count("a") == expected
    other = in_backup if expected == in_file else in_file
    assert not other or re.search(rf"\b{other} (whole )?messages", item.reason)


def test_a_session_shortened_on_purpose_stays_short(sqlite_store: Store, state: StateDir) -> None:
    content = as_json({"intentional_shrink_generation": "b", **_numbered(4)})
    state.write("a.json", content[: content.index(b'"3"')])
    state.write("a.json.bak", _numbered(60, intentional_shrink_generation="a"))
    assert by_name(import_directory(sqlite_store, state.root))["a.json"].messages == 3


def test_a_damaged_backup_with_more_messages_is_taken(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", _torn(3))
    state.write("a.json.bak", _torn(9))
    item = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert (item.outcome, item.messages) == ("recovered", 9)
    assert "the .bak is damaged as well" in item.reason


@pytest.mark.parametrize("indent", [None, 2])
def test_a_wrong_first_byte_costs_no_message(sqlite_store: Store, state: StateDir, indent: int | None) -> None:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(3)]
    for byte in range(256):
        content = bytearray(json.dumps({"session_id": "s", "title": "T", "messages": messages}, indent=indent).encode())
        content[0] = byte
        state.write(f"s{byte}.json", bytes(content))
    items = import_directory(sqlite_store, state.root).items
    assert {item.outcome.value for item in items} == {"recovered", "imported"}  # (with the right byte)
    assert all(sqlite_store.messages.read(f"s{byte}") == messages for byte in range(256))


_BEGINNING = '{"session_id": "s", "title": "T", "messages": [{"role": "user", "content": "0"}, '
_DAMAGED_LINES = {
    "content without an end": (
        _BEGINNING + '{"role": "user", "content": [{"type": "text", "text": "\0\0"}, '
        '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}'
    ),
    "a key twice": (
        _BEGINNING + '{"role": "user", "content": "", "tool_calls": [{"id": "\0\0"}, '
        '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}'
    ),
    "a value without an end": (
        _BEGINNING + '{"role": "user", "content": [{"type": "tool_use", "input": {"a": [1, '
        '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}'
    ),
    "an array in the array": _BEGINNING
    + '[{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}',
    "a key that is damaged": _BEGINNING.replace("ss", "\0\0")
    + '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}',
    "a message without its beginning": _BEGINNING
    + '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}, "x"}, '
    '{"type": "tool_use", "input": {}}], "timestamp": 1}], "tool_calls": []}',
    "a text without an end": (
        '{"session_id": "s", "title": "T, {"role": "user", "content": "0"}, {"role": "user", "content": "1"}, '
        '{"role": "user", "content": "2"}], "tool_calls": []}'
    ),
    "a key without an end": (
        '{"session_id": "s", "title": "T", "mes[{"role": "user", "content": "0"}, {"role": "user", "content": "1"}, '
        '{"role": "user", "content": "2"}], "tool_calls": []}'
    ),
    "a value of a message without its beginning": _BEGINNING
    + '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}, "user", "content": "3"}], "tool_calls": []}',
    "a damaged key of the messages and a part among them": _BEGINNING.replace("ss", "\0\0")
    + '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}, {"type": "tool_use"}], "tool_calls": []}',
    "a long key": _BEGINNING.replace('"title"', '"' + 600 * "\0" + '"')
    + '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}',
    "messages without an array": (
        '{"session_id": "s", "title": "T", "messages": {"role": "user", "content": "0"}, '
        '{"role": "user", "content": "1"}, {"role": "user", "content": "2"}], "tool_calls": []}'
    ),
}


@pytest.mark.parametrize("damage", _DAMAGED_LINES)
def test_damage_in_a_line_swallows_no_whole_message(sqlite_store: Store, state: StateDir, damage: str) -> None:
    state.write("s.json", _DAMAGED_LINES[damage].encode())
    assert by_name(import_directory(sqlite_store, state.root))["s.json"].outcome == "recovered"
    stored = sqlite_store.messages.read("s")
    assert [message["content"] for message in stored] == ["0", "1", "2"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bracket_before_the_beginning_costs_no_message(
    sqlite_store: Store, state: StateDir, indent: int | None
) -> None:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(3)]
    text = json.dumps({"session_id": "s", "title": "T", "messages": messages}, indent=indent).encode()
    marks = [b"[", b"[ ", b"{", b"]", b'"', b"[["]
    for number, mark in enumerate(marks):
        state.write(f"s{number}.json", mark + text)
    state.write("list.json", b'[{"session_id": "s", "title": "T", "message_count": 1},')
    items = by_name(import_directory(sqlite_store, state.root))
    assert items.pop("list.json").outcome == "failed"
    assert {item.outcome.value for item in items.values()} == {"recovered"}
    assert all(sqlite_store.messages.read(f"s{number}") == messages for number in range(len(marks)))


def test_a_damaged_indent_costs_no_message(sqlite_store: Store, state: StateDir) -> None:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(3)]
    text = json.dumps({"session_id": "s", "title": "T", "anchor": {"ts": 1}, "messages": messages}, indent=2)
    state.write("s.json", text.replace('\n  },\n  "messages"', '\n    "messages"').encode())
    assert by_name(import_directory(sqlite_store, state.root))["s.json"].outcome == "recovered"
    assert sqlite_store.messages.read("s") == messages
