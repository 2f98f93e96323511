"""Readers that are another user than the file's owner, for processes of their own: none can become root again."""

from __future__ import annotations

import json
import logging

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.errors import AgentPermissionError
from hermes_store.webui import WebUIModels
from tests.support.processes import become_nobody


def read(path: str, how: str) -> None:
    """List one session with the bridge, and print how many there are or why not."""
    bridge = AgentBridge(path, foreign_owner=how == "anyway")
    become_nobody()
    try:
        print(len(bridge.sessions(limit=1).items))
    except AgentPermissionError as error:
        print(f"refused: {error}")


def read_as_webui(home: str, session_id: str) -> None:
    """Do what the WebUI does with the agent's sessions, and print what it gets."""
    logging.basicConfig(level=logging.WARNING)
    with Store.open(":memory:") as store:
        models = WebUIModels(store, hermes_home=lambda: home)
        become_nobody()
        rows, messages = models.get_cli_sessions(), models.get_cli_session_messages(session_id)
        print(json.dumps([rows, messages, models.delete_cli_session(session_id)]))
