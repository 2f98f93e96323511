"""Damaged files: as much as can be trusted is taken in, and the report says what is wrong and what is missing."""

from __future__ import annotations

import json
import random
import re
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
def test_wherever_a_file_is_torn_the_messages_before_it_are_recovered(
    sqlite_store: Store, state: StateDir, shape: str
) -> None:
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


def test_the_report_says_how_many_messages_are_left_and_how_many_there_were(
    sqlite_store: Store, state: StateDir
) -> None:
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
def test_a_number_is_not_believed_unless_it_is_seen_to_end(sqlite_store: Store, state: StateDir, number: str) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damage_of_a_real_session_stops_the_import(sqlite_store: Store, state: StateDir, damage: str) -> None:
    chance = random.Random(damage)
    originals = list(_originals())
    copies = {f"copy{n}": DAMAGES[damage](originals[n % len(originals)], chance) for n in range(60)}
    items = _import(sqlite_store, state, copies)
    if damage in ("cut", "zero-filled end"):
        for number in range(60):
            original = json.loads(originals[number % len(originals)])
            if items[f"copy{number}"].outcome != "failed":
                messages = sqlite_store.messages.read(f"copy{number}")
                assert messages == original["messages"][: len(messages)]
    if damage == "old end":
        assert {item.outcome.value for item in items.values()} == {"imported"}
        for number in range(60):
            messages = sqlite_store.messages.read(f"copy{number}")
            assert messages == json.loads(originals[number % len(originals)])["messages"]
            assert any("after the end" in note for note in items[f"copy{number}"].notes)


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
def test_the_byte_that_is_named_is_the_one_in_the_file(sqlite_store: Store, state: StateDir, mark: bytes) -> None:
    head = mark + '{"title": "日本 😀", '.encode()
    item = _import(sqlite_store, state, {"a": head + b"oops}"})["a"]
    assert f"at byte {len(head)} of {len(head) + 5} " in item.reason
    state.write("b.json", head + b'"x": "\xff"}')
    assert (
        f"at byte {len(head) + 6} of {len(head) + 9}"
        in by_name(import_directory(sqlite_store, state.root))["b.json"].reason
    )


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_another_encoding_of_unicode_is_read_or_refused_but_never_misread(
    sqlite_store: Store, state: StateDir, codec: str
) -> None:
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
        ('{"title": "café"}'.encode("latin-1"), "it is not UTF-8 at byte 14 of 17"),
        (b'["a"]{"title": "t"}', "several JSON values"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_reported_with_what_is_wrong(
    sqlite_store: Store, state: StateDir, content: bytes, reason: str
) -> None:
    item = _import(sqlite_store, state, {"a": content})["a"]
    assert item.outcome == "failed"
    assert reason in item.reason


@pytest.mark.parametrize("inner", [nested_arrays(5000), nested_arrays(5000)[:4000], b"9" * 5000, b"1e999999"])
def test_what_no_parser_takes_ends_the_readable_part_or_is_read(
    sqlite_store: Store, state: StateDir, inner: bytes
) -> None:
    item = _import(sqlite_store, state, {"a": b'{"title": "t", "messages": ["a", ' + inner + b', "b"]'})["a"]
    assert item.outcome == "recovered"
    assert sqlite_store.messages.read("a")[0] == "a"


# ── The backup copy ───────────────────────────────────────────────────────────────────────────────


def test_a_damaged_session_is_taken_from_its_backup_when_that_is_whole(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", WHOLE[:-20])
    state.write("a.json.bak", session("a", "before", "it", "shrank", title="Older", note=1))
    items = by_name(import_directory(sqlite_store, state.root))
    assert items["a.json"].outcome == "recovered"
    assert re.search(r"at byte \d+ of \d+ .*taken from its \.bak of \d{4}-\d\d-\d\d", items["a.json"].reason)
    assert sqlite_store.messages.read("a") == ["before", "it", "shrank"]
    assert sqlite_store.sessions.get("a").title == "Older"
    assert sqlite_store.documents.read("a") == {"note": 1}


@pytest.mark.parametrize("backup", [WHOLE[:50], b"", b"[]", b'{"messages": 5}', b'{"unlike": "a session"}'])
def test_with_a_damaged_backup_the_file_itself_is_read_as_far_as_it_goes(
    sqlite_store: Store, state: StateDir, backup: bytes
) -> None:
    state.write("a.json", WHOLE[: WHOLE.index(b'"zwei')])
    state.write("a.json.bak", backup)
    item = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert item.outcome == "recovered"
    assert ".bak" not in item.reason
    assert sqlite_store.messages.read("a") == ["one"]


def test_a_whole_session_does_not_look_at_its_backup(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", WHOLE)
    state.write("a.json.bak", session("a", "older", "and", "longer"))
    assert by_name(import_directory(sqlite_store, state.root))["a.json"].outcome == "imported"
    assert sqlite_store.messages.read("a") == ["one", "zwei 😀"]


def test_a_session_whose_file_is_empty_is_taken_from_its_backup(sqlite_store: Store, state: StateDir) -> None:
    state.write("a.json", b"\0" * 100)
    state.write("a.json.bak", WHOLE)
    item: Any = by_name(import_directory(sqlite_store, state.root))["a.json"]
    assert (item.outcome, item.messages) == ("recovered", 2)
    assert item.reason.startswith("it is empty (100 blank bytes); taken from its .bak")
