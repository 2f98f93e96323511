"""Staged rows: sessions that are not there yet, or not any more. No verb, list, count or export sees them.

An import writes a large session in several short transactions, so that other writers need not wait for all of it. Until
the last one, its messages belong to a staged row of `sessions`; the last one gives that row the session's id and its
columns. When the session exists already, the two rows change places: the old messages belong to a staged row then, and
are removed in several transactions as well.

A staged row has a public id that no session can have, and a `message_count` that no condition of a list is true for
(see `schema`). Its public id says which process writes it, so that what a killed process left over can be removed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from ..records import UNTITLED
from . import session_rows
from .fork_gate import renew_after_fork
from .schema import STAGED_COUNT, STAGED_PREFIX, session_table
from .session_keys import SessionKey
from .statement import Statement
from .unit_of_work import UnitOfWork
from .usage_rows import Use

#: Seconds without a write after which a staged row is left over, whatever process made it.
_ABANDONED: Final = 3600.0


class Owner:
    """A writer of staged rows, which are left over once it is dropped or its process ends."""

    def __init__(self) -> None:
        self._name = f"{next(_numbers)}"
        self._rows = itertools.count()
        _owners[self._name] = self

    @property
    def prefix(self) -> str:
        """What the public ids of its rows begin with, and no others."""
        return f"{STAGED_PREFIX}{_host()}/{os.getpid()}/{self._name}/"

    def new_id(self) -> str:
        """Return a public id for a staged row."""
        return f"{self.prefix}{time.time_ns()}-{next(self._rows)}"


_numbers: Final = itertools.count()
# A global of this module, which a forked child replaces: what its parent writes is not its own.
_owners: weakref.WeakValueDictionary[str, Owner] = weakref.WeakValueDictionary()
renew_after_fork(sys.modules[__name__], "_owners", weakref.WeakValueDictionary)


def _host() -> str:
    return hashlib.blake2b(platform.node().encode("utf-8", "replace"), digest_size=6).hexdigest()


class StagedRow(NamedTuple):
    """A staged row."""

    id: int
    staged_id: str
    #: When it was written to last.
    updated_at: float

    @property
    def is_left_over(self) -> bool:
        """Whether nobody will write to it any more."""
        if abs(time.time() - self.updated_at) > _ABANDONED:
            return True
        match self.staged_id.removeprefix(STAGED_PREFIX).split("/"):
            case [host, process, owner, _] if host == _host() and process.isdecimal():
                return owner not in _owners if int(process) == os.getpid() else not _is_running(int(process))
        return False


def _is_running(process: int) -> bool:
    if os.name != "posix":  # os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def add(unit: UnitOfWork, owner: Owner) -> int:
    """Insert a staged row, and return its row id."""
    return session_rows.add(unit, owner.new_id(), {"created_at": time.time(), **_columns()})


def _columns() -> dict[str, Any]:
    links = {"project_id": None, "parent_id": None, "active_stream_id": None, "deleted_at": None}
    seen = {"title": UNTITLED, "has_draft": False, "message_count": STAGED_COUNT}
    return {**links, **seen, "updated_at": time.time()}


_id_of: Final = Statement(select(session_table.c.session_id).where(session_table.c.id == bindparam("row_id")))


def touch(unit: UnitOfWork, row_id: int, owner: Owner) -> bool:
    """Note that a staged row is being written to; return False if it is not the owner's any more."""
    if not (unit.value(_id_of, {"row_id": row_id}) or "").startswith(owner.prefix):
        return False
    return session_rows.write_row(unit, row_id, {"updated_at": time.time()})


def take_over(unit: UnitOfWork, row_id: int, owner: Owner) -> None:
    """Give a staged row to another owner, so that its former one cannot write to it any more."""
    session_rows.write_row(unit, row_id, {"session_id": owner.new_id(), "updated_at": time.time()})


def publish(
    unit: UnitOfWork, row_id: int, session_id: str, columns: Mapping[str, Any], uses: Sequence[Use] = ()
) -> None:
    """Turn a staged row into a session at revision 1; as `session_rows.add`."""
    session_rows.write_row(unit, row_id, {**columns, "session_id": session_id})
    session_rows.add_first_use(unit, row_id, columns, uses)


#: What a row does not give to another one.
_OWN: Final = frozenset({"id", "change_number"})
_NAMES: Final = tuple(column.key for column in session_table.columns if column.key not in _OWN)
_whole_row: Final = Statement(
    select(*(session_table.c[name] for name in _NAMES)).where(session_table.c.id == bindparam("row_id"))
)


def exchange(
    unit: UnitOfWork,
    key: SessionKey,
    row_id: int,
    owner: Owner,
    columns: Mapping[str, Any],
    *,
    fields: bool,
    uses: Sequence[Use] = (),
) -> int:
    """Exchange the messages of a session and of a staged row; return the session's new revision.

    The session moves to the staged row, and its links with it: moving the messages would write each of them. Its
    former row id still finds it; see `session_keys.find_row`.

    Args:
        row_id: the staged row.
        columns: what else is to be written, by the names of the table's columns.
        fields: something else than messages is written.
        uses: as in `session_rows.change`.
    """
    [row] = unit.rows(_whole_row, {"row_id": key.id})
    session_rows.write_row(unit, key.id, {**_columns(), "session_id": owner.new_id()})
    session_rows.move_links(unit, key.id, row_id)
    session_rows.write_row(unit, row_id, dict(zip(_NAMES, row, strict=True)))
    key = key._replace(id=row_id)
    return session_rows.change(unit, key, columns, transcript=True, fields=fields, touch=False, uses=uses)


_staged: Final = Statement(
    select(session_table.c.id, session_table.c.session_id, session_table.c.updated_at).where(
        session_table.c.session_id >= bindparam("first"), session_table.c.session_id < bindparam("end")
    )
)


def _all(unit: UnitOfWork, prefix: str) -> list[StagedRow]:
    end = f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"
    return [StagedRow._make(row) for row in unit.rows(_staged, {"first": prefix, "end": end})]


def of(unit: UnitOfWork, owner: Owner) -> list[int]:
    """Return the row ids of an owner's staged rows."""
    return [row.id for row in _all(unit, owner.prefix)]


def left_over(unit: UnitOfWork) -> list[int]:
    """Return the row ids of the staged rows that nobody will write to any more."""
    return [row.id for row in _all(unit, STAGED_PREFIX) if row.is_left_over]
