"""Saving a live session: its differences from the state that it was read at, over what others wrote since.

Each value and each message is compared three ways: as it was read (base), as it is here (local), and as the store has
it now (remote). What only one side changed is taken from that side; `merged_fields` and `merged_transcripts` merge what
both changed. Everything is written but the messages that both changed: of those the store keeps its own version.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SessionExistsError, SessionNotFoundError, StaleSessionError
from ..quoting import quoted
from ..storage import (
    cached_tokens,
    cut_rows,
    document_reading,
    document_rows,
    message_differences,
    message_lookup,
    message_rows,
    retired_ids,
    session_rows,
    transcript_columns,
)
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_keys import SessionKey
from ..storage.session_links import find_links, parent_columns
from ..storage.session_writer import add_whole
from ..storage.unit_of_work import UnitOfWork
from ..storage.usage_rows import Amounts
from ..transcripts.known_values import EncodedMessages, KnownMessages
from ..webui_format import session_json
from ..webui_format.field_mapping import PARENT, PROJECT, map_fields, map_links, profile_of
from .base_values import OfValues
from .field_policy import UPDATED
from .merged_fields import Fields, merge_fields
from .merged_transcripts import Transcript, merge_transcripts
from .state import Extent, digest_of, find_current, read
from .versions import Base, Local

logger = logging.getLogger("hermes_store.webui")


@dataclass
class Saved:
    """The result of a save."""

    base: Base
    fields: Fields
    #: None where the store has had it already, or it was not read.
    transcript: Transcript | None = None
    #: The base that the live session was compared with; None where it is new.
    former: Base | None = None
    #: The session's revision.
    revision: int = 1
    #: Whether nobody else wrote since the base was read.
    is_alone: bool = True

    def log_lost(self) -> None:
        """Log the values that both changed, and of which one version was given up."""
        for key, digest, kept in self.fields.lost:
            logger.warning(
                "Session %s: %s was changed by two writers. The value with the digest %s was replaced by that with %s.",
                *(self.base.session_id, quoted(key), _shown(digest), _shown(kept)),
            )

    def conflict(self) -> StaleSessionError | None:
        """Return the error for messages that were not saved; None if all were."""
        conflicts = [] if self.transcript is None else self.transcript.conflicts
        if not conflicts or self.former is None:
            return None
        revisions = (self.former.revision, self.revision)
        return StaleSessionError(self.base.session_id, *revisions, positions=tuple(conflicts))


def _shown(digest: bytes | None) -> str:
    return "none" if digest is None else digest.hex()


def write(unit: UnitOfWork, base: Base | None, local: Local) -> Saved:
    """Write a session: as `change`, or as `create` where there is no base."""
    return create(unit, local) if base is None else change(unit, base, local)


def create(unit: UnitOfWork, local: Local) -> Saved:
    """Write a session that is new.

    Raises:
        SessionExistsError: another one has the id.
        SessionDeletedError: a deleted one had it.
    """
    try:
        retired_ids.require_free(unit, local.session_id)
    except SessionExistsError:
        base = _base_if_same(unit, local)
        if base is None:
            raise
        return change(unit, base, local)
    encoded = local.encoded or EncodedMessages(())
    messages = list(encoded)
    content = session_json.from_json(dict(local.copies), messages, written_at=time.time())
    links = find_links(unit, local.copies, content.columns["profile"])
    linked = map_links(local.copies, links)
    documents = {key: payload for key, payload in content.documents.items() if key not in linked.removed}
    columns = {**content.columns, **linked.columns, **parent_columns(unit, local.copies, links)}
    row_id = add_whole(unit, local.session_id, columns, messages, {**documents, **linked.documents})
    values = OfValues(local.digests, local.sizes, local.known_values)
    base = Base(row_id, local.session_id, 1, len(messages), values, Extent.WHOLE)
    base.messages, base.known_messages = list(encoded.digests), encoded.known
    return Saved(base, Fields(set()))


def _base_if_same(unit: UnitOfWork, local: Local) -> Base | None:
    """Return the base of the stored session if it has the same content: then it was saved already."""
    try:
        base = Base.of(read(unit, local.session_id, Extent.WHOLE, local.is_hidden))
    except SessionNotFoundError:
        return None  # it is the former id of another session
    same = base.changed(local.digests) <= {UPDATED} and base.messages == (local.message_digests or [])
    return base if same else None


def change(unit: UnitOfWork, base: Base, local: Local) -> Saved:
    """Write what differs from a session's base.

    Raises:
        SessionNotFoundError, SessionDeletedError: it is no longer there.
    """
    key = find_current(unit, base.row_id, base.session_id, lock=_reserved(unit, base.changed(local.digests)))
    if local.touched:
        local.set_time(session_rows.next_time(key))
    own, base = base, _present_base(unit, base, key)
    written = Base(
        row_id=key.id,
        session_id=key.session_id,
        revision=key.revision,
        message_count=key.message_count,
        of_values=OfValues(dict(local.digests), dict(local.sizes), local.known_values),
        extent=base.extent,
        absent=base.absent - local.values.keys(),
        messages=local.message_digests,
        known_messages=KnownMessages.nothing() if local.encoded is None else local.encoded.known,
        only=base.only,
    )
    transcript = merge_transcripts(unit, base, local, key)
    saved = Saved(written, Fields(base.changed(local.digests)), transcript, base, key.revision)
    saved.is_alone = key.revision == base.revision
    if saved.is_alone:
        own.attempt = written
    else:
        own.attempt = None
        given = replace(written, of_values=written.of_values.made.copy(), revision=base.revision)
        saved.fields = merge_fields(unit, base, local, key, saved.transcript)
        for name, value in saved.fields.adopted.items():
            written.put(name, value)
        for name in saved.fields.gone:
            written.remove(name)
    changed, gone = saved.fields.changed, saved.fields.gone
    values = {name: value for name, value in {**local.copies, **saved.fields.adopted}.items() if name not in gone}
    written.revision = saved.revision = _write(unit, key, saved, values, changed)
    if saved.transcript is not None and saved.transcript.conflicts:
        written.revision = base.revision  # it has not all of the session at any later one
    elif not saved.is_alone and written.last_row:
        # Once it is committed, the store has all of this. What others wrote is not in the live session before the save
        # has returned, so this is no later version than before.
        own.attempt = replace(given, last_row=written.last_row)
    return saved


def _write(unit: UnitOfWork, key: SessionKey, saved: Saved, values: Mapping[str, Any], changed: Set[str]) -> int:
    """Write fields and messages, and return the session's revision, which is the same if nothing is to be written.

    Args:
        values: all values of the session by key.
        changed: the keys of those to write.
    """
    columns = _write_fields(unit, key, values, changed)
    cached = Amounts() if changed.isdisjoint(cached_tokens.KEYS) else cached_tokens.of_values(values)
    message_columns = _write_transcript(unit, key, saved)
    if not (changed or columns or message_columns):
        return key.revision
    columns |= message_columns
    return session_rows.change(
        unit,
        key,
        columns,
        transcript=bool(message_columns),
        fields=bool(changed - {UPDATED}) or not message_columns,  # a revision is one of either
        touch=False,
        uses=cached_tokens.further_uses(unit, key.id, columns, cached),
    )


def _reserved(unit: UnitOfWork, names: Set[str]) -> RowLock:
    """Reserve what a change of the values of these keys needs, and return the lock of the row that it needs."""
    if not names.isdisjoint({PARENT, "profile"}):
        unit.reserve(Reserved.SESSIONS)
    return RowLock.REMOVE if "profile" in names else RowLock.CHANGE


def _present_base(unit: UnitOfWork, base: Base, key: SessionKey) -> Base:
    """Return the base of a live session: what its last save wrote, if that was committed and the save did not return.

    Then a connection broke, or an exception of a signal handler came in between. What it wrote is not written again.
    """
    attempt = base.attempt
    if attempt is None:
        return base
    if attempt.last_row and attempt.messages:  # a row id is used once, so others may have written since
        is_stored = message_lookup.has_row(unit, key.id, attempt.last_row, attempt.messages[-1])
        return attempt if is_stored else base
    if attempt.values.get(UPDATED) == base.values.get(UPDATED):
        return base  # a save that does not set the time cannot be told apart
    is_stored = key.revision >= attempt.revision and attempt.values.get(UPDATED) == digest_of(UPDATED, key.updated_at)
    return attempt if is_stored else base


# ── Values ──


def _write_fields(unit: UnitOfWork, key: SessionKey, values: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    """Write the values of some keys as far as they are documents, and return the session's columns for them."""
    profile = profile_of(values) if "profile" in names else key.profile
    written_links = (link for link in (PROJECT, PARENT) if link in names or "profile" in names)
    links = find_links(unit, values, profile, written_links, key)
    writes = map_fields(values, names, links)
    writes.columns |= parent_columns(unit, values, links, key)
    if writes.documents or writes.removed:
        document_rows.write(unit, key.id, key.session_id, writes.documents, writes.removed)
        if not session_json.DRAFT_KEYS.isdisjoint(names):
            written = {name: values[name] for name in names if name in values}
            writes.columns["has_draft"] = document_reading.has_draft(unit, key.id, key.session_id, written)
    if profile != key.profile:
        session_rows.release_children(unit, key)
    return writes.columns


# ── Messages ──


def _write_transcript(unit: UnitOfWork, key: SessionKey, saved: Saved) -> dict[str, Any]:
    """Write the transcript as far as it differs, and return the session's columns for it; none if it does not."""
    transcript = saved.transcript
    if transcript is None:
        return {}
    messages, stored = transcript.encoded, transcript.stored
    saved.base.messages, saved.base.message_count = transcript.base, len(messages)
    digests = transcript.digests
    if digests == stored:
        return {}
    revision = key.revision + 1
    if digests[: len(stored)] == stored:
        added = messages[len(stored) :]
        saved.base.last_row = message_rows.append(unit, key.id, added, first=len(stored), revision=revision)
        return transcript_columns.of_appended(key._replace(message_count=len(stored)), added)
    difference = message_differences.compare_digests(unit, key.id, stored, digests)
    users = cut_rows.keep_difference(unit, key, "save", difference)
    message_rows.write_difference(unit, key.id, difference, messages, revision)
    return transcript_columns.of_difference(key, users, difference, messages)
