"""The values that sessions, projects and messages may have: names, types, limits.

The typed dictionaries are the keyword arguments of `create` and `update`, for the type checker and at
run time alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any, Final, TypeVar, cast, get_args

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # Pydantic requires it before Python 3.12

from .arguments import items_of
from .errors import InvalidIdError, InvalidInputError
from .quoting import number_of, quoted, text_of
from .records import Missing, ParentKind, SessionOrder
from .transcripts import json_codec

TITLE_LIMIT: Final = 500
TEXT_LIMIT: Final = 4096
PROJECT_NAME_LIMIT: Final = 128
#: Characters of a document's key. PostgreSQL cannot index keys of more than about 2,700 bytes.
KEY_LIMIT: Final = 500
PROFILE_LIMIT: Final = 255
#: Indexed, and PostgreSQL indexes some 2,700 bytes at most.
SOURCE_LIMIT: Final = 255
MAX_INT: Final = 2**63 - 1

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{3,8}")

Fields = TypeVar("Fields", bound=Mapping[str, Any])


def text(limit: int, *, minimum: int = 0) -> Callable[[Any], str]:
    """Return a validator of text. (Pydantic's own refuses lone surrogates.)"""

    def check(value: Any) -> str:
        plain = text_of(value)
        if plain is None:
            raise ValueError(f"must be text, not {type(value).__name__}")
        if not minimum <= len(plain) <= limit:
            raise ValueError(f"must have {minimum} to {limit} characters, not {len(plain)}")
        return plain

    return check


def optional_text(value: Any) -> str | None:
    """Validate text or None."""
    return None if value is None else text(TEXT_LIMIT)(value)


def color(value: Any) -> str | None:
    """Validate a colour such as ``#7aa2f7``, or None."""
    if is_color(value):
        return text_of(value)
    raise ValueError("must be # and three to eight hexadecimal digits, or None")


def is_color(value: Any) -> bool:
    """Whether `value` is a colour, or None; see `color`."""
    plain = text_of(value)
    return value is None or (plain is not None and _COLOR.fullmatch(plain) is not None)


def _json(value: Any) -> Any:
    json_codec.encode(value)
    return value


def _finite(value: float) -> float:
    if not abs(value) < MAX_INT:  # false for NaN, too
        raise ValueError("must be a finite number")
    return float(value)


def _source(value: Any) -> str | None:
    return None if value is None else text(SOURCE_LIMIT)(value)


Title = Annotated[str, PlainValidator(text(TITLE_LIMIT))]
OptionalText = Annotated[str | None, PlainValidator(optional_text)]
Time = Annotated[float, AfterValidator(_finite)]
Integer = Annotated[int, Field(ge=-MAX_INT - 1, le=MAX_INT)]
Json = Annotated[Any, PlainValidator(_json)]

_STRICT: Final = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)


@with_config(_STRICT)
class SessionChanges(TypedDict, total=False):
    """The fields of a session that `sessions.update` may set; see `SessionRecord`."""

    title: Title
    workspace: OptionalText
    model: OptionalText
    personality: OptionalText
    profile: str
    project_id: str | None
    created_at: Time
    updated_at: Time
    pinned: bool
    archived: bool
    input_tokens: Integer
    output_tokens: Integer
    estimated_cost: Time | None
    compression_anchor_visible_idx: Integer | None
    compression_anchor_message_key: Json
    active_stream_id: OptionalText
    pending_started_at: Time | None
    source: Annotated[str | None, PlainValidator(_source)]
    parent_id: str | None
    forked_at: Integer | None
    parent_kind: ParentKind | None


@with_config(_STRICT)
class ProjectChanges(TypedDict, total=False):
    """The fields of a project that `projects.update` may set."""

    name: Annotated[str, PlainValidator(text(PROJECT_NAME_LIMIT, minimum=1))]
    color: Annotated[str | None, PlainValidator(color)]


_session_changes: Final = TypeAdapter(SessionChanges)
_project_changes: Final = TypeAdapter(ProjectChanges)


def session_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields of a session, and return them.

    Raises:
        InvalidInputError: a field is unknown, or its value is not valid; it names the field.
    """
    checked = _checked(_session_changes, changes, SessionChanges.__annotations__, "session")
    for name, check in (("profile", check_profile), ("project_id", check_id), ("parent_id", check_id)):
        if checked.get(name) is not None:
            checked[name] = check(checked[name])
    return checked


def project_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields of a project, and return them; as `session_changes`."""
    return _checked(_project_changes, changes, ProjectChanges.__annotations__, "project")


