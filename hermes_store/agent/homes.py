"""Where the agent keeps its state.db, asked anew at each call.

The rules are the agent's own (hermes-agent 0.13 to 0.19).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from ..errors import InvalidIdError
from ..paths import path_of
from ..quoting import quoted, text_of

STATE_DB: Final = "state.db"
_PROFILE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def default_home() -> Path:
    """Return the agent's home: ``HERMES_HOME``, else ``~/.hermes`` (on Windows ``%LOCALAPPDATA%\\hermes``)."""
    given = os.environ.get("HERMES_HOME", "").strip()
    if given:
        return path_of(given, "agent's home")
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "hermes"
    return Path("~/.hermes").expanduser()


def state_db(path: str | os.PathLike[str] | None, home: str | os.PathLike[str] | None, profile: str | None) -> Path:
    """Return the path of the state.db to read.

    Args:
        path: the file itself, which settles it.
        home: the agent's home, else `default_home`.
        profile: a profile of that home; "default" is the home's root; None is the home as it is named, which may
            be a profile's own.

    Raises:
        InvalidIdError: the profile's name is not one that the agent allows.
        InvalidInputError: the path, or the home, cannot be a path.
    """
    if path is not None:
        return path_of(path, "agent's database")
    base = default_home() if home is None else path_of(home, "agent's home")
    if profile is None:
        return base / STATE_DB
    root = base.parent.parent if base.parent.name == "profiles" else base
    name = text_of(profile)
    if name == "default":
        return root / STATE_DB
    if name is None or not _PROFILE.fullmatch(name):
        raise InvalidIdError(
            f"{quoted(profile)} cannot be a profile of the agent: they are 1 to 64 of a-z 0-9 _ and -, and begin "
            "with a letter or digit."
        )
    return root / "profiles" / name / STATE_DB
