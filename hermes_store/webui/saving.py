"""Saving a live session: its differences from the state that it was read at, over what others wrote since.

Each value and each message is compared three ways: as it was read (base), as it is here (local), and as the store has
it now (remote). What only one side changed is taken from that side. What both changed differently is refused, and
nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import InitVar, dataclass, field
from typing import Any, Final

from ..errors import SessionExistsError, SessionNotFoundError, StaleSessionError
from ..storage import document_rows, message_rows, project_rows, session_rows
from ..storage.session_rows import SessionKey
from ..storage.session_writer import add_whole
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import encoding, json_codec
from ..transcripts.encoding import Encoded
from ..transcripts.merge import MergeConflictError, merge
from ..validation import is_id
from ..webui_format import session_json
from ..webui_format.field_mapping import PARENT, PROJECT, map_fields, map_links, profile_of
from .state import (
    ROW_KEYS,
    State,
    digest_of,
    digests_of,
    find_current,
    read,
    read_again,
    read_documents,
    read_messages,
)

_UPDATED: Final = "updated_at"


@dataclass
class Base:
    """What a live session was when it was read or saved: digests, to find what changed since."""

    row_id: int
    session_id: str
    revision: int
    message_count: int
    values: dict[str, bytes]
    #: Whether those are all; else others may be in the store, but for the `absent` ones.
    complete: bool
    absent: set[str] = field(default_factory=set)
    messages: list[bytes] | None = None

    @classmethod
    def of(cls, state: State) -> Base:
        """Return the base of a session that was just read."""
        return cls(
            row_id=state.row_id,
            session_id=state.session_id,
            revision=state.revision,
            message_count=state.message_count,
            values=digests_of(state.values),
            complete=state.complete,
            messages=state.message_digests,
        )

    def changed(self, digests: Mapping[str, bytes]) -> set[str]:
        """Return the keys whose values are others now, are new, or are gone."""
        return {key for key in self.values.keys() | digests.keys() if self.values.get(key) != digests.get(key)}


@dataclass
class Local:
    """A live session at the moment of saving.

    Other threads may change its values and messages meanwhile. So what is written was encoded, or copied, when its
    digest was made.
    """

    session_id: str
    #: The very objects.
    values: dict[str, Any]
    #: None where they were not read.
    messages: list[Any] | None
    base: InitVar[Base | None]
    #: Whether this is the session's last change; if not, `updated_at` is written as it is.
    touched: bool
    #: What is written for the values.
    copies: dict[str, Any] = field(init=False)
    digests: dict[str, bytes] = field(init=False)
    encoded: list[Encoded] | None = field(init=False)

    def __post_init__(self, base: Base | None) -> None:
        self.copies, self.digests = {}, {}
        for key, value in self.values.items():
            known = None if base is None else base.values.get(key)
            self.copies[key], self.digests[key] = _frozen(key, json_codec.plain(value, key), known)
        self.encoded = None if self.messages is None else encoding.encode(self.messages)

    @property
    def message_digests(self) -> list[bytes] | None:
        """The digests of the messages; None where they were not read."""
        return None if self.encoded is None else [message.digest for message in self.encoded]

    def set_time(self, time: float) -> None:
        """Let this be the time of the session's last change."""
        self.values[_UPDATED] = self.copies[_UPDATED] = time
        self.digests |= digests_of({_UPDATED: time})


def _frozen(key: str, value: Any, base: bytes | None) -> tuple[Any, bytes]:
    """Return a value that nobody else changes, and its digest; the value itself if it has the digest of its base."""
    digest = digest_of(key, value)
    if digest == base or not isinstance(value, dict | list | tuple):
        return value, digest
    copied = json_codec.decode(json_codec.encode(value, key))
    return copied, digest_of(key, copied)


@dataclass
class Saved:
    """The result of a save."""

    base: Base
    #: What others wrote meanwhile, where this session had no change of its own.
    adopted: dict[str, Any] = field(default_factory=dict)
    #: The values that others removed.
    gone: set[str] = field(default_factory=set)
    #: The transcript with the others' messages in it; None where it is the one that was saved.
    messages: list[Any] | None = None


