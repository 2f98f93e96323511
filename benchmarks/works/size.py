"""Size on the disk"""

from __future__ import annotations

import json

from hermes_store import Store

from ..bench import Bench
from ..contenders.json_files import session
from ..workload import encode, messages


def run(bench: Bench) -> None:
    count = bench.settings.size(10_000, 100)
    transcripts = [messages(100, number) for number in range(0, count, 100)]
    payload = sum(len(encode(one).payload) for transcript in transcripts for one in transcript)
    files = sum(
        len(json.dumps(session(number, transcript), ensure_ascii=False, indent=2).encode())
        for number, transcript in enumerate(transcripts)
    )
    with bench.scratch() as folder:
        with Store.open(bench.empty(folder / "ours.db"), durability="normal") as store:
            for number, transcript in enumerate(transcripts):
                store.sessions.create(session_id=f"s{number}", title="A title")
                store.messages.extend(f"s{number}", transcript)
        stored = sum(path.stat().st_size for path in folder.iterdir())
    bench.measure(
        f"{count:,} messages in {len(transcripts):,} sessions",
        {"MB of JSON text": payload / 1e6, "MB of the database": stored / 1e6, "MB of JSON files": files / 1e6},
    )
