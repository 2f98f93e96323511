"""Simon Willison's llm: its log of prompts and responses, which has an index for full text search.

It has no sessions to append a message to: each message is a prompt with an empty response, in its own conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .base import Peer


class Llm(Peer):
    name = "llm"
    distribution = "llm"
    lists = False

    def __init__(self, path: Path) -> None:
        import llm
        import sqlite_utils
        from llm.logs import LogStore, log_rows
        from llm.migrations import migrate

        class Silent(llm.Model):  # type: ignore[misc]  # a class that is not known without the extra `bench`
            model_id = "silent"

            def execute(self, *_: Any, **__: Any) -> Iterator[str]:
                yield ""

        self.database = sqlite_utils.Database(path)
        migrate(self.database)
        store, model = LogStore(self.database), Silent()

        def append(message: dict[str, Any]) -> None:
            response = model.prompt(message["content"])
            response.text()
            store.log(response)

        self.verbs = {
            "append": append,
            # As `llm logs --query` does.
            "search": lambda words: log_rows(store, count=20, query=words),
        }

    def close(self) -> None:
        self.database.conn.close()
