"""A reader that is another user than the file's owner: a program of its own, because it cannot become root again."""

from __future__ import annotations

import os
import sys

from hermes_store.agent import AgentBridge
from hermes_store.errors import AgentPermissionError


def main(path: str, how: str) -> None:
    bridge = AgentBridge(path, foreign_owner=how == "anyway")
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        print(len(bridge.sessions(limit=1).items))
    except AgentPermissionError as error:
        print(f"refused: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
