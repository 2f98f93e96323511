"""Writing sessions that are imported so that other writers wait for a moment only, however large a session is.

What is large is written in parts, each in a transaction of its own, under a staged row (see `staged_rows`). The last
transaction decides, and makes the session visible, in constant time. Where writers do not wait for each other, as on
PostgreSQL, the last transaction writes everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from ..memoized import memoized
from ..transcripts.encoding import Encoded
from . import (
    cached_tokens,
    document_rows,
    message_differences,
    message_rows,
    session_keys,
    session_rows,
    session_writer,
    staged_rows,
    transcript_columns,
)
from .engine import Database
from .message_differences import Difference
from .row_locks import Reserved
from .session_keys import SessionKey
from .turns import Turns
from .unit_of_work import REFUSED_VALUES, UnitOfWork
from .usage_rows import Use

#: The most messages, and bytes of messages and documents, that one transaction of an import writes. A message or
#: document that is larger is written alone.
PART_ROWS: Final = 2_000
PART_BYTES: Final = 2 * 2**20
#: How often a session is prepared that others change meanwhile. After that it is written in one transaction.
_ATTEMPTS: Final = 8

Result = TypeVar("Result")


class UnpreparedError(Exception):
    """A session is too large for one transaction, and has to be prepared before it is written.

    Args:
        key: the session to overwrite; None to add one.
    """

    def __init__(self, key: SessionKey | None) -> None:
        super().__init__("this session has to be prepared before it is written")
        self.key = key


class UnreadError(Exception):
    """A session has too many messages to be read while others wait, and was not read before."""


class _Prepared(NamedTuple):
    """What was done before the transaction that writes a session."""

    #: The session to overwrite, as it was then; None to add one.
    key: SessionKey | None
    #: The staged row that has the messages and the large documents; None if little differs.
    row_id: int | None
    difference: Difference | None


class PartWriter:
    """Writes one session.

    Args:
        database: where to.
        turns: those of the import.
        messages: all of the session's, in order.
        documents: the JSON of its values by key.
        keep_documents: leave the documents of a session that exists as they are.
    """

    def __init__(
        self,
        database: Database,
        turns: Turns,
        messages: Sequence[Encoded],
        documents: Mapping[str, bytes],
        *,
        keep_documents: bool = False,
    ) -> None:
        self._database = database
        self._turns = turns
        self._messages = messages
        self._documents = documents
        self._keep_documents = keep_documents
        self._in_parts = database.dialect.writes_in_turn
        self._owner = staged_rows.Owner()
        self._prepared: _Prepared | None = None
        self._has_staged = False

    @property
    def rows(self) -> int:
        """How many messages it writes."""
        return len(self._messages)

    @memoized
    def size(self) -> int:
        """About how many bytes it writes."""
        return sum([len(message.payload) for message in self._messages]) + sum(map(len, self._documents.values()))

    def write(self, callback: Callable[[UnitOfWork], Result], read: Callable[[], object]) -> Result:
        """Call a function in a write transaction, preparing what it finds to be unprepared, and return its result.

        Args:
            callback: decides what is to be written, and writes it by `add` or `overwrite`, in a savepoint. It is called
                again after a preparation, as the session may have changed meanwhile.
            read: reads what `callback` did not when it raised an `UnreadError`.
        """
        for _ in range(_ATTEMPTS):
            is_unread, key = False, None
            self._turns.wait()
            with self._database.write() as unit:
                unit.reserve(*Reserved)
                try:
                    result = callback(unit)
                    break
                except UnreadError:
                    is_unread = True
                except UnpreparedError as error:
                    key = error.key
            if is_unread:
                read()
            else:
                self._prepare(key)
        else:
            self._in_parts = False
            with self._database.write() as unit:
                unit.reserve(*Reserved)
                result = callback(unit)
        self._remove_staged()
        return result

    # ── Inside a transaction ──

    def require_short(self, key: SessionKey) -> None:
        """Make sure that all messages of a session can be read while others wait.

        Raises:
            UnreadError: it has too many.
        """
        if self._in_parts and key.message_count > PART_ROWS:
            raise UnreadError

    def add(self, unit: UnitOfWork, session_id: str, columns: Mapping[str, Any], uses: Sequence[Use] = ()) -> int:
        """Insert the session at revision 1, and return its row id; as `session_writer.add_whole`.

        Raises:
            UnpreparedError: nothing was written.
            SessionExistsError: another session has the id.
        """
        if not self._is_large:
            return session_writer.add_whole(unit, session_id, columns, self._messages, self._documents, uses)
        prepared = self._prepared
        if prepared is None or prepared.key is not None or not self._is_there(unit, prepared):
            raise UnpreparedError(None)
        assert prepared.row_id is not None, "a session that is added has nothing to differ from"  # noqa: S101
        uses = uses or cached_tokens.first_uses(columns, cached_tokens.of_documents(self._documents))
        columns = {**columns, **transcript_columns.of_all(self._messages)}
        staged_rows.publish(unit, prepared.row_id, session_id, columns, uses)
        document_rows.add(unit, prepared.row_id, self._small_documents)
        session_writer.uncount_snapshot(unit, prepared.row_id, self._documents)
        return prepared.row_id

    def overwrite(
        self, unit: UnitOfWork, key: SessionKey, columns: Mapping[str, Any], *, fields: bool, uses: Sequence[Use] = ()
    ) -> tuple[int, int]:
        """Give a session these messages and documents; return the row id that it has then, and its revision.

        Args:
            key: the session, whose row is locked.
            columns, uses: as in `session_writer.overwrite_whole`.
            fields: something else than messages may be written.

        Raises:
            UnpreparedError: nothing was written.
        """
        prepared = self._prepared
        if prepared is None or prepared.key != key or not self._is_there(unit, prepared):
            if self._is_large or (self._in_parts and key.message_count > PART_ROWS):
                raise UnpreparedError(key)
            prepared = _Prepared(key, None, None)
        if prepared.row_id is not None:
            return self._exchange(unit, key, prepared.row_id, columns, fields=fields, uses=uses)
        documents = None if self._keep_documents else self._documents
        revision = session_writer.overwrite_whole(
            unit, key, columns, self._messages, documents, fields=fields, difference=prepared.difference, uses=uses
        )
        return key.id, revision

    def _exchange(
        self,
        unit: UnitOfWork,
        key: SessionKey,
        row_id: int,
        columns: Mapping[str, Any],
        *,
        fields: bool,
        uses: Sequence[Use],
    ) -> tuple[int, int]:
        session_writer.release_children_of_other_profile(unit, key, columns)
        columns = {**columns, **transcript_columns.of_all(self._messages)}
        if self._keep_documents:
            document_rows.move(unit, key.id, row_id)
        else:
            document_rows.add(unit, row_id, self._small_documents)
            cached = cached_tokens.of_documents(self._documents)
            uses = uses or cached_tokens.further_uses(unit, key.id, columns, cached)
        revision = staged_rows.exchange(unit, key, row_id, self._owner, columns, fields=fields, uses=uses)
        if not self._keep_documents:
            session_writer.uncount_snapshot(unit, row_id, self._documents)
        return row_id, revision

    @property
    def _is_large(self) -> bool:
        return self._in_parts and self._has_parts

    @memoized
    def _has_parts(self) -> bool:
        if len(self._messages) + len(self._documents) <= PART_ROWS and self.size <= PART_BYTES:
            return False
        sizes = (len(message.payload) for message in self._messages)
        return _is_more_than_one(itertools.chain(sizes, map(len, self._documents.values())))

    def _is_there(self, unit: UnitOfWork, prepared: _Prepared) -> bool:
        return prepared.row_id is None or staged_rows.touch(unit, prepared.row_id, self._owner)

    @property
    def _small_documents(self) -> dict[str, bytes]:
        documents = self._documents
        return {key: documents[key] for key in documents if not document_rows.has_own_row(key, documents[key])}

    # ── Before it ──

    def _prepare(self, key: SessionKey | None) -> None:
        """Do what takes long: compare the messages with those of a session, or write them under a staged row."""
        self._prepared = None
        if key is None:
            row_id = self._stage(1, with_documents=True)
            if row_id is not None:
                self._prepared = _Prepared(None, row_id, None)
            return
        with self._database.read() as unit:
            if session_keys.find_row(unit, key.id) != key:
                return  # it was changed: what is to be done is decided anew
            difference = message_differences.compare(unit, key.id, self._messages)
            sizes = difference.sizes(self._messages)
            if not self._keep_documents:
                sizes += document_rows.changed_sizes(unit, key.id, self._documents)
        if difference.rows <= PART_ROWS and not _is_more_than_one(sizes):
            self._prepared = _Prepared(key, None, difference)
        else:
            row_id = self._stage(key.revision + 1, with_documents=not self._keep_documents)
            if row_id is not None:
                self._prepared = _Prepared(key, row_id, None)

    def _stage(self, revision: int, *, with_documents: bool) -> int | None:
        """Write the messages and the large documents under a new staged row.

        Returns:
            Its row id; None if not all could be written.
        """
        self._remove_staged()
        self._has_staged = True
        row_id: int | None = None
        for messages, documents in self._parts(with_documents=with_documents):
            self._turns.wait()
            with self._database.write() as unit:
                if row_id is None:
                    row_id = staged_rows.add(unit, self._owner)
                elif not staged_rows.touch(unit, row_id, self._owner):
                    return None  # another process took it to be left over
                try:
                    with unit.savepoint():
                        message_rows.insert_at(unit, row_id, messages, revision)
                        document_rows.add(unit, row_id, documents)
                except REFUSED_VALUES:
                    self._in_parts = False  # written in one transaction, it is refused again, and that is reported
                    return None
        return row_id

    def _parts(self, *, with_documents: bool) -> Iterator[tuple[dict[int, Encoded], dict[str, bytes]]]:
        """Yield what one transaction writes, at least once: messages by position, or documents."""
        yield {}, {}
        for positions in _parts(len(message.payload) for message in self._messages):
            yield {position: self._messages[position] for position in positions}, {}
        if with_documents:
            keys = sorted(self._documents.keys() - self._small_documents.keys())
            for indexes in _parts(len(self._documents[key]) for key in keys):
                yield {}, {keys[index]: self._documents[keys[index]] for index in indexes}

    # ── After it ──

    def _remove_staged(self) -> None:
        """Remove what is under staged rows: a preparation that was not used, or the messages that a session had."""
        if self._has_staged:
            with self._database.read() as unit:
                row_ids = staged_rows.of(unit, self._owner)
            for row_id in row_ids:
                _remove(self._database, self._turns, row_id, self._owner)
            self._has_staged = False


def _parts(sizes: Iterable[int]) -> Iterator[range]:
    """Yield the indexes of what one transaction writes, given the bytes of each row."""
    start = stop = total = 0
    for index, size in enumerate(sizes):
        if index > start and (total + size > PART_BYTES or index - start >= PART_ROWS):
            yield range(start, index)
            start, total = index, 0
        total += size
        stop = index + 1
    if stop > start:
        yield range(start, stop)


def _is_more_than_one(sizes: Iterable[int]) -> bool:
    return len(list(itertools.islice(_parts(sizes), 2))) > 1


def remove_left_over(database: Database, turns: Turns) -> None:
    """Remove what imports wrote that were killed; called at the beginning of an import."""
    if not database.dialect.writes_in_turn:
        return
    with database.read() as unit:
        row_ids = staged_rows.left_over(unit)
    owner = staged_rows.Owner()
    for row_id in row_ids:
        turns.wait()
        with database.write() as unit:
            if row_id in staged_rows.left_over(unit):  # another process may be doing the same
                staged_rows.take_over(unit, row_id, owner)
        _remove(database, turns, row_id, owner)


def _remove(database: Database, turns: Turns, row_id: int, owner: staged_rows.Owner) -> None:
    """Remove a staged row, if it is the owner's, with what belongs to it."""
    while True:
        turns.wait()
        with database.write() as unit:
            if not staged_rows.touch(unit, row_id, owner):
                return
            if not message_rows.truncate_some(unit, row_id, rows=PART_ROWS, size=PART_BYTES):
                session_rows.remove_row(unit, row_id)
                return
