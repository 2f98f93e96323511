"""Checks of arguments that any verb may have: flags, durations, functions, objects, lists and mappings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .errors import InvalidInputError
from .quoting import number_of, quoted


def check_flag(name: str, value: Any) -> bool:
    """Return `value` when it is True or False.

    Raises:
        InvalidInputError: it is not.
    """
    if value is True or value is False:
        return bool(value)
    raise InvalidInputError(f"{name} is True or False, not {quoted(value)}. Nothing was read or written.")


def check_tristate(name: str, value: Any) -> bool | None:
    """Return a filter that is True, False or None.

    Raises:
        InvalidInputError: it is anything else.
    """
    if value is None or value is True or value is False:
        return None if value is None else bool(value)
    raise InvalidInputError(f"{name} is True, False or None, not {quoted(value)}. Nothing was read.")


#: PostgreSQL counts a timeout in milliseconds, in 31 bits.
_LONGEST_TIMEOUT: Final = 2_000_000.0


def check_timeout(value: Any, name: str = "busy_timeout") -> float:
    """Return a number of seconds to wait, between what the databases can count: a millisecond and 23 days.

    Raises:
        InvalidInputError: it is no number above 0.
    """
    plain = number_of(value)
    if plain is not None and plain > 0:  # false for NaN, too
        return float(max(0.001, min(plain, _LONGEST_TIMEOUT)))
    raise InvalidInputError(f"{name} is a number of seconds above 0, not {quoted(value)}.")


def check_duration(name: str, value: Any) -> float:
    """Return a number of seconds that may be 0, up to 23 days.

    Raises:
        InvalidInputError: it is no such number.
    """
    plain = number_of(value)
    if plain is not None and plain >= 0:  # false for NaN, too
        return float(min(plain, _LONGEST_TIMEOUT))
    raise InvalidInputError(f"{name} is a number of seconds, 0 or more, not {quoted(value)}.")


def check_callable(name: str, value: Any) -> None:
    """Make sure that a value can be called.

    Raises:
        InvalidInputError: it cannot.
    """
    if not callable(value):
        raise InvalidInputError(f"{name} is a function, not {quoted(value)}. Nothing was done.")


def check_instance(name: str, value: Any, kind: type) -> None:
    """Make sure that a value is of a type.

    Raises:
        InvalidInputError: it is not.
    """
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} is a {kind.__name__}, not {quoted(value)}. Nothing was done.")


def items_of(values: Any, noun: str, state: str) -> list[Any]:
    """Return the items that a caller passed, as a list.

    Args:
        values: what was passed.
        noun: what the items are, in the plural.
        state: what is the case after an error, as a sentence.

    Raises:
        InvalidInputError: it is not iterable, is a single text or object, or failed while it was iterated over.
    """
    if isinstance(values, str | bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        raise InvalidInputError(
            f"{noun.capitalize()} are passed as a list of {noun}, not as a {type(values).__name__}. {state}"
        )
    if isinstance(values, Iterator):
        return list(values)  # what the caller's own generator raises is the caller's
    try:
        return list(values)
    except Exception as error:  # whatever the caller's own code raises
        raise InvalidInputError(f"The {noun} that were passed ended in {quoted(error)}. {state}") from error


def mapping_of(values: Any, noun: str) -> dict[Any, Any]:
    """Return the mapping that a caller passed, as a dict; as `items_of`."""
    if not isinstance(values, Mapping):
        raise InvalidInputError(f"{noun} are passed as a dict, not as a {type(values).__name__}. Nothing was written.")
    try:
        return dict(values.items())
    except Exception as error:  # whatever the caller's own code raises
        raise InvalidInputError(f"{noun} that were passed ended in {quoted(error)}. Nothing was written.") from error
