"""The arguments of the WebUI's functions, which may be anything."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInputError
from ..paths import path_of
from ..quoting import quoted


def given(name: str, value: Any, otherwise: Any) -> Any:
    """Return a value, or another one if it is empty.

    Raises:
        InvalidInputError: it does not say whether it is empty.
    """
    try:
        return value or otherwise
    except Exception as error:  # whatever an object raises
        raise InvalidInputError(f"{name} is {quoted(value)}, of which nobody can tell whether it is empty.") from error


def absolute_folder(workspace: Any) -> str:
    """Return the absolute path of a folder.

    Raises:
        InvalidInputError: it cannot be a path.
    """
    path = path_of(workspace, "workspace")
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):  # a link to itself, a name that is too long: the folder is not opened here
        return str(path.absolute())
