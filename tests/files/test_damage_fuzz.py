"""Damaged session files, made at random: every whole message is in the store, and nothing that is no message.

HERMES_STORE_FUZZ_FILES sets how many files are made, and HERMES_STORE_FUZZ_SEED which ones.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.state_dir import StateDir, by_name

FILES = int(os.environ.get("HERMES_STORE_FUZZ_FILES", "300"))
SEED = os.environ.get("HERMES_STORE_FUZZ_SEED", "")

_TEXTS = [
    "plain words",
    'quotes " and {"role": "user", "content": "in a text"} and ] and },',
    'back\\slash \\" and \\u0041 and a line\nbreak',
    "ünïcode 你好 🚀",
    "",
    "[{",
    '"},\n    {\n      "role": "user"\n    },',
]


def _message(chance: random.Random, name: str) -> dict[str, Any]:
    text = f"<{name}> " + " ".join(chance.choices(_TEXTS, k=chance.randrange(4)))
    content: Any = text
    if chance.random() < 0.3:
        content = [{"type": "text", "text": text}, {"type": "tool_use", "id": "t", "input": {"a": [1, {"b": None}]}}]
    message: dict[str, Any] = {"role": chance.choice(["user", "assistant", "tool"]), "content": content}
    if chance.random() < 0.7:
        message["timestamp"] = 1778458282 + chance.randrange(10**6) / 4
    if chance.random() < 0.2:
        message["tool_calls"] = [{"id": "c", "function": {"name": "f", "arguments": '{"role": "x"}'}}]
    return message


def _session(chance: random.Random, name: str) -> dict[str, Any]:
    messages = [_message(chance, f"{name}.{number}") for number in range(chance.randrange(2, 30))]
    return {
        "session_id": name,
        "title": chance.choice(["Deploy", 'A "title"', "测试"]),
        "workspace": "/home/u",
        "created_at": 1778458282.5,
        "updated_at": 1778459001.5,
        "compression_anchor_message_key": {"role": "user", "ts": 1},
        "messages": messages,
        "tool_calls": [{"name": "terminal", "args": {"role": "x"}, "assistant_msg_idx": 1}],
        "gateway_routing": {"tier": [1, 2]},
    }


# ── Damage ────────────────────────────────────────────────────────────────────────────────────────


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _not_utf8(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3])):
        changed[chance.randrange(len(changed))] = chance.choice([0x80, 0xC3, 0xE9, 0xFF])
    return bytes(changed)


def _span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content))
    return start, min(len(content), start + chance.choice([1, 1, 2, 3, 8, 64, 512, 4096]))


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    marks = chance.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\n", b"\0", b"  ", b'"x"', b"\xff\xfe"])
    return content[:place] + chance.choice([marks, chance.randbytes(chance.choice([1, 5, 100]))]) + content[place:]


def _remove(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + content[end:]


def _zero(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + b"\0" * (end - start) + content[end:]


def _zero_blocks(content: bytes, chance: random.Random) -> bytes:
    size = 512
    block = chance.randrange(len(content) // size + 1) * size
    end = min(len(content), block + size)
    return content[:block] + b"\0" * (end - block) + content[end:]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content) + 1)]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flip,
    "not utf-8": _not_utf8,
    "insert": _insert,
    "remove": _remove,
    "zero": _zero,
    "zero a block": _zero_blocks,
    "cut": _cut,
    "flip and cut": lambda content, chance: _cut(_flip(content, chance), chance),
    "several": lambda content, chance: _insert(_remove(_flip(content, chance), chance), chance),
}


# ── The strict reader ─────────────────────────────────────────────────────────────────────────────


def _strictly_read(content: bytes) -> list[Any]:
    """Return the objects with a role that stand whole on lines of their own, as messages do: a reader of lines."""
    found = []
    lines = content.split(b"\n")
    beginning = None
    for number, line in enumerate(lines):
        if re.match(rb" {0,4}[^ ]", line) is None:
            continue
        if line == b"    {":
            beginning = number
        elif line in (b"    }", b"    },") and beginning is not None:
            try:
                value = json.loads(b"\n".join(lines[beginning : number + 1]).removesuffix(b",").decode())
            except ValueError:
                value = None
            if isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value:
                found.append(value)
            beginning = None
        else:
            beginning = None
    return found


def _intact(content: bytes, messages: list[Any], indent: int | None) -> list[Any]:
    """Return the messages whose bytes are all in the file, as an element of an array."""
    found = []
    for message in messages:
        text = json.dumps([message], ensure_ascii=False, indent=indent)[1:-1].strip("\n")
        if indent:
            text = re.sub(r"(?m)^", "  ", text)
        element = (rb"[\[,\n]" if indent is None else rb"\n") + rb" ?" + re.escape(text.encode()) + rb"[,\]\n]"
        if re.search(element, content):
            found.append(message)
    return found


def _is_touched(message: Any, names: list[str]) -> bool:
    """Whether a message is what became of one in which there is damage."""
    if not isinstance(message, dict):
        return False
    is_named = any(f"<{name}" in json.dumps(message) for name in names)
    # (Each has a role and a content. One key alone is what the removal of bytes made of two.)
    return is_named or len(message) < 2 or not message.keys().isdisjoint({"role", "content", "timestamp", "tool_calls"})


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_whole_messages_of_a_damaged_file_are_stored(sqlite_store: Store, state: StateDir, damage: str) -> None:
    chance = random.Random(f"{damage} 1{SEED}")
    originals, contents = {}, {}
    for number in range(max(FILES // len(DAMAGES), 10)):
        session = _session(chance, f"s{number}")
        contents[f"s{number}"] = DAMAGES[damage](json.dumps(session, ensure_ascii=False, indent=2).encode(), chance)
        originals[f"s{number}"] = session["messages"]
        state.write(f"s{number}.json", contents[f"s{number}"])
    items = by_name(import_directory(sqlite_store, state.root))
    assert items.keys() == {f"{name}.json" for name in originals}
    for name, messages in originals.items():
        item = items[f"{name}.json"]
        expected = _strictly_read(contents[name])
        intact = _intact(contents[name], messages, 2)
        if item.outcome == "failed":
            assert expected == intact == [], name
            continue
        stored = sqlite_store.messages.read(name)
        assert [m for m in stored if m in expected] == expected, (name, item.reason)
        assert [m for m in stored if m in intact] == intact, (name, item.reason)
        is_whole = item.outcome == "imported"  # what it says then is JSON, whatever it was before
        assert is_whole or all(_is_touched(m, [name]) for m in stored if m not in expected), (name, item.reason)
        assert len(stored) <= len(messages) or damage == "several", (name, item.reason)
        assert item.messages == len(stored)
        if item.outcome == "imported":
            json.loads(contents[name].rstrip(b"\0"))
        else:
            assert item.outcome == "recovered"
            assert re.search(r"at byte \d+|under the key|whole messages? w(as|ere) read", item.reason)


@pytest.mark.slow
def test_halves_of_two_files_yield_all_whole_messages(sqlite_store: Store, state: StateDir) -> None:
    chance = random.Random(f"halves 2{SEED}")
    contents, expected, originals = {}, {}, {}
    for number in range(max(FILES // 4, 30)):
        first, second = _session(chance, f"a{number}"), _session(chance, f"b{number}")
        texts = [json.dumps(session, ensure_ascii=False, indent=2).encode() for session in (first, second)]
        content = texts[0][: chance.randrange(1, len(texts[0]))] + texts[1][chance.randrange(3, len(texts[1])) :]
        contents[f"s{number}"] = content
        expected[f"s{number}"] = _strictly_read(content)
        originals[f"s{number}"] = first["messages"] + second["messages"]
        state.write(f"s{number}.json", content)
    items = by_name(import_directory(sqlite_store, state.root))
    for name, content in contents.items():
        if items[f"{name}.json"].outcome == "failed":
            assert expected[name] == []
        elif items[f"{name}.json"].outcome == "imported":  # by chance, both halves together are JSON
            assert sqlite_store.messages.read(name) == json.loads(content).get("messages", [])
        else:
            stored = sqlite_store.messages.read(name)
            kept = [message for message in stored if message in expected[name]]
            if "sessions; left out are" in str(items[f"{name}.json"].reason):  # both begin in the file: one is taken
                assert kept in (expected[name][: len(kept)], expected[name][-len(kept) :])
            else:
                assert kept == expected[name]
            assert sum(message not in originals[name] for message in stored) <= 1  # of two halves


def _halves(content: bytes, chance: random.Random) -> bytes:
    """Return the beginning of a file and the end of another one."""
    other = json.dumps(_session(chance, "other"), ensure_ascii=False).encode()
    return content[: chance.randrange(1, len(content))] + other[chance.randrange(3, len(other)) :]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, "halves"])
def test_whole_messages_of_a_damaged_line_are_stored(sqlite_store: Store, state: StateDir, damage: str) -> None:
    chance = random.Random(f"{damage} 3{SEED}")
    originals, contents = {}, {}
    for number in range(max(FILES // 10, 20)):
        session = _session(chance, f"s{number}")
        text = json.dumps(session, ensure_ascii=False).encode()
        contents[f"s{number}"] = {**DAMAGES, "halves": _halves}[damage](text, chance)
        originals[f"s{number}"] = session["messages"]
        state.write(f"s{number}.json", contents[f"s{number}"])
    items = by_name(import_directory(sqlite_store, state.root))
    for name, messages in originals.items():
        intact = _intact(contents[name], messages, None)
        item = items[f"{name}.json"]
        if item.outcome == "failed":
            assert intact == [], name
        elif item.outcome == "recovered" or damage != "halves":  # by chance, both halves together are JSON
            stored = sqlite_store.messages.read(name)
            assert [message for message in stored if message in intact] == intact, (name, item.reason)
            others = [message for message in stored if not _is_touched(message, [name, "other"])]
            assert len(others) <= 1, (name, item.reason)  # what became of two messages that damage made one
            assert all(isinstance(message, dict) for message in others), (name, item.reason)
            assert not any(re.search(r'[\[,] ?\{"role": "', json.dumps(message)) for message in stored), name
