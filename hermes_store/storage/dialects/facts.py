"""What the methods of a dialect return about a database."""

from __future__ import annotations

from typing import Any, NamedTuple


class BackupFacts(NamedTuple):
    """What is in a database, by which a copy is compared with it."""

    application_id: int
    schema_number: int
    #: Deleted ones as well.
    sessions: int
    messages: int
    projects: int


class BrokenLink(NamedTuple):
    """A row that refers to a row that is not there."""

    table: str
    row_id: int
    #: The table of the row that is not there.
    parent: str


class CompactFacts(NamedTuple):
    """What compacting a database did."""

    #: The sizes in bytes, without the log.
    size_before: int
    size_after: int
    #: Whether nothing of removed text is left in its files.
    is_erased: bool


class SchemaItem(NamedTuple):
    """A table or index of a schema."""

    kind: Any
    name: Any
    table: Any
    #: The statement that makes it; None for the index of a key, which its table makes.
    sql: Any


class SchemaFacts(NamedTuple):
    """What is damaged in a schema."""

    #: The revision of the tables.
    revision: str
    #: What is not as it has to be, and can be put right.
    problems: list[str]
    #: What cannot.
    lost: list[str]
