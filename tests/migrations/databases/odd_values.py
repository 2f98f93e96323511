"""Values that a database must keep, for `make_0001.py`: odd texts, numbers, nesting and sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HALF = "half \ud83d"
OTHER_HALF = "\ude00 half"
NUL = "nul \x00 inside"
DLE = "\x10 and \x100010, a data link escape"
LINES = "one\r\ntwo\rthree\nfour\u2028five\ttab"
QUOTES = 'it\'s "quoted" -- \\ /* % :name ? $1 */ ;'
SCRIPTS = "Grüße, 你好, שלום, 🚀, e\u0301 and \u00e9"
TEXTS = [HALF, OTHER_HALF, NUL, DLE, LINES, QUOTES, SCRIPTS, "\ufeffmark", "\x7f\x1b[31m", ""]

NUMBERS = [
    *(0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400),
    *(0.0, -0.0, 0.1, 1.0, 5e-324, 1.7976931348623157e308, 1e22, float("nan"), float("inf"), float("-inf")),
]


def nested(depth: int, *, objects: bool = False) -> Any:
    """Return arrays (or objects) one inside the other."""
    value: Any = "core"
    for _ in range(depth):
        value = {"in": value} if objects else [value]
    return value


def sized(size: int) -> str:
    """Return text whose JSON has so many bytes."""
    return "x" * (size - 2)


#: The sizes about 2,048 bytes, in ASCII and in characters of two and four bytes.
SIZED = {
    **{f"bytes-{size}": sized(size) for size in (2047, 2048, 2049)},
    **{f"two-byte-characters-{2 + 2 * count}": "é" * count for count in (1022, 1023, 1024)},
    **{f"four-byte-characters-{2 + 4 * count}": "🚀" * count for count in (511, 512)},
    # A lone surrogate is one character, and six bytes of JSON.
    **{f"lone-surrogates-{2 + 6 * count}": "\ud83d" * count for count in (341, 342)},
}
LARGE = {
    "tool_calls": [{"name": "terminal", "args": {"cmd": f"echo {n}"}, "assistant_msg_idx": n} for n in range(40)],
    "context_messages": [{"role": "user", "content": f"{SCRIPTS} {n}"} for n in range(30)],
    "anchor_activity_scenes": {str(n): {"html": f"<b>{n}</b>" * 5} for n in range(50)},
    HALF + " large": [HALF * 200, NUL],
    "deep-large": nested(5000),
}
#: Small values under odd keys.
ODD_KEYS = {
    "": "the empty key",
    HALF: 1,
    OTHER_HALF: 2,
    NUL: 3,
    DLE: 4,
    LINES: 5,
    QUOTES: 6,
    "\u00e9": "composed",
    "e\u0301": "decomposed",
    "k" * 500: "the longest key",
    "😀" * 500: "the longest in bytes",
    "K": "upper case",
    "k": "lower case",
    **{
        name: f"not the column {name}" for name in ("id", "key", "payload", "digest", "session_id", "__proto__", "$ref")
    },
    "a.b[0]": {"a.b[0]": {}},
    "null": None,
    "false": False,
    "zero": 0,
    "empty list": [],
    "empty object": {},
    "empty text": "",
}
VALUES = {
    "texts": TEXTS,
    "numbers": NUMBERS,
    "object": {HALF: NUL, "order b": 1, "order a": 2},
    "deep-200": nested(200),
    "deep-300": nested(300, objects=True),
    "deep-1000": nested(1000),
    "deep-5000": nested(5000),
    **{f"text {index}": text for index, text in enumerate(TEXTS)},
    **{f"number {index}": number for index, number in enumerate(NUMBERS)},
}
MESSAGES = [
    *(None, True, False, 0, -1, 2**70, 1.5, -0.0, float("nan"), "", "text", HALF, NUL, DLE, [], {}, [[]]),
    ["a list", 1, None],
    {"role": "user", "content": "hi", "timestamp": 1778458282},
    {"role": "assistant", "content": [{"type": "text", "text": SCRIPTS}], "timestamp": 1778458283.5, "_partial": True},
    {"role": "user", "content": LINES, "timestamp": "2026-05-11T00:11:24Z"},
    {"role": "tool", "content": None, "_ts": 1778458285.25, "tool_call_id": QUOTES},
    {"role": HALF, "content": NUL, "timestamp": 1778458282000},
    {"role": "r" * 65, "content": DLE, "timestamp": float("nan")},
    {"role": 7, "content": {"role": "user"}, "timestamp": True},
    {HALF: HALF, NUL: NUL, DLE: DLE, "": ""},
    {"role": "assistant", "content": "x" * 3000},
    {"numbers": NUMBERS, "texts": TEXTS},
    nested(300),
    nested(2000, objects=True),
]


def write_json_files(root: Path) -> None:
    """Write a state directory of hermes-webui whose sessions have values that fit no column."""
    sessions = root / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    times = {"created_at": 1778458282.5, "updated_at": 1778459001.5}
    plain = {"title": "From a file", "workspace": "/home/ada", "model": "m", **times, "tool_calls": []}
    for name, values in {
        "0dd000000001": {**_ORIGINALS, "messages": MESSAGES[17:22]},
        "0dd000000002": {"title": "t" * 501, "profile": "p" * 256, "estimated_cost": -0.0, "pinned": 1, "messages": []},
        "0dd000000003": {"title": None, "profile": "", "estimated_cost": 10**400, "archived": "yes", "messages": ["m"]},
        "0dd000000004": {f"key_{n:02}": {"n": n, "text": TEXTS[n % len(TEXTS)]} for n in range(55)},
        "0dd000000005": {"parent_session_id": "0dd000000004", "session_source": "fork", "messages": MESSAGES[18:20]},
        "0dd000000006": {"parent_session_id": 7, "source_tag": 8, "raw_source": "telegram", "project_id": ["no id"]},
        "0dd000000007": {"project_id": "0dd0000000aa", "profile": "work", "pending_user_message": HALF},
        "0dd000000008": {"title": HALF, "deep": "nested 900", "deeper": "nested 3000", "numbers": NUMBERS},
        "0dd000000009": {"title": "Untitled", "messages": [], "composer_draft": {"text": SCRIPTS, "files": []}},
        "0dd000000010": {"title": "Purged later", "messages": ["gone"]},
        "0dd000000011": {"title": "Deleted later", "messages": MESSAGES[18:20], "kept": VALUES["object"]},
        "0dd000000012": {"title": "Changed later", "messages": MESSAGES[18:20]},
    }.items():
        _write(sessions / f"{name}.json", {"session_id": name, **plain, "messages": ["m"], **values})
    _write(
        root / "projects.json",
        [
            {"project_id": "0dd0000000aa", "name": "In no profile", "color": "#abc", "created_at": 1778458000},
            {"project_id": "0dd0000000bb", "name": HALF, "color": "red", "profile": "work", "notes": [NUL, -0.0]},
            {"project_id": "0dd0000000cc", "name": {"n": 1}, "created_at": float("nan"), "profile": {"p": DLE}},
            {"project_id": "0dd0000000dd", "name": "n" * 129, "created_at": 1778458001.5, "profile": "work"},
            {"project_id": "0dd0000000ee", "name": "Deleted later", "profile": "work"},
        ],
    )


_DEPTHS = (900, 3000)
#: A session none of whose values fits its column.
_ORIGINALS = {
    "title": {"no": "text", HALF: NUL},
    "workspace": ["no text"],
    "model": 7,
    "personality": {"terse": True},
    "profile": ["no text"],
    "created_at": "2026-05-11T00:11:22.5Z",
    "pinned": "true",
    "archived": 0,
    "input_tokens": 2**63,
    "output_tokens": 1.5,
    "estimated_cost": float("nan"),
    "compression_anchor_visible_idx": -0.0,
    "compression_anchor_message_key": {"large": "k" * 5000},
    "active_stream_id": False,
    "pending_started_at": "soon",
    "project_id": "no-such-project",
    "parent_session_id": "no-such-session",
    "source_tag": "cli",
    "message_count": 99,
    "pending_attachments": ["/home/ada/a.png"],
    "truncation_watermark": 0.0,
    "enabled_toolsets": None,
}


def _write(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1)
    for depth in _DEPTHS:  # deeper than `json` writes, and a line of each level would be long
        text = text.replace(f'"nested {depth}"', "[" * depth + '"core"' + "]" * depth)
    path.write_bytes(text.encode("ascii"))