def create(unit: UnitOfWork, local: Local) -> Saved:
    """Write a session that is new.

    Raises:
        SessionExistsError: another one has the id.
        SessionDeletedError: a deleted one had it.
    """
    try:
        session_rows.require_free(unit, local.session_id)
    except SessionExistsError:
        base = _base_if_same(unit, local)
        if base is None:
            raise
        return change(unit, base, local)
    messages = local.encoded or []
    content = session_json.from_json(dict(local.copies), messages, written_at=time.time())
    links = _links(unit, local.copies, content.columns["profile"], (PROJECT, PARENT), None)
    linked = map_links(local.copies, links)
    documents = {key: payload for key, payload in content.documents.items() if key not in linked.removed}
    columns = {**content.columns, **linked.columns}
    row_id = add_whole(unit, local.session_id, columns, messages, {**documents, **linked.documents})
    base = Base(row_id, local.session_id, 1, len(messages), local.digests, complete=True)
    base.messages = [message.digest for message in messages]
    return Saved(base)


def _base_if_same(unit: UnitOfWork, local: Local) -> Base | None:
    """Return the base of the stored session if it has the same content: then it was saved already."""
    try:
        base = Base.of(read(unit, local.session_id, whole=True))
    except SessionNotFoundError:
        return None  # it is the former id of another session
    same = base.changed(local.digests) <= {_UPDATED} and base.messages == (local.message_digests or [])
    return base if same else None


def change(unit: UnitOfWork, base: Base, local: Local) -> Saved:
    """Write what differs from a session's base.

    Raises:
        SessionNotFoundError, SessionDeletedError: it is no longer there.
        StaleSessionError: others changed the same part since.
    """
    key = find_current(unit, base.row_id, base.session_id, lock=True)
    if local.touched:
        local.set_time(session_rows.next_time(key))
    saved = Saved(
        Base(
            row_id=key.id,
            session_id=key.session_id,
            revision=key.revision,
            message_count=key.message_count,
            values=dict(local.digests),
            complete=base.complete,
            absent=base.absent - local.values.keys(),
            messages=local.message_digests,
        )
    )
    changed = base.changed(local.digests)
    if key.revision != base.revision:
        changed = _reconcile(unit, base, local, key, saved, changed)
    values = {name: value for name, value in {**local.copies, **saved.adopted}.items() if name not in saved.gone}
    columns = _write_fields(unit, key, values, changed)
    message_columns = _write_messages(unit, base, local, key, saved)
    if changed or columns or message_columns:
        saved.base.revision = session_rows.change(
            unit,
            key,
            {**columns, **message_columns},
            transcript=bool(message_columns),
            fields=bool(changed - {_UPDATED}),
            touch=False,
        )
    return saved


def _reconcile(  # noqa: PLR0917 - three versions, and what becomes of them
    unit: UnitOfWork, base: Base, local: Local, key: SessionKey, saved: Saved, changed: set[str]
) -> set[str]:
    """Put what others changed into `saved`, and return which of the changes here are still to be written.

    Raises:
        StaleSessionError: the same values were changed to others.
    """
    remote = _read_remote(unit, base)
    digests = digests_of(remote.values)
    changed_remotely = base.changed(digests)
    both = (changed & changed_remotely) - {_UPDATED}
    if conflicts := sorted(name for name in both if local.digests.get(name) != digests.get(name)):
        raise StaleSessionError(key.session_id, base.revision, key.revision, f"both changed {', '.join(conflicts)}")
    for name in changed_remotely - changed:
        if name in digests:
            saved.adopted[name] = remote.values[name]
            saved.base.values[name] = digests[name]
        else:
            saved.gone.add(name)
            saved.base.values.pop(name, None)
    return changed - both


