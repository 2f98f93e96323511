"""Sessions: forks, duplicates, and the relations between sessions."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from .collection import Collection
from .errors import InvalidInputError
from .quoting import quoted
from .records import FORK, Lineage, RelatedSession, SessionRecord
from .storage import kept_states, lineage_rows, retired_ids, session_copies, session_records
from .storage.kept_states import State
from .storage.lineage_rows import LineageRow
from .storage.session_copies import CopiedValues
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .validation import TITLE_LIMIT, check_id, check_revision, session_changes
from .webui_format import copied_keys


class Forking(Collection):
    """The verbs of `Sessions` that copy sessions, and those that follow the links between them."""

    def fork(
        self,
        session_id: str,
        *,
        at: int | None = None,
        revision: int | None = None,
        title: str | None = None,
        new_id: str | None = None,
    ) -> SessionRecord:
        """Create a session that begins with the messages of another one, and is linked to it.

        The new session has the project, workspace, model, personality and other values of the session. It does not have
        what belongs to the session alone: pinned, archived, the draft, tokens, cost and so on. hermes-webui's branches
        are made in the same way. If the last messages are left out, values that depend on all messages, such as
        ``context_messages``, are left out as well. Everything is copied inside the database, in one transaction.

        Args:
            session_id: the session to copy from, which is not changed.
            at: the number of messages to copy; all when None.
            revision: a revision of `messages.history`: copy the messages as they were then. None: as they are now.
            title: the title; the session's title and " (fork)" when None.
            new_id: the id of the new session; 12 random hexadecimal digits when None.

        Returns:
            The new session.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            SessionExistsError, SessionDeletedError: another session has or had the new id; as in `create`.
            RevisionNotKeptError: the messages of this revision are not kept.
            InvalidInputError: `at` is out of range, the title is not valid, or the revision is not a whole number.
            DatabaseCorruptError: the kept messages are damaged.
        """
        new_id, given = _checked(title, new_id)
        if revision is not None:
            check_revision(revision, "revision")
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            state = kept_states.present(key) if revision is None else kept_states.at(unit, key, revision)
            count = _checked_count(key, at, state.message_count)
            link = {"parent_id": key.id, "parent_kind": FORK, "forked_at": count}
            columns = {**copied_keys.FORK_COLUMNS, **link}
            without = copied_keys.LEFT_OUT_OF_FORKS
            if revision is not None or count < state.message_count:
                without |= copied_keys.OF_ALL_MESSAGES
            values = CopiedValues(columns, without, copied_keys.FORK_VALUES)
            return self._copy(unit, key, new_id, _title(unit, key, "fork", given), state.first(count), values)

    def duplicate(self, session_id: str, *, title: str | None = None, new_id: str | None = None) -> SessionRecord:
        """Create a copy of a session with all its messages, tokens and its draft, and return it.

        The copy is not linked to the session. It has no running stream, and is neither pinned nor archived.

        Args:
            session_id: the session to copy, which is not changed.
            title: the title; the session's title and " (copy)" when None.
            new_id: the id of the copy; 12 random hexadecimal digits when None.

        Raises:
            SessionNotFoundError, SessionDeletedError, SessionExistsError, InvalidInputError: as `fork`.
        """
        new_id, given = _checked(title, new_id)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            columns = {**copied_keys.COPY_COLUMNS, "parent_id": None, "forked_at": None}
            values = CopiedValues(columns, copied_keys.LEFT_OUT, {})
            return self._copy(unit, key, new_id, _title(unit, key, "copy", given), kept_states.present(key), values)

    def children(self, session_id: str) -> list[SessionRecord]:
        """Return the sessions whose parent is this session, the first created one first. Deleted ones are left out.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
        """
        with self._transactions.read() as unit:
            key = self._find(unit, session_id)
            return lineage_rows.children(unit, key.id, key.profile)

    def lineage(self, session_id: str) -> Lineage:
        """Return the ancestors of a session and the tree of its descendants, including deleted sessions.

        It takes one query. Links in a circle, which only another program can have written, are followed once.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
        """
        with self._transactions.read() as unit:
            key = self._find(unit, session_id)
            rows = lineage_rows.related(unit, key.id, key.profile)
        return _Tree(rows).lineage(key)

    def _copy(  # noqa: PLR0917 - what is copied, and what differs
        self, unit: UnitOfWork, key: SessionKey, new_id: str, title: str, state: State, values: CopiedValues
    ) -> SessionRecord:
        retired_ids.require_free(unit, new_id, self._scope)
        now = time.time()
        columns = {**values.columns, "title": title, "created_at": now, "updated_at": now}
        session_copies.copy(unit, key, new_id, state, values._replace(columns=columns))
        return session_records.get_existing(unit, new_id)


class _Tree:
    """Sessions that are related, by their links."""

    def __init__(self, rows: Sequence[LineageRow]) -> None:
        self._rows = {row.id: row for row in rows}
        self._children: defaultdict[int, list[LineageRow]] = defaultdict(list)
        for row in rows:
            if row.parent_row is not None:
                self._children[row.parent_row].append(row)

    def lineage(self, key: SessionKey) -> Lineage:
        """Return the lineage of one of them."""
        seen = {key.id}
        ancestors: list[RelatedSession] = []
        row = self._rows.get(key.id)
        while row is not None and (row := self._parent(row)) is not None and row.id not in seen:
            seen.add(row.id)
            ancestors.append(self._related(row, len(ancestors) + 1))
        descendants: list[RelatedSession] = []
        # Not by recursion: a chain of ten thousand sessions is deeper than Python's stack.
        seen = {key.id}
        left = [(child, 1) for child in reversed(self._children[key.id])]
        while left:
            row, distance = left.pop()
            if row.id in seen:
                continue
            seen.add(row.id)
            descendants.append(self._related(row, distance))
            left += [(child, distance + 1) for child in reversed(self._children[row.id])]
        return Lineage.from_trusted({"session_id": key.session_id, "ancestors": ancestors, "descendants": descendants})

    def _parent(self, row: LineageRow) -> LineageRow | None:
        return None if row.parent_row is None else self._rows.get(row.parent_row)

    def _related(self, row: LineageRow, distance: int) -> RelatedSession:
        values = row._asdict()
        parent = self._parent(row)
        del values["id"], values["parent_row"]
        return RelatedSession.from_trusted(
            {**values, "parent_id": None if parent is None else parent.session_id, "distance": distance}
        )


def _checked(title: str | None, new_id: str | None) -> tuple[str, str | None]:
    checked: dict[str, Any] = {} if title is None else session_changes({"title": title})
    return uuid.uuid4().hex[:12] if new_id is None else check_id(new_id, "session id"), checked.get("title")


def _checked_count(key: SessionKey, at: int | None, count: int) -> int:
    if at is None:
        return count
    if type(at) is not int or not 0 <= at <= count:
        raise InvalidInputError(
            f"at must be a whole number from 0 to {count}, the number of messages of session "
            f"{key.session_id!r}, not {quoted(at)}. Nothing was written."
        )
    return at


_LONGEST: Final = TITLE_LIMIT - len(" (fork)")


def _title(unit: UnitOfWork, key: SessionKey, kind: str, given: str | None) -> str:
    if given is not None:
        return given
    title = session_records.get_existing(unit, key.session_id).title
    return f"{title[:_LONGEST]} ({kind})"
