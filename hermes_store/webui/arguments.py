"""The arguments of `WebUIModels` and `SessionStorage`, which may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..arguments import items_of, mapping_of
from ..errors import InvalidInputError
from ..paths import path_of
from ..quoting import number_of, quoted, text_of
from ..storage.session_values import Condition
from ..transcripts import json_codec
from ..validation import KEY_LIMIT, MAX_INT, check_profile
from .state import MESSAGES, SESSION_ID


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


def checked_key(key: Any) -> str:
    """Return the key of a value.

    Raises:
        InvalidInputError: it cannot be one, or is that of the messages.
    """
    plain = text_of(key)
    if plain is None or len(plain) > KEY_LIMIT:
        raise InvalidInputError(
            f"A key is text of at most {KEY_LIMIT} characters, not {quoted(key)}. Nothing was done."
        )
    if plain == MESSAGES:
        raise InvalidInputError("The messages are no value: `load` reads them, and `save` takes them as an argument.")
    return plain


def checked_keys(keys: Any) -> list[str]:
    """Return the keys of values; as `checked_key`."""
    return [checked_key(key) for key in items_of(keys, "keys", "Nothing was done.")]


def checked_names(keys: Any) -> set[str]:
    """Return the keys of values, among which the messages' may be; as `checked_key`."""
    names = items_of(keys, "keys", "Nothing was done.")
    return {MESSAGES if text_of(key) == MESSAGES else checked_key(key) for key in names}


def checked_conditions(where: Any) -> list[Condition]:
    """Return the conditions of a list.

    Raises:
        InvalidInputError: they are not given by keys.
        InvalidPayloadError: a value is not a JSON value.
    """
    conditions: list[Condition] = []
    for name, value in ({} if where is None else mapping_of(where, "The conditions")).items():
        key = checked_key(name)
        values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        conditions.append(Condition(key, [json_codec.plain(one, key) for one in values]))
    return conditions


def checked_count(name: str, value: Any) -> int:
    """Return a number of things, at least 1.

    Raises:
        InvalidInputError: it is none.
    """
    count = number_of(value)
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MAX_INT:
        return count
    raise InvalidInputError(f"{name} is a number of at least 1, not {quoted(value)}. Nothing was done.")


def checked_profiles(profile: Any) -> list[str] | None:
    """Return the names of one or several profiles; None for all.

    Raises:
        InvalidInputError: one cannot be a profile's name.
    """
    if profile is None:
        return None
    name = text_of(profile)
    names = items_of(profile, "profiles", "Nothing was read.") if name is None else [name]
    return [check_profile(one) for one in names]


def checked_values(
    session_id: str, values: Any, messages: Any, *, with_messages: bool
) -> tuple[dict[str, Any], list[Any] | None]:
    """Return the values that are to be saved, and the messages if these are to be saved, too.

    Args:
        session_id: the session's id, which may be among the values.
        values, messages: what a caller passed.
        with_messages: take the messages among the values if there are no others.

    Raises:
        InvalidInputError: they cannot be those of this session.
    """
    checked: dict[str, Any] = {}
    for name, value in _items(values):
        key = text_of(name)
        if key == MESSAGES:
            messages = value if with_messages and messages is None else messages
        elif key == SESSION_ID:
            if text_of(value) != session_id:
                raise InvalidInputError(
                    f"The values are those of session {quoted(value)}, not of {session_id!r}. Nothing was written; "
                    "`copy_as` makes a copy under another id, and `rename_id` gives the session another one."
                )
        else:
            checked[checked_key(name)] = value
    return checked, None if messages is None else items_of(messages, MESSAGES, "Nothing was written.")


def _items(values: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(mapping_of(values, "The values").items())
