"""Which table a row of a damaged file is of: as its values say, since the tree that it was in may be damaged as well.

Three tables have rows of the same form, a row id and bytes: `UNDECIDED`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...transcripts import json_codec
from ...validation import is_id
from ..schema import STAGED_PREFIX
from .sqlite_cells import Row

#: Message bodies, small documents, and copies of shares.
UNDECIDED: Final = "message_blobs, session_extras or share_payloads"
#: One letter for each column: text, integer, real number, bytes, a digest; a capital may be NULL, "-" is the row id.
_SESSION: Final = "-ttItTTTrrRiiiiiRIBTRTIIiRiiiiRrTii"
#: By the number of columns of each revision.
_SESSION_COLUMNS: Final = {26: "0001", 28: "0002", 30: "0003", 32: "0004", 33: "0006", 34: "0011", 35: "0012"}
#: Tables that came with a later revision, and have what is in no other table.
_LATER_TABLES: Final = {"message_cuts": "0007", "kept_messages": "0007", "shares": "0008", "usage": "0009"}
_SHAPES: Final[Mapping[str, str]] = {
    "-tttTirB": "projects",
    "-tttTirBi": "projects",
    "-iiTRd": "messages",
    "-iiTRdi": "messages",
    "-b": UNDECIDED,
    "itdb": "session_documents",
    "-itriiiIiiib": "message_cuts",
    "iiTRdB": "kept_messages",
    "-tirrRd": "shares",
    "-ItTTtriiiiiI": "usage",
    "tIr": "retired_ids",
    "-tttIbIIIrB": "import_items",
    "ti": "sqlite_sequence",
    "t": "version",
}


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**63


def _is_bytes(value: Any) -> bool:
    return type(value) is bytes


def _is_digest(value: Any) -> bool:
    return type(value) is bytes and len(value) == json_codec.DIGEST_SIZE


_TESTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "t": _is_text,
    "i": _is_integer,
    "r": _is_real,
    "b": _is_bytes,
    "d": _is_digest,
    "-": lambda value: value is None,
}
_BY_LENGTH: Final[dict[int, list[str]]] = {}
for _shape in _SHAPES:
    _BY_LENGTH.setdefault(len(_shape), []).append(_shape)


def _fits(letter: str, value: Any) -> bool:
    return (value is None and letter.isupper()) or _TESTS[letter.lower()](value)


def table_of(row: Row) -> str | None:
    """Return the table that a row is of; None for a row that is of none."""
    values = row.values
    if len(values) in _SESSION_COLUMNS and values[0] is None:
        name = values[1]
        return "sessions" if is_id(name) or (_is_text(name) and name.startswith(STAGED_PREFIX)) else None
    for shape in _BY_LENGTH.get(len(values), ()):
        if all(map(_fits, shape, values)):
            return _SHAPES[shape]
    return None


_EMPTY: Final = {"t": "", "i": 0, "r": 0.0, "b": b""}
#: What the columns that were added later have in rows that were not written since: revisions are 1.
_LATER: Final = (1, 1, 0, 0, None, 0.0, None, 0)


def sound_session(row: Row, length: int) -> tuple[tuple[Any, ...], bool]:
    """Return the values of a session's row with empty ones for those of a wrong type, and whether there were any.

    Args:
        length: how many there have to be.
    """
    values = tuple(
        value if _fits(letter, value) else None if letter.isupper() else _EMPTY[letter]
        for letter, value in zip(_SESSION, row.values, strict=False)
    )
    first = min(_SESSION_COLUMNS)
    return (*values, *_LATER[len(values) - first :])[:length], values != row.values


def revision_of(row: Row) -> str:
    """Return the oldest revision whose tables can have a row; an empty text for rows that tell nothing."""
    table = table_of(row)
    return _SESSION_COLUMNS[len(row.values)] if table == "sessions" else _LATER_TABLES.get(table or "", "")
