"""hermes-webui's functions"""

from __future__ import annotations

import itertools

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels

from ..bench import Bench
from ..contenders.json_files import IndexedFiles, session
from ..results import JSON_FILES, OURS
from ..workload import message, messages


def run(bench: Bench) -> None:
    count, length = bench.settings.size(10_000, 20), bench.settings.size(1000, 10)
    with bench.scratch() as folder, Store.open(bench.empty(folder / "ours.db")) as store:
        (folder / "sessions").mkdir()
        data = session(0, messages(length))
        few = (session(number, messages(4, number)) for number in range(1, count))
        files = IndexedFiles(folder / "sessions", itertools.chain(few, [data]))
        import_directory(store, folder)
        models = WebUIModels(store, last_workspace=lambda: str(folder))
        live = models.get_session(data["session_id"])
        numbers = itertools.count()

        def save_file() -> None:
            data["messages"].append(message(next(numbers)))
            files.save(data)

        def save() -> None:
            live.messages.append(message(next(numbers)))
            live.save()

        def rename_file() -> None:
            data["title"] = f"Title {next(numbers)}"
            files.save(data)

        def rename() -> None:
            live.title = f"Title {next(numbers)}"
            live.save()

        among = f"among {count:,} sessions"
        for work, by_files, ours in (
            (f"save a live session of {length:,} messages after 1 more, {among}", save_file, save),
            (f"save a live session's title, {among}", rename_file, rename),
            (f"all_sessions of {count:,} sessions", files.rows, models.all_sessions),
        ):
            bench.compare(work, {JSON_FILES: by_files, OURS: ours}, rounds=10)
