"""Column types that keep what the databases would refuse or change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Dialect, Double, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..transcripts import json_codec
from .row_types import log_once

# Integer keys: SQLite gives AUTOINCREMENT to INTEGER columns only.
RowId: Final[TypeEngine[int]] = BigInteger().with_variant(Integer(), "sqlite")
# In the order of its characters' codes on every database, so that the ids with a prefix are a range of the index.
PublicId: Final[TypeEngine[str]] = Text().with_variant(Text(collation="C"), "postgresql")
# Times are epoch seconds, in double precision on every database.
Epoch: Final[TypeEngine[float]] = Double()


class LosslessText(TypeDecorator[str]):
    """Text that may hold lone surrogates and NUL, which SQLite's driver and PostgreSQL refuse.

    Each such character is stored as DLE (U+0010, "data link escape") and four hex digits, and so is
    DLE itself; every other string is stored as it is. One-to-one, so equality works in SQL.
    """

    impl = Text
    cache_ok = True

    # Not `process_bind_param` and `process_result_value`, around which SQLAlchemy puts two calls for each text.

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return escaped

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        return _text_of


class JsonBytes(TypeDecorator[Any]):
    """A small JSON value in a column, as the bytes that `json_codec` writes; None is NULL."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else json_codec.encode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return decode_column(value)


def decode_column(stored: bytes | None) -> Any:
    """Return the JSON value of a `JsonBytes` column."""
    try:
        return None if stored is None else json_codec.decode(stored)
    except ValueError:  # one damaged row must not keep a list from being read
        log_once("A value that is no JSON was found in a column, and taken as null: %.80r", stored)
        return None


class JsonList(TypeDecorator[Sequence[Any]]):
    """A list as one parameter, for `statement.one_of` on databases without arrays: a JSON array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps([escaped(item) for item in value], ensure_ascii=False)


#: Lists of row ids, of ids, of times, and of other texts.
RowIdList: Final[TypeEngine[Any]] = JsonList().with_variant(ARRAY(BigInteger()), "postgresql")
IdList: Final[TypeEngine[Any]] = JsonList().with_variant(ARRAY(Text()), "postgresql")
FloatList: Final[TypeEngine[Any]] = JsonList().with_variant(ARRAY(Double()), "postgresql")
TextList: Final[TypeEngine[Any]] = JsonList().with_variant(ARRAY(LosslessText()), "postgresql")


_DLE: Final = "\x10"
_UNSTORABLE: Final = re.compile("[\x00\x10\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x10([0-9a-f]{4})")


def _text_of(stored: str | None) -> str | None:
    return unescaped(stored) if stored is not None and _DLE in stored else stored


def is_escaped(stored: str) -> bool:
    """Whether a stored text has escapes; also for several texts joined."""
    return _DLE in stored


def unescaped(stored: str) -> str:
    """Return the text that was stored with escapes."""
    return _ESCAPED.sub(_unescape, stored)


def escaped(value: Any) -> Any:
    """Return a text as it is stored; anything else as it is."""
    if not isinstance(value, str) or value.isprintable():  # no such character is printable, and this is faster
        return value
    return _UNSTORABLE.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    return f"{_DLE}{ord(match[0]):04x}"


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
