"""State directories: small ones, in the formats that hermes-webui wrote over time, and reports of their import."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

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
    "user_message_count": 1,
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


def as_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2).encode()
    except UnicodeEncodeError:  # lone surrogates, which a file says by escapes
        return json.dumps(value).encode()


def by_name(report: ImportReport) -> dict[str, ImportItem]:
    """The report's items by the file's name (a project's by ``#`` and its id); each name stands there once."""
    items = {item.path.removeprefix("sessions/").removeprefix("projects.json"): item for item in report.items}
    assert len(items) == len(report.items)
    return items


def outcomes(report: ImportReport) -> dict[str, str]:
    return {name: item.outcome.value for name, item in by_name(report).items()}


def fingerprint(root: Path) -> dict[str, Any]:
    """All that could change in a directory tree but for times of access."""
    found: dict[str, Any] = {}
    for path in (root, *sorted(root.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, status.st_size, content)
    return found