def _checked(
    adapter: TypeAdapter[Any], changes: Mapping[str, Any], fields: Collection[str], noun: str
) -> dict[str, Any]:
    try:
        return dict(adapter.validate_python(changes))
    except ValidationError as error:
        problems = "; ".join(
            _problem(problem, fields) for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidInputError(f"A {noun} cannot have this: {problems}. Nothing was written.") from error


def _problem(problem: Any, fields: Collection[str]) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(name, fields, n=1)
        return f"{name} is not a field" + (f" (did you mean {nearest[0]}?)" if nearest else "")
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}"


def check_revision(value: Any, name: str = "expected_revision") -> int:
    """Return `value` when it can be a revision: a whole number.

    Args:
        name: the argument's.

    Raises:
        InvalidInputError: it is anything else. None is refused, too: it would switch the check off.
    """
    if type(value) is int and abs(value) <= MAX_INT:
        return value
    raise InvalidInputError(
        f"{name} is the revision that was read, a whole number, not {quoted(value)}. Nothing was written."
    )


def check_id(value: str, noun: str = "id") -> str:
    """Return `value` when it can be an id: 1 to 128 letters, digits, ``_`` and ``-``.

    Raises:
        InvalidIdError: it cannot.
    """
    plain = text_of(value)
    if plain is not None and _ID.fullmatch(plain):
        return plain
    raise InvalidIdError(
        f"{quoted(value)} cannot be a {noun}: ids are 1 to 128 of the characters 0-9 A-Z a-z _ and -. Nothing was "
        "written."
    )


def check_ids(values: Iterable[str], noun: str = "id") -> list[str]:
    """Return `values` when each can be an id; see `check_id`.

    Raises:
        InvalidIdError: one cannot.
        InvalidInputError: as `items_of`.
    """
    return [check_id(value, noun) for value in items_of(values, f"{noun}s", "Nothing was done.")]


def is_id(value: Any) -> bool:
    """Whether `value` can be an id; see `check_id`."""
    plain = text_of(value)
    return plain is not None and _ID.fullmatch(plain) is not None


def check_time(value: Any) -> float:
    """Return `value` when it can be a time: a finite number of seconds.

    Raises:
        InvalidInputError: it cannot.
    """
    plain = number_of(value)
    if plain is not None and abs(plain) < MAX_INT:
        return float(plain)
    raise InvalidInputError(f"A time is a finite number of seconds, not {quoted(value)}. Nothing was written.")


def check_profile(value: str) -> str:
    """Return `value` when it can name a profile: text of 1 to 255 characters.

    Raises:
        InvalidIdError: it cannot.
    """
    plain = text_of(value)
    if plain is not None and 1 <= len(plain) <= PROFILE_LIMIT:
        return plain
    raise InvalidIdError(
        f"{quoted(value)} cannot be a profile: profiles are text of 1 to {PROFILE_LIMIT} characters. Nothing was "
        "written."
    )


def check_text(value: Any, noun: str) -> str:
    """Return `value` when it is text.

    Raises:
        InvalidInputError: it is not.
    """
    plain = text_of(value)
    if plain is not None:
        return plain
    raise InvalidInputError(f"A {noun} is text, not {quoted(value)}. Nothing was read or written.")


def check_source(value: Any) -> str | Missing | None:
    """Return the filter by source: text, `WITHOUT` or None.

    Raises:
        InvalidInputError: it is anything else.
    """
    if value is None or isinstance(value, Missing):
        return value
    plain = text_of(value)
    if plain is not None:
        return plain
    raise InvalidInputError(f"source is text, WITHOUT or None, not {quoted(value)}. Nothing was read.")


def check_order(order: Any) -> SessionOrder:
    """Return the order of a list of sessions.

    Raises:
        InvalidInputError: there is no such order.
    """
    plain = text_of(order)
    if plain in _ORDERS:
        return cast("SessionOrder", plain)
    raise InvalidInputError(f"order is {' or '.join(map(repr, _ORDERS))}, not {quoted(order)}. Nothing was read.")


_ORDERS: Final = get_args(SessionOrder)

#: The keys of fields in hermes-webui's session JSON, where they differ from the fields' own names.
FILE_KEYS: Final = {"parent_id": "parent_session_id", "source": "source_tag"}


def file_key(field: str) -> str:
    """Return the key that a field has in hermes-webui's session JSON."""
    return FILE_KEYS.get(field, field)


#: The keys of links to other rows in the session JSON.
LINK_KEYS: Final = frozenset({"project_id", "parent_session_id"})
#: The keys of the session JSON whose values columns hold. A document of such a key is the original of a value that its
#: column cannot hold. (Where a session comes from is different: the documents hold it, and the column follows them.)
COLUMN_KEYS: Final = frozenset(map(file_key, SessionChanges.__annotations__)) - {FILE_KEYS["source"]}
