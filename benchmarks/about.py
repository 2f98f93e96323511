"""What the results were measured with: the date, the versions, and the kind of machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sqlite3

import sqlalchemy

from . import peers as all_peers


def describe(*, peers: bool) -> dict[str, str]:
    """Return it, each part under a name.

    Args:
        peers: say the peers' versions, too.
    """
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "library": f"hermes-store {importlib.metadata.version('hermes-store')}",
        "cores": f"{os.cpu_count()} cores",
        "system": platform.system(),
        "Python": f"Python {platform.python_version()}",
        "SQLite": f"SQLite {sqlite3.sqlite_version}",
        "SQLAlchemy": f"SQLAlchemy {sqlalchemy.__version__}",
        "Pydantic": f"Pydantic {importlib.metadata.version('pydantic')}",
    }
    if peers:
        found |= {name: f"{name} {version}" for name, version in all_peers.versions().items()}
    return found
