"""Import of the agent's conversations into the store, again and again as they grow.

The agent's changes are written where the store's copy is as it was imported; what the user changed stays (see
`decision`).

The import log has every session that was ever seen to be part of a conversation, so a conversation is recognised after
the agent compressed it or removed its beginning. The entry of one of these sessions has the notes on what was imported;
the others only refer to the same copy.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..errors import SessionDeletedError, SessionExistsError
from ..outcomes import WRITTEN, ItemKind, Outcome
from ..records import DEFAULT_PROFILE
from ..reports import ImportItem, ImportProgress
from ..storage import (
    import_log,
    message_lookup,
    retired_ids,
    session_keys,
    session_rows,
    statistics,
)
from ..storage.batches import Batch, write_first
from ..storage.engine import Database
from ..storage.part_writer import PartWriter, remove_left_over
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_keys import SessionKey
from ..storage.turns import Turns
from ..storage.unit_of_work import INTEGRITY_ERRORS, REFUSED_VALUES, UnitOfWork, why_refused
from ..validation import is_id
from . import copied_values, decision
from .conversation import Conversation, Mark, digest_of
from .decision import Copy
from .records import AgentSession

OnProgress = Callable[[ImportProgress], None]

#: The conversations' kind in the import log.
KIND: Final = import_log.AGENT_SESSION


class _Stored(NamedTuple):
    """The messages of a copy, as far as they are compared with the agent's."""

    digest: bytes
    marks: list[Mark]


