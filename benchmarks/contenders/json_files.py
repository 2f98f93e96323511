"""The JSON files' way: one file for each session, written whole, flushed to the disk and renamed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hermes_store.webui_format.session_json import INDEX_KEYS, SESSION_KEYS


def session(number: int, messages: Sequence[Any]) -> dict[str, Any]:
    """Return a session's JSON object, as hermes-webui writes it."""
    return {
        **SESSION_KEYS,
        "session_id": f"{number:012x}",
        "title": f"Session {number}",
        "workspace": "/home/someone/code",
        "model": "anthropic/claude-sonnet-4.5",
        "created_at": 1.7e9 + number,
        "updated_at": 1.7e9 + number,
        "messages": list(messages),
    }


def write_file(path: Path, value: Any) -> None:
    """Write a file whole and flush it; it gets its name at the end."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


class JsonFile:
    """A session that is kept in memory and in its file."""

    def __init__(self, folder: Path, messages: Sequence[Any]) -> None:
        self.data = session(0, messages)
        self.path = folder / "session.json"
        self.save()

    def save(self) -> None:
        write_file(self.path, self.data)

    def append(self, messages: Sequence[Any]) -> None:
        self.data["messages"].extend(messages)
        self.save()

    def read(self) -> list[Any]:
        """Return the messages in the file."""
        found: list[Any] = json.loads(self.path.read_bytes())["messages"]
        return found


class IndexedFiles:
    """A folder of sessions with an index of them, as hermes-webui keeps it: each save writes the index anew, too."""

    def __init__(self, folder: Path, sessions: Iterable[dict[str, Any]]) -> None:
        self.folder = folder
        self.index = folder / "_index.json"
        rows = []
        for data in sessions:
            self._path(data["session_id"]).write_text(json.dumps(data, ensure_ascii=False, indent=2), encoding="utf-8")
            rows.append(self._row(data))
        self.index.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")

    def _path(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.json"

    @staticmethod
    def _row(data: dict[str, Any]) -> dict[str, Any]:
        row = {key: data.get(key) for key in INDEX_KEYS}
        return {**row, "message_count": len(data["messages"]), "is_streaming": False}

    def save(self, data: dict[str, Any]) -> None:
        """Save a session, and its row of the index."""
        data["updated_at"] = time.time()
        write_file(self._path(data["session_id"]), data)
        rows = json.loads(self.index.read_text(encoding="utf-8"))
        there = {path.stem for path in self.folder.glob("*.json") if not path.name.startswith("_")}
        rows = [row for row in rows if row["session_id"] in there]
        rows = [self._row(data) if row["session_id"] == data["session_id"] else row for row in rows]
        rows.sort(key=lambda row: row["updated_at"], reverse=True)
        write_file(self.index, rows)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the sessions whose files are there, pinned ones first, then the last written."""
        rows: list[dict[str, Any]] = json.loads(self.index.read_text(encoding="utf-8"))
        rows = [row for row in rows if self._path(row["session_id"]).exists()]
        rows.sort(key=lambda row: (row["pinned"], row["updated_at"]), reverse=True)
        return rows
