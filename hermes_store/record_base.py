"""The base class of the value objects: frozen, and made quickly of what the database returned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value.

    Text may hold lone surrogates, so use ``json_codec.encode(record.model_dump())`` for JSON rather than
    ``model_dump_json``.
    """

    # Pydantic's validators are built when one is used: the library itself makes most records without.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants", defer_build=True)

    _names: ClassVar[tuple[str, ...]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls._names = tuple(cls.model_fields)

    @classmethod
    def from_trusted(cls, values: dict[str, Any]) -> Self:
        """Return a record of values that came from the database, all of them, without validation.

        It does the same as Pydantic's ``model_construct`` in less time; a test compares them.
        """
        record = cls.__new__(cls)
        object.__setattr__(record, "__dict__", values)
        return record

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> list[Self]:
        """Return records of rows that begin with the values of the fields, in their order; as `from_trusted`."""
        # Lists make thousands, so this calls no other function in Python.
        new, write, names = cls.__new__, object.__setattr__, cls._names
        records = []
        for row in rows:
            record = new(cls)
            write(record, "__dict__", dict(zip(names, row)))  # noqa: B905 - a keyword takes a tenth of the loop's time
            records.append(record)
        return records

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # What Pydantic has for each model besides its values, made when it is asked for: hardly any is, and a set
            # takes as long to make as the rest of a record.
            if name == "__pydantic_fields_set__":
                value = set(self._names)
            elif name in ("__pydantic_extra__", "__pydantic_private__"):
                value = None
            else:
                return super().__getattr__(name)
            object.__setattr__(self, name, value)
            return value
