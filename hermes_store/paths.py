"""Default places on this machine, read from the environment at each call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from .errors import InvalidInputError
from .quoting import quoted

DATABASE_NAME: Final = "hermes.db"


def default_target() -> str:
    """Return the database to use when none is named.

    ``HERMES_STORE_URL``, else ``hermes.db`` in the WebUI's state directory.
    """
    return os.environ.get("HERMES_STORE_URL") or str(state_directory() / DATABASE_NAME)


def path_of(value: Any, noun: str) -> Path:
    """Return the path that a caller named, with ``~`` as the home directory.

    Args:
        value: text, bytes or a path object.
        noun: what is there, for messages.

    Raises:
        InvalidInputError: it cannot be a path.
    """
    if not isinstance(value, str | bytes | os.PathLike):
        raise InvalidInputError(f"The {noun} is named by a path, not by {quoted(value)}. Nothing was opened.")
    try:
        path = Path(os.fsdecode(value)).expanduser()
        os.fsencode(path)
    except Exception as error:  # an unknown user, what is no file name, or whatever the path object raises
        raise InvalidInputError(f"{quoted(value)} cannot be a path: {quoted(error)}. Nothing was opened.") from error
    if "\0" in str(path):
        raise InvalidInputError(f"{quoted(value)} cannot be a path: it has a NUL in it. Nothing was opened.")
    return path


def state_directory() -> Path:
    """Return hermes-webui's state directory, as it finds it itself: ``HERMES_WEBUI_STATE_DIR``, else ``webui`` in
    ``HERMES_HOME``, else in ``~/.hermes``."""
    home = os.environ.get("HERMES_HOME", "").strip() or "~/.hermes"
    return Path(os.environ.get("HERMES_WEBUI_STATE_DIR") or Path(home) / "webui").expanduser()
