"""Homes of the agent with the example's state.db, and what is in that."""

from __future__ import annotations

import shutil
from pathlib import Path

from hermes_store.webui import WebUIModels
from tests.support.agent.agentdb import AgentDb
from tests.support.paths import EXAMPLE_STATE_DB

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
    return AgentDb(Path(shutil.copy(EXAMPLE_STATE_DB, home / "state.db")))


def listed(models: WebUIModels) -> list[str]:
    """Return the ids of the agent's conversations, as the WebUI has them."""
    return [row["session_id"] for row in models.get_cli_sessions()]
