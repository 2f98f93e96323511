"""State directories for the tests: small, in the formats that hermes-webui wrote over time."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.files import ImportItem, ImportReport

MESSAGES = [
    {"role": "user", "content": "Guten Tag, 你好 🚀", "timestamp": 1778458282},
    {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "timestamp": 1778458283.5, "_partial": True},
]

#: Every key that the WebUI of 2026-04-24 writes, with a value that is not its default.
SPEC = {
    "session_id": "5bec00000001",
    "title": "Fix the 🚀 deploy",
    "workspace": "/home/u/app",
    "model": "anthropic/claude",
    "created_at": 1778458282.125,
    "updated_at": 1778459001.5,
    "pinned": True,
    "archived": True,
    "project_id": "9a9a9a9a9a9a",
    "profile": "work",
    "input_tokens": 5120,
    "output_tokens": 930,
    "estimated_cost": 0.0123,
    "personality": "terse",
    "active_stream_id": "stream-1",
    "pending_user_message": "still there?",
    "pending_attachments": ["/home/u/a.png"],
    "pending_started_at": 1778459000.25,
    "compression_anchor_visible_idx": 3,
    "compression_anchor_message_key": {"role": "user", "ts": 1778458282},
    "messages": MESSAGES,
    "tool_calls": [{"name": "terminal", "args": {"cmd": "ls"}, "assistant_msg_idx": 1}],
}
#: v0.1.0: eight keys, messages before the times.
OLD = {
    "session_id": "01d000000001",
    "title": "First ever chat",
    "workspace": "/home/u",
    "model": "openai/gpt",
    "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
    "tool_calls": [],
    "created_at": 1774900000.5,
    "updated_at": 1774900010.25,
}
#: Keys that only newer versions write.
NEWER_KEYS = {
    "message_count": 2,
    "context_messages": MESSAGES[:1],
    "gateway_routing": {"tier": 1},
    "parent_session_id": "no-such-session",
    "session_source": "fork",
    "enabled_toolsets": None,
    "truncation_watermark": 0.0,
    "composer_draft": {"text": "and then", "files": []},
    "anchor_activity_scenes": {"1": {"html": "<b>…</b>"}},
    "last_usage": {"input": 1},
}
NEW = {**SPEC, "session_id": "0e0000000001", "profile": "default", "active_stream_id": None, **NEWER_KEYS}


class StateDir:
    """A state directory to be imported. Files are an hour old unless said otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sessions = root / "sessions"
        self.sessions.mkdir(parents=True)

    def write(self, name: str, content: Any, *, age: float = 3600.0) -> Path:
        """Write a file of the sessions folder: bytes as they are, anything else as the WebUI writes JSON."""
        return _write(self.sessions / name, content, age)

    def session(self, session_id: str, *messages: Any, age: float = 3600.0, **fields: Any) -> Path:
        """Write a small session that is in no way remarkable."""
        return self.write(f"{session_id}.json", session(session_id, *messages, **fields), age=age)

    def projects(self, content: Any) -> None:
        _write(self.root / "projects.json", content, 3600.0)


def _write(path: Path, content: Any, age: float) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else as_json(content))
    moment = time.time() - age
    os.utime(path, (moment, moment))
    return path


def session(session_id: str, *messages: Any, **fields: Any) -> dict[str, Any]:
    """A session's object in the format of the specification."""
    times = {"created_at": 1778458282.5, "updated_at": 1778459001.5}
    plain = {"session_id": session_id, "title": f"Session {session_id}", "workspace": "/home/u", "model": "m", **times}
    return {**plain, "messages": list(messages), "tool_calls": [], **fields}


def start_child(*arguments: Any) -> subprocess.Popen[str]:
    """Start ``child.py`` in a process of its own."""
    command = [sys.executable, "-W", "error", Path(__file__).with_name("child.py"), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str]) -> str:
    """Wait for a child that is to succeed, and return what it printed."""
    out, problems = child.communicate(timeout=300)
    assert child.returncode == 0, problems
    return out


def as_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2).encode()
    except UnicodeEncodeError:  # lone surrogates, which a file says by escapes
        return json.dumps(value).encode()


def nested(depth: int) -> bytes:
    """JSON text of arrays, one inside the other."""
    return b"[" * depth + b"]" * depth


def by_name(report: ImportReport) -> dict[str, ImportItem]:
    """The report's items by the file's name (a project's by ``#`` and its id); each name stands there once."""
    items = {item.path.removeprefix("sessions/").removeprefix("projects.json"): item for item in report.items}
    assert len(items) == len(report.items)
    return items


def outcomes(report: ImportReport) -> dict[str, str]:
    return {name: item.outcome.value for name, item in by_name(report).items()}


def contents(store: Store) -> dict[str, Any]:
    """All that a store says of its live sessions and its projects."""
    found: dict[str, Any] = {
        "projects": {p.project_id: p.model_dump(exclude={"position"}) for p in store.projects.list()}
    }
    for record in store.sessions.iterate():
        documents, messages = store.documents.read(record.session_id), store.messages.read(record.session_id)
        found[record.session_id] = json.dumps([record.model_dump(), documents, messages], sort_keys=True)
    return found


def fingerprint(root: Path) -> dict[str, Any]:
    """All that could change in a directory tree but for times of access."""
    found: dict[str, Any] = {}
    for path in (root, *sorted(root.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, status.st_size, content)
    return found


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 is 1.0 and not true, NaN is NaN."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    [
        "half \ud83d",
        "\ude00 half",
        "nul \x00",
        "dle \x10d83d",
        "😀 é 测",
        "\ufeff",
        "1778458282",
        "2026-04-01T10:11:12Z",
        "",
    ]
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2**53 + 1, 2**63, -(2**70), 10**400, 1778458282])
    | st.floats()
    | st.sampled_from([-0.0, 5.0, 1e300, float("nan"), float("inf"), 1778458282.5])
    | texts
)
#: Anything that can stand in a file. (Two halves of a character side by side become one when JSON is read.)
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
).map(lambda value: json.loads(json.dumps(value)))
