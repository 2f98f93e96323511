"""A stand-in for hermes-webui of 2026-04-24: how it loads what an export wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.webui.sessions import KEYS

_METADATA = {"session_id", "title", "created_at", "updated_at"}


def load(root: Path, session_id: str) -> dict[str, Any]:
    """Load a session: keyword arguments of a class, of which `workspace` goes through ``Path`` when it is there."""
    data = json.loads((root / "sessions" / f"{session_id}.json").read_text(encoding="utf-8"))
    assert data.keys() >= _METADATA
    assert data["session_id"] == session_id
    assert isinstance(data["messages"], list)
    if "workspace" in data:
        Path(data["workspace"]).expanduser()
    return dict(data)


def session_ids(root: Path) -> set[str]:
    return {path.stem for path in (root / "sessions").glob("*.json") if not path.name.startswith("_")}


def index(root: Path) -> list[dict[str, Any]]:
    """Read the list: rows of exactly its keys, the last written first."""
    rows: list[dict[str, Any]] = json.loads((root / "sessions" / "_index.json").read_text(encoding="utf-8"))
    for row in rows:
        assert row.keys() == set(KEYS)
    times = [row["updated_at"] for row in rows]
    assert times == sorted(times, reverse=True)
    return rows


def projects(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((root / "projects.json").read_text(encoding="utf-8"))
    return found
