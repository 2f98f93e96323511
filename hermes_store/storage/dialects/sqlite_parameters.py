"""The parameters that the URL of an SQLite file may have. Others make SQLite keep no lock, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...errors import UnsupportedDatabaseError
from ...quoting import quoted

#: By name: the values that are allowed. ``uri`` is SQLAlchemy's own, and says what is the case anyway.
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "uri": frozenset({"true", "True", "1"}),
    "vfs": frozenset({"unix", "unix-dotfile", "unix-excl", "win32", "win32-longpath"}),
}


def check_parameters(query: Mapping[str, Any]) -> None:
    """Refuse parameters with which what was written could be lost.

    Raises:
        UnsupportedDatabaseError: one is not allowed; it names those that are.
    """
    for name, value in query.items():
        if not isinstance(value, str) or value not in _ALLOWED.get(name, ()):
            allowed = "; ".join(f"{known}={'|'.join(sorted(values))}" for known, values in _ALLOWED.items())
            raise UnsupportedDatabaseError(
                f"The parameter {quoted(name)} of the URL, or its value, is not supported. Allowed are {allowed}. "
                "Nothing was opened."
            )
