"""Default places on this machine, read from the environment at each call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DATABASE_NAME: Final = "hermes.db"


def default_target() -> str:
    """Return the database to use when none is named.

    ``HERMES_STORE_URL``, else ``hermes.db`` in the WebUI's state directory.
    """
    return os.environ.get("HERMES_STORE_URL") or str(state_directory() / DATABASE_NAME)


def state_directory() -> Path:
    """Return hermes-webui's state directory: ``HERMES_WEBUI_STATE_DIR``, else ``~/.hermes/webui``."""
    return Path(os.environ.get("HERMES_WEBUI_STATE_DIR") or "~/.hermes/webui").expanduser()