class AgentImporter:
    """Imports conversations, several small ones in a transaction, and a large one in several (see `part_writer`).

    Args:
        database: the store's.
        origin: the agent's file, as the import log names it.
        profile: the profile of new sessions.
    """

    def __init__(self, database: Database, *, origin: str, profile: str = DEFAULT_PROFILE) -> None:
        self._database = database
        self._origin = origin
        self._profile = profile
        self._turns = Turns(database)
        #: What was read last of a copy, with its session as it was then.
        self._read: tuple[SessionKey, _Stored] | None = None

    def remove_left_over(self) -> None:
        """Remove what an import that was killed left over; called at the beginning of an import."""
        remove_left_over(self._database, self._turns)

    def import_conversations(self, conversations: Iterable[Conversation]) -> Iterator[ImportItem]:
        """Import conversations, as `import_conversation`; yield the report on each once that is committed."""
        if not self._database.dialect.writes_in_turn:
            # Nobody waits for a long transaction there, but two of them may wait for each other.
            yield from map(self.import_conversation, conversations)
            return
        batch: Batch[Conversation] = Batch()
        for conversation in conversations:
            writer = self._writer(conversation)
            if not batch.admits(writer):
                yield from self._import_all(batch.take_all())
            batch.add(conversation, writer)
        yield from self._import_all(batch.take_all())

    def finish(self, items: Iterable[ImportItem]) -> None:
        """End an import of many conversations, of which these are the reports."""
        statistics.refresh(self._database, sum(item.outcome in WRITTEN for item in items))

    def import_conversation(self, conversation: Conversation) -> ImportItem:
        """Bring the store up to a conversation, as far as that is right, and return the report on it."""
        return self._import_alone(conversation, self._writer(conversation))

    def _writer(self, conversation: Conversation) -> PartWriter:
        documents = copied_values.documents(conversation.session)
        return PartWriter(self._database, self._turns, conversation.messages, documents, keep_documents=True)

    def _import_all(self, waiting: list[tuple[Conversation, PartWriter]]) -> Iterator[ImportItem]:
        while waiting:
            self._turns.wait()
            with self._database.write() as unit:
                unit.reserve(Reserved.SESSIONS)
                items = write_first(waiting, functools.partial(self._import_or_report, unit))
            yield from items
            del waiting[: len(items)]
            if waiting and not items:
                yield self._import_alone(*waiting.pop(0))

    def _import_alone(self, conversation: Conversation, writer: PartWriter) -> ImportItem:
        def read() -> None:
            with self._database.read() as unit:
                key = self._find(unit, conversation.session.chain)
                if key is not None:
                    self._stored(unit, key, writer)

        return writer.write(lambda unit: self._import_or_report(unit, conversation, writer), read)

    def _import_or_report(self, unit: UnitOfWork, conversation: Conversation, writer: PartWriter) -> ImportItem:
        """Import a conversation in a transaction, which is left as it was if that cannot be done."""
        try:
            try:
                with unit.savepoint():
                    return self._import(unit, conversation, writer)
            except (*INTEGRITY_ERRORS, SessionExistsError):
                # Another process imported it, or took its id, since it was found to be new.
                with unit.savepoint():
                    return self._import(unit, conversation, writer)
        except REFUSED_VALUES as error:
            return _report(conversation, Outcome.FAILED, why_refused(error))

    def _find(self, unit: UnitOfWork, chain: Sequence[str]) -> SessionKey | None:
        """Return the copy of a conversation; None when there is none."""
        known = import_log.sessions_of(unit, KIND, self._origin, chain)
        row_id = next((known[member] for member in chain if member in known), None)
        return None if row_id is None else session_keys.find_row(unit, row_id)

    def _stored(self, unit: UnitOfWork, key: SessionKey, writer: PartWriter) -> _Stored:
        """Return the messages of a copy, as far as they are compared."""
        if self._read is not None and self._read[0] == key:
            return self._read[1]
        if unit.writes:
            writer.require_short(key)
        stored = _Stored(
            digest_of(message_lookup.digests(unit, key.id)), message_lookup.roles_and_timestamps(unit, key.id)
        )
        self._read = (key, stored)
        return stored

    def _import(self, unit: UnitOfWork, conversation: Conversation, writer: PartWriter) -> ImportItem:
        chain = conversation.session.chain
        known = import_log.sessions_of(unit, KIND, self._origin, chain)
        if not known:
            return self._create(unit, conversation, writer)
        row_id = next(known[member] for member in chain if member in known)
        key = None if row_id is None else session_keys.find_row(unit, row_id, lock=RowLock.CHANGE)
        self._refer(unit, (member for member in chain if member not in known), key and key.id)
        if key is None:
            return _report(conversation, Outcome.SKIPPED, "it was purged from the store")
        if key.deleted_at is not None:
            return _report(conversation, Outcome.SKIPPED, "it is deleted in the store", key.session_id)
        return self._update(unit, conversation, key, writer)

    def _create(self, unit: UnitOfWork, conversation: Conversation, writer: PartWriter) -> ImportItem:
        session = conversation.session
        if not is_id(session.session_id):
            return _report(conversation, Outcome.FAILED, f"its id {session.session_id!r} cannot be a session's here")
        try:
            for member in filter(is_id, session.chain):
                retired_ids.require_free(unit, member)
        except SessionExistsError:
            if import_log.sessions_of(unit, KIND, self._origin, session.chain):  # another process imported it just now
                return self._import(unit, conversation, writer)
            return _report(
                conversation, Outcome.CONFLICT, "the store's session of this id is from elsewhere, and was kept"
            )
        except SessionDeletedError:
            return _report(conversation, Outcome.SKIPPED, "it is deleted in the store")
        written = {**decision.following(conversation), "parent_id": self._parent(unit, session, self._profile)}
        columns = {
            **copied_values.first_columns(session),
            "profile": self._profile,
            **copied_values.with_parent_kind(written, session),
        }
        row_id = writer.add(unit, session.session_id, columns, copied_values.uses_beyond(conversation, columns, {}))
        self._record(unit, conversation, conversation.root, row_id, revision=1, written=written, new=True)
        self._refer(unit, session.chain[1:], row_id)
        return _report(conversation, Outcome.IMPORTED)

    def _update(self, unit: UnitOfWork, conversation: Conversation, key: SessionKey, writer: PartWriter) -> ImportItem:
        # Looked up when the row is locked: another import writes both.
        entry = import_log.noted_entry_of(unit, KIND, self._origin, key.id)
        assert entry is not None, "one of the entries that refer to a copy has the notes"  # noqa: S101
        copy = Copy.read(key, entry)
        changed = self._changed_columns(unit, conversation, copy)
        stored = copy.digest if copy.has_imported_messages else self._stored(unit, key, writer).digest
        if conversation.digest in (copy.digest, stored):
            return self._write_columns(unit, conversation, copy, changed, is_same=conversation.digest == stored)
        marks = self._stored(unit, key, writer).marks
        conflict = decision.find_conflict(conversation, copy, is_changed_here=stored != copy.digest, stored=marks)
        if conflict:
            return _report(conversation, Outcome.CONFLICT, f"{conflict}; the store's copy was kept", key.session_id)
        columns = {
            **copied_values.with_parent_kind(changed, conversation.session),
            "updated_at": conversation.session.last_active,
        }
        row_id, revision = writer.overwrite(
            unit, key, columns, fields=bool(changed), uses=copied_values.increments(unit, key, conversation, changed)
        )
        self._record_again(unit, conversation, copy, row_id, revision, changed)
        return _report(conversation, Outcome.UPDATED, decision.describe_messages(copy, conversation), key.session_id)

    def _write_columns(
        self, unit: UnitOfWork, conversation: Conversation, copy: Copy, changed: Mapping[str, Any], *, is_same: bool
    ) -> ImportItem:
        """Write what else the agent changed, where nothing is to be done about the messages.

        Args:
            is_same: the store has the agent's messages; if not, the user changed those that were imported.
        """
        key = copy.key
        if not changed and conversation.digest == copy.digest:
            return _report(conversation, Outcome.UNCHANGED, public_id=key.session_id)
        revision = key.revision
        if changed:
            columns = copied_values.with_parent_kind(changed, conversation.session)
            revision = session_rows.change(
                unit,
                key,
                columns,
                fields=True,
                touch=False,
                uses=copied_values.increments(unit, key, conversation, changed),
            )
        # A change of the user's has to be noticed the next time, too.
        self._record_again(unit, conversation, copy, key.id, revision if is_same else copy.revision, changed)
        if not changed:  # both sides came to the same messages
            return _report(conversation, Outcome.UNCHANGED, public_id=key.session_id)
        return _report(conversation, Outcome.UPDATED, decision.describe_columns(changed), key.session_id)

    def _changed_columns(self, unit: UnitOfWork, conversation: Conversation, copy: Copy) -> dict[str, Any]:
        """Return what the agent changed of the columns that follow it, except where the user changed them."""
        now = import_log.followed_columns(unit, copy.key.id)
        values = decision.following(conversation)
        parent = self._parent(unit, conversation.session, copy.key.profile)
        if parent not in (None, now.parent_id) and not session_keys.descends(unit, parent, copy.key.id):
            values["parent_id"] = parent
        return decision.changed_columns(values, now, copy.written)

    def _parent(self, unit: UnitOfWork, session: AgentSession, profile: str) -> int | None:
        """Return the row id of what a session came from: its copy, else the store's session of that id."""
        parent = session.parent_id
        if parent is None or not is_id(parent):
            return None
        row_id = import_log.sessions_of(unit, KIND, self._origin, [parent]).get(parent)
        key = None if row_id is None else session_keys.find_row(unit, row_id)
        if key is not None and key.deleted_at is None and key.profile == profile:
            return key.id
        return session_keys.find_link_target(unit, parent, profile)

    def _record_again(  # noqa: PLR0917 - the parts of an entry
        self,
        unit: UnitOfWork,
        conversation: Conversation,
        copy: Copy,
        row_id: int,
        revision: int,
        changed: Mapping[str, Any],
    ) -> None:
        written = {**copy.written, **changed}
        self._record(unit, conversation, copy.item, row_id, revision=revision, written=written, new=False)

    def _record(
        self,
        unit: UnitOfWork,
        conversation: Conversation,
        item: str,
        session: int,
        *,
        revision: int,
        written: Mapping[str, Any],
        new: bool,
    ) -> None:
        """Write in the import log what was imported.

        Args:
            item: the agent's session that the log has the conversation under.
            session: the copy's row id.
            revision: the copy's revision that has the agent's messages.
            written: the columns that follow the agent.
        """
        import_log.record(
            unit,
            KIND,
            self._origin,
            item,
            new=new,
            session=session,
            digest=conversation.digest,
            revision=revision,
            notes=decision.notes(conversation, written),
        )

    def _refer(self, unit: UnitOfWork, members: Iterable[str], session: int | None) -> None:
        """Write in the import log that sessions are part of a conversation; `session` is the copy's row id."""
        for member in members:
            import_log.record(unit, KIND, self._origin, member, new=True, digest=b"", session=session)


class Progress:
    """Collects the reports of an import, and calls a function after each.

    Args:
        total: the number of conversations to import.
        on_progress: the function.
    """

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._counts: Counter[Outcome] = Counter()
        self.items: list[ImportItem] = []

    def add(self, item: ImportItem) -> None:
        """Add the report on a conversation."""
        self.items.append(item)
        self._counts[item.outcome] += 1
        if self._on_progress is not None:
            self._on_progress(
                ImportProgress(done=len(self.items), total=self._total, path=item.path, counts=dict(self._counts))
            )


def _report(conversation: Conversation, outcome: Outcome, reason: str = "", public_id: str | None = None) -> ImportItem:
    session_id = conversation.session.session_id
    return ImportItem(
        kind=ItemKind.AGENT_SESSION,
        path=session_id,
        outcome=outcome,
        id=public_id or session_id,
        reason=reason,
        messages=len(conversation.messages),
    )
