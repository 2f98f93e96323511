"""`SessionStorage` and the JSON files' way of hermes-webui of 2026-08-22, side by side in one run.

    python benchmarks/session_storage.py [--messages 5746] [--size 6000] [--sessions 10000] [--rounds 9]

The JSON files' way: a save parses the session's file, to compare the numbers of messages, and writes it anew; a list
parses the index. The rounds of both alternate. Printed are the medians of CPU time, which a busy machine disturbs
less than time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.webui import SessionStorage
from hermes_store.webui_format.key_order import in_order
from hermes_store.webui_format.session_json import SESSION_KEYS

#: Besides the keys of `SESSION_KEYS`: what the list of the newer version shows.
NEWER: dict[str, Any] = {
    **dict.fromkeys(("created_workspace", "model_provider", "pending_user_source", "compression_anchor_summary")),
    **dict.fromkeys(("pre_compression_snapshot", "llm_title_generated", "manual_title", "read_only"), False),
    **dict.fromkeys(("cache_read_tokens", "cache_write_tokens"), 0),
    **dict.fromkeys(("context_engine", "compression_anchor_engine", "compression_anchor_mode", "truncation_watermark")),
    "compression_anchor_details": {},
    "context_engine_state": {},
    "compression_recovery": {},
    **dict.fromkeys(("context_length", "threshold_tokens", "last_prompt_tokens", "truncation_boundary")),
    **dict.fromkeys(("recommended_recovery_action", "compression_recovery_action", "clear_generation")),
    **dict.fromkeys(("compression_recovery_source_session_id", "gateway_routing", "intentional_shrink_generation")),
    **dict.fromkeys(("worktree_path", "worktree_branch", "worktree_repo_root", "worktree_created_at", "share_token")),
    **dict.fromkeys(("source_tag", "raw_source", "session_source", "source_label", "enabled_toolsets")),
    "is_cli_session": False,
    "gateway_routing_history": [],
    "composer_draft": {"text": "", "files": []},
    "process_wakeup_pause": {},
    "share_created_at": None,
}


def message(number: int, size: int) -> dict[str, Any]:
    """Return a message of about so many bytes."""
    role = "user" if number % 2 == 0 else "assistant"
    return {"role": role, "content": f"Message {number}. {'All happy families are alike. ' * (size // 30)}"}


def session(number: int, messages: list[Any]) -> dict[str, Any]:
    """Return a session's JSON object."""
    known = {"session_id": f"{number:012x}", "title": f"Session {number}", "workspace": "/home/someone/code"}
    times = {"created_at": 1.7e9 + number, "updated_at": 1.7e9 + number}
    return in_order({**SESSION_KEYS, **NEWER, **known, **times, "messages": messages})


class JsonFile:
    """The JSON files' way of a session."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path, self.data = path, data
        self.write()

    def write(self) -> None:
        unfinished = self.path.with_suffix(".tmp")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps(self.data, ensure_ascii=False, indent=2))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)

    def load(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return loaded

    def save(self) -> None:
        if len(self.load()["messages"]) <= len(self.data["messages"]):
            self.write()


def measured(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """Run the actions in turn, and return the median CPU seconds of each."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, taken in zip(actions, times, strict=True):
            started = time.process_time()
            action()
            taken.append(time.process_time() - started)
    return [statistics.median(taken) for taken in times]


def one_session(storage: SessionStorage, file: JsonFile, size: int) -> Iterator[tuple[str, Callable[[], object], Any]]:
    """Yield what is done to a session: its name, the JSON files' way, and the store's."""
    session_id = file.data["session_id"]
    storage.save(session_id, file.data, base=None)
    values, token = storage.load(session_id)
    tokens = [token]
    numbers = iter(range(10**9))

    def change(key: str, value: Callable[[int], Any]) -> tuple[Callable[[], object], Callable[[], object]]:
        def in_file() -> None:
            file.data[key] = value(next(numbers))
            file.save()

        def in_store() -> None:
            values[key] = value(next(numbers))
            tokens.append(storage.save(session_id, values, base=tokens.pop(), only={key}, touch=False)[0])

        return in_file, in_store

    yield "draft", *change("composer_draft", lambda number: {"text": f"What about {number}"})
    yield "pin", *change("pinned", lambda number: number % 4 > 1)
    yield "title", *change("title", lambda number: f"Title {number}")

    def append_to_file() -> None:
        file.data["messages"].append(message(next(numbers), size))
        file.save()

    def append() -> None:
        added = [message(next(numbers), size)]
        tokens.append(storage.append(session_id, added, base=tokens.pop())[0])
        values["messages"] += added

    def save_whole() -> None:
        values["messages"].append(message(next(numbers), size))
        tokens.append(storage.save(session_id, values, base=tokens.pop())[0])

    yield "append of one message", append_to_file, append
    yield "save of the whole after one more message", append_to_file, save_whole
    yield "load", file.load, lambda: storage.load(session_id)
    yield "metadata (JSON: the whole file)", file.load, lambda: storage.load_metadata(session_id)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=5746, help="in the session that is saved")
    parser.add_argument("--size", type=int, default=6000, help="bytes of a message")
    parser.add_argument("--sessions", type=int, default=10_000, help="in the list")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder, "hermes.db")) as store:
        storage = SessionStorage(store)
        messages = [message(number, arguments.size) for number in range(arguments.messages)]
        file = JsonFile(Path(folder, "session.json"), session(0, messages))
        print(f"a session of {arguments.messages:,} messages, {file.path.stat().st_size / 1e6:.0f} MB:")
        for name, in_file, in_store in one_session(storage, file, arguments.size):
            show(name, *measured(arguments.rounds, in_file, in_store))
        storage.discard(file.data["session_id"])
        index = Path(folder, "_index.json")
        rows = [session(number, []) for number in range(1, arguments.sessions + 1)]
        for row in rows:
            storage.save(row["session_id"], row, base=None, touch=False)
            del row["messages"], row["tool_calls"]
        index.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")
        print(f"a list of {arguments.sessions:,} sessions:")
        known = [key for key in SESSION_KEYS if key in rows[0]]
        for keys in (known, list(rows[0])):

            def list_rows(keys: list[str] = keys) -> object:
                return storage.rows(keys)

            show(f"{len(keys)} keys", *measured(arguments.rounds, lambda: json.loads(index.read_bytes()), list_rows))


def show(name: str, old: float, new: float) -> None:
    """Print a line."""
    print(f"  {name}: JSON files {old * 1000:.1f} ms, store {new * 1000:.1f} ms of CPU, ratio {old / new:.1f}")


if __name__ == "__main__":
    main()
