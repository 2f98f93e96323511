"""Where the repository is, and the examples in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
EXAMPLE_HOME: Final = ROOT / "examples" / "hermes-home"
#: The example home's state directory of the WebUI, and its database of the agent.
EXAMPLE_STATE_DIR: Final = EXAMPLE_HOME / "webui"
EXAMPLE_STATE_DB: Final = EXAMPLE_HOME / "state.db"
