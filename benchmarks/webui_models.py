"""Saving and listing as hermes-webui does it: its JSON files' way and this library's, side by side in one run.

    python benchmarks/webui_models.py [--sessions 10000] [--messages 1000] [--rounds 15]

The JSON files' way is what hermes-webui of 2026-04-24 does: a save writes the session's file and the index anew, each
flushed to the disk; a list reads the index and looks for every session's file. The rounds of both alternate; printed
are the medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels
from hermes_store.webui_format.session_json import INDEX_KEYS, SESSION_KEYS


def message(number: int) -> dict[str, Any]:
    """Return a message of some 500 bytes."""
    role = "user" if number % 2 == 0 else "assistant"
    return {"role": role, "content": f"Message {number}. " + "All happy families are alike. " * 15, "timestamp": number}


def session(number: int, messages: int) -> dict[str, Any]:
    """Return a session's JSON object."""
    known: dict[str, Any] = {
        "session_id": f"{number:012x}",
        "title": f"Session {number}",
        "workspace": "/home/someone/code",
        "model": "anthropic/claude-sonnet-4.5",
        "created_at": 1.7e9 + number,
        "updated_at": 1.7e9 + number,
        "messages": [message(index) for index in range(messages)],
    }
    return {**SESSION_KEYS, **known}


class JsonFiles:
    """The JSON files' way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = folder / "_index.json"

    def fill(self, sessions: list[dict[str, Any]]) -> None:
        """Write files and index."""
        for data in sessions:
            (self.folder / f"{data['session_id']}.json").write_text(json.dumps(data, indent=2), encoding="utf-8")
        self.index.write_text(json.dumps([self.row(data) for data in sessions], indent=2), encoding="utf-8")

    @staticmethod
    def row(data: dict[str, Any]) -> dict[str, Any]:
        """Return a session's row of the index."""
        row = {key: data.get(key) for key in INDEX_KEYS}
        return {**row, "message_count": len(data["messages"]), "is_streaming": False}

    def write(self, path: Path, value: Any) -> None:
        """Write a file whole."""
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False, indent=2))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def save(self, data: dict[str, Any]) -> None:
        """Save a session."""
        data["updated_at"] = time.time()
        self.write(self.folder / f"{data['session_id']}.json", data)
        rows = json.loads(self.index.read_text(encoding="utf-8"))
        there = {path.stem for path in self.folder.glob("*.json") if not path.name.startswith("_")}
        rows = [row for row in rows if row["session_id"] in there]
        rows = [self.row(data) if row["session_id"] == data["session_id"] else row for row in rows]
        rows.sort(key=lambda row: row["updated_at"], reverse=True)
        self.write(self.index, rows)

    def all_sessions(self) -> list[dict[str, Any]]:
        """List the sessions."""
        rows = json.loads(self.index.read_text(encoding="utf-8"))
        rows = [row for row in rows if (self.folder / f"{row['session_id']}.json").exists()]
        rows.sort(key=lambda row: (row["pinned"], row["updated_at"]), reverse=True)
        return rows


def median_times(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """Run the actions in turn, and return the median seconds of each."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, taken in zip(actions, times, strict=True):
            started = time.perf_counter()
            action()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1000, help="in the session that is saved")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder, "hermes.db")) as store:
        root = Path(folder, "sessions")
        root.mkdir()
        files = JsonFiles(root)
        sessions = [session(number, 4) for number in range(1, arguments.sessions)] + [session(0, arguments.messages)]
        files.fill(sessions)
        print(f"{import_directory(store, folder).counts}")
        models = WebUIModels(store, last_workspace=lambda: folder)
        data, live = sessions[-1], models.get_session(sessions[-1]["session_id"])
        count = iter(range(10**9))

        def save_files() -> None:
            data["messages"].append(message(next(count)))
            files.save(data)

        def save_store() -> None:
            live.messages.append(message(next(count)))
            live.save()

        for what, actions in (
            (f"save after one more message ({arguments.messages:,} messages)", (save_files, save_store)),
            (f"list {arguments.sessions:,} sessions", (files.all_sessions, models.all_sessions)),
        ):
            old, new = median_times(arguments.rounds, *actions)
            print(f"{what}: JSON files {old * 1000:.1f} ms, store {new * 1000:.1f} ms, ratio {old / new:.1f}")


if __name__ == "__main__":
    main()