def _read_remote(unit: UnitOfWork, base: Base) -> State:
    """Read what the store has of those values that the base has."""
    remote = read_again(unit, base.row_id, base.session_id, complete=base.complete)
    if not base.complete:
        read_documents(unit, remote, sorted((base.values.keys() | base.absent) - ROW_KEYS))
    return remote


# ── Values ──


def _write_fields(unit: UnitOfWork, key: SessionKey, values: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    """Write the values of some keys as far as they are documents, and return the session's columns for them."""
    profile = profile_of(values) if "profile" in names else key.profile
    links = (link for link in (PROJECT, PARENT) if link in names or "profile" in names)
    writes = map_fields(values, names, _links(unit, values, profile, links, key))
    if writes.documents or writes.removed:
        document_rows.write(unit, key.id, key.session_id, writes.documents, writes.removed)
        if not session_json.DRAFT_KEYS.isdisjoint(names):
            writes.columns["has_draft"] = document_rows.has_draft(unit, key.id, key.session_id)
    if profile != key.profile:
        session_rows.release_children(unit, key)
    return writes.columns


def _links(
    unit: UnitOfWork, values: Mapping[str, Any], profile: str, names: Iterable[str], key: SessionKey | None
) -> dict[str, int | None]:
    """Return the row ids that links stand for, None where there is no such row in the profile.

    Args:
        names: which, of `PROJECT` and `PARENT`.
        key: the session that is linked; None when it is new.
    """
    links: dict[str, int | None] = {}
    for name in names:
        links[name] = _find_target(unit, name, values.get(name), profile)
    parent = links.get(PARENT)
    if parent is not None and key is not None and session_rows.descends(unit, parent, key.id):
        links[PARENT] = None
    return links


def _find_target(unit: UnitOfWork, name: str, public_id: Any, profile: str) -> int | None:
    if not is_id(public_id):
        return None
    find = project_rows.find_link_target if name == PROJECT else session_rows.find_link_target
    return find(unit, public_id, profile)


# ── Messages ──


def _write_messages(unit: UnitOfWork, base: Base, local: Local, key: SessionKey, saved: Saved) -> dict[str, Any]:
    """Write the transcript as far as it differs, and return the session's columns for it; none if it does not.

    Raises:
        StaleSessionError: others changed the same messages.
    """
    digests = local.message_digests
    if local.messages is None or local.encoded is None or digests is None or base.messages is None:
        return {}
    stored = base.messages if key.revision == base.revision else message_rows.digests(unit, key.id)
    if digests == stored:
        return {}
    if stored == base.messages:
        return _write_transcript(unit, key, stored, local.encoded, saved)
    try:
        sources = merge(base.messages, digests, stored)
    except MergeConflictError:
        raise StaleSessionError(key.session_id, base.revision, key.revision, "both changed the same messages") from None
    remote = read_messages(unit, key.id, key.session_id, key.message_count)
    bodies = {"local": local.messages, "remote": remote.messages}
    saved.messages = [bodies[source.side][source.position] for source in sources]
    encoded = {"local": local.encoded, "remote": encoding.encode(remote.messages)}
    merged = [encoded[source.side][source.position] for source in sources]
    return _write_transcript(unit, key, stored, merged, saved)


def _write_transcript(
    unit: UnitOfWork, key: SessionKey, stored: list[bytes], messages: Sequence[Encoded], saved: Saved
) -> dict[str, Any]:
    """Make the stored transcript be `messages`, and return the session's columns for it; none if it is that already."""
    digests = [message.digest for message in messages]
    saved.base.messages, saved.base.message_count = digests, len(digests)
    if digests == stored:
        return {}
    revision = key.revision + 1
    columns: dict[str, Any] = {"message_count": len(messages)}
    if digests[: len(stored)] == stored:
        added = messages[len(stored) :]
        message_rows.append(unit, key.id, added, first=len(stored), revision=revision)
        last = encoding.last_timestamp(added)
        return columns if last is None else {**columns, "last_message_at": last}
    message_rows.replace(unit, key.id, messages, revision)
    return {**columns, "last_message_at": encoding.last_timestamp(messages)}
