"""Homes of the agent for these tests, with the helpers of the bridge's own suite.

Also the program of a child that is another user than root, who may read everything.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from pathlib import Path

from hermes_store import Store
from hermes_store.webui import WebUIModels

_TESTS = Path(__file__).parents[1]
EXAMPLE = _TESTS.parent / "examples" / "hermes-home" / "state.db"

# Its helpers import one another by their names.
sys.path.append(str(_TESTS / "agent"))

import agent_writers  # noqa: E402, F401 - for the tests
from agentdb import AgentDb  # noqa: E402

NAS, FISH, SENSORS = "20260512_091500_a1b2c3", "20260618_203301_77b0c4", "20260811_190015_3c7d5e"
#: A chain of two, of which the second is shown.
LANTERN, LANTERN_2 = "20260702_140512_c19e20", "20260702_153544_e8f3a6"
#: Of the telegram gateway, and live.
COOKING = "20260603_184210_5d0e71"
CRON = "20260714_033000_b7e41d"
SHOWN = [SENSORS, CRON, LANTERN_2, FISH, COOKING, NAS]


def make_home(home: Path) -> AgentDb:
    """Make a home with a copy of the example's state.db in it."""
    home.mkdir(parents=True, exist_ok=True)
    return AgentDb(Path(shutil.copy(EXAMPLE, home / "state.db")))


def listed(models: WebUIModels) -> list[str]:
    """Return the ids of the agent's conversations, as the WebUI has them."""
    return [row["session_id"] for row in models.get_cli_sessions()]


def main(home: str, session_id: str) -> None:
    """Do what the WebUI does with the agent's sessions, as a user who may not read the file."""
    logging.basicConfig(level=logging.WARNING)
    with Store.open(":memory:") as store:
        models = WebUIModels(store, hermes_home=lambda: home)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        rows, messages = models.get_cli_sessions(), models.get_cli_session_messages(session_id)
        print(json.dumps([rows, messages, models.delete_cli_session(session_id)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
