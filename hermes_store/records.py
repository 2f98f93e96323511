"""The value objects that the public interface takes and returns: frozen, typed, and never a database row."""

from __future__ import annotations

import enum
from typing import Any, Final, Generic, Literal, TypeVar

from .record_base import Record

T = TypeVar("T")

#: The title of a session that was created without one.
UNTITLED: Final = "Untitled"
#: The profile of sessions and projects that were created without one.
DEFAULT_PROFILE: Final = "default"


class Missing(enum.Enum):
    """The type of `WITHOUT`."""

    WITHOUT = "without"


#: As a filter: only the sessions without such a value. (None does not filter.)
WITHOUT: Final = Missing.WITHOUT


#: Why a session has a parent. "fork": it began with the parent's messages. "compression": it continues the parent,
#: whose messages were summarised. "subagent": it works for the parent. "import": its session JSON names the parent,
#: but not the reason.
ParentKind = Literal["fork", "compression", "subagent", "import"]
FORK: Final = "fork"

#: The orders of a list of sessions: by `SessionRecord.updated_at`, or by its `last_activity_at`.
SessionOrder = Literal["updated", "activity"]


class SessionRecord(Record):
    """A session without its messages. Times are epoch seconds."""

    session_id: str
    profile: str
    #: The project's public id.
    project_id: str | None
    title: str
    workspace: str | None
    model: str | None
    personality: str | None
    created_at: float
    #: The time of the last write of any kind.
    updated_at: float
    #: The timestamp of the last message that has one.
    last_message_at: float | None
    #: The timestamp of the last message that has one and whose role is not "tool". Lists with ``order="activity"`` are
    #: sorted by it, or by `updated_at` where it is None.
    last_activity_at: float | None
    message_count: int
    #: The number of messages with the role "user".
    user_message_count: int
    pinned: bool
    archived: bool
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None
    compression_anchor_visible_idx: int | None
    compression_anchor_message_key: Any
    active_stream_id: str | None
    pending_started_at: float | None
    #: The program that it comes from ("cli", "telegram", …); None for sessions of the user interface itself.
    source: str | None
    #: The public id of the parent; None if there is none.
    parent_id: str | None
    #: The number of the parent's messages that it began with.
    forked_at: int | None
    #: Why it has a parent; see `ParentKind`. This and `forked_at` stay when the parent is purged.
    parent_kind: ParentKind | None
    #: The number of writes to the session and its messages.
    revision: int
    #: The revision of the last change of any message.
    transcript_revision: int
    #: The revision of the last change of anything else: fields, documents, links.
    fields_revision: int
    #: Whether it was imported from a damaged file. `store.imports.of_session` says what is missing.
    recovered: bool
    #: When it was deleted; None if it is not.
    deleted_at: float | None


class RelatedSession(Record):
    """An ancestor or a descendant of a session. Times are epoch seconds."""

    session_id: str
    #: The public id of its parent; None if it has none (in this profile).
    parent_id: str | None
    #: Why it has a parent.
    kind: ParentKind | None
    #: The number of the parent's messages that it began with; None if it is not known.
    forked_at: int | None
    title: str
    message_count: int
    created_at: float
    updated_at: float
    deleted_at: float | None
    #: The number of links between the two sessions.
    distance: int


class Lineage(Record):
    """The ancestors and descendants of a session, including deleted ones."""

    session_id: str
    #: Its parent, the parent of that one, and so on. The root is the last.
    ancestors: list[RelatedSession]
    #: All descendants as a tree: each session is followed by its own descendants, the oldest child first.
    descendants: list[RelatedSession]


class ProjectRecord(Record):
    """A project: a named group of sessions of one profile."""

    project_id: str
    profile: str
    name: str
    #: ``#`` and three to eight hexadecimal digits, or None.
    color: str | None
    #: Its position among the projects of the profile, from 0.
    position: int
    #: Epoch seconds.
    created_at: float
    #: Other values of the JSON object that it was imported from.
    extra: dict[str, Any]
    #: The number of its sessions that are not deleted.
    session_count: int


class ShareRecord(Record):
    """A share of a conversation, without the copy itself. Times are epoch seconds."""

    #: The text in the link.
    token: str
    #: The session that was copied.
    session_id: str
    created_at: float
    #: When the copy was made.
    updated_at: float
    revoked_at: float | None


class Share(ShareRecord):
    """A share with the copy."""

    #: The copy, a JSON object: in hermes-webui it has `title`, `messages` and `message_count`.
    payload: dict[str, Any]


#: Why a usage record exists. "record": `usage.record` was called. "total": the totals of the session were written, by
#: an import for example, and the record is the difference. "copy": the session is a copy, and the record is the usage
#: of the original session, which `usage.totals` does not count again.
UsageKind = Literal["record", "total", "copy"]
#: The groups of `usage.totals`.
UsageGroup = Literal["day", "week", "month", "model", "provider", "profile", "project", "session", "source"]


class UsageRecord(Record):
    """The usage of a session at one time."""

    session_id: str
    #: Epoch seconds.
    at: float
    model: str | None
    provider: str | None
    kind: UsageKind
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    #: The cost in the unit of `SessionRecord.estimated_cost`; None if it is not known.
    cost: float | None


class UsageTotal(Record):
    """The sum of usage in one group of `usage.totals`. Groups that were not requested are None."""

    #: The day, as "2026-11-28".
    day: str | None = None
    #: The Monday of the week, as "2026-11-23".
    week: str | None = None
    #: The month, as "2026-11".
    month: str | None = None
    model: str | None = None
    provider: str | None = None
    profile: str | None = None
    #: The public id of the project; None for sessions without one.
    project: str | None = None
    #: The public id of the session; None for sessions that were purged.
    session: str | None = None
    #: The source of the sessions; None for those of the user interface itself, and for purged ones.
    source: str | None = None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    #: The sum of the known costs; None if none is known.
    cost: float | None
    #: The number of usage records in the sum.
    records: int


class Page(Record, Generic[T]):
    """A page of a list."""

    items: list[T]
    #: Pass it as ``after`` for the next page; None on the last page.
    next: str | None
    #: The number of rows on all pages, if it was requested; else None.
    total: int | None = None


#: The orders of a search: the best matches first, or the newest first.
SearchOrder = Literal["relevance", "recent"]


class SearchHit(Record):
    """A message, or a title, that a search found."""

    #: Its session.
    session: SessionRecord
    #: The message's position; None if the title matches.
    position: int | None
    role: str | None
    #: The message's timestamp in epoch seconds, if it has one.
    timestamp: float | None
    #: A part of the text, around the first matches.
    snippet: str
    #: The matches in the snippet: the index of the first character, and the one after the last character.
    matches: list[tuple[int, int]]
    #: The relevance: above 0, at most 1 for a message and 2 for a title.
    score: float


class SearchPage(Page[SearchHit]):
    """A page of hits. It may have fewer hits than the limit, or none, although `next` is not None."""

    #: Whether all messages were in the index of words. If not (there is no index, or it is being filled), the other
    #: messages are read one by one, a limited number for each page.
    is_indexed: bool


class MessagePage(Record):
    """Consecutive messages of a session, oldest first, with cursors in both directions."""

    items: list[Any]
    #: The position of the first item, or of the next message if there is no item.
    first_position: int
    #: Pass it as ``before`` for the messages before these; None at the beginning.
    previous: str | None
    #: Pass it as ``after`` for the messages after these; None at the end.
    next: str | None
    #: The number of messages of the session.
    message_count: int
    #: The session's revision that this page shows.
    revision: int


class MessageWindow(Record):
    """The last messages of some roles before a position, and all other messages between and after them."""

    items: list[Any]
    #: The position of the first item. Pass it as ``before`` for the previous window; 0 is the beginning.
    first_position: int
    #: The position after the last item.
    stop_position: int
    #: The number of messages of the session.
    message_count: int
    #: The session's revision that this window shows.
    revision: int


class WrittenMessage(Record):
    """A message at its position."""

    position: int
    message: Any


class MessageChanges(Record):
    """The changes of a session's messages after a revision.

    To update the messages of that revision, remove those from position `message_count` on, and put each of `items` at
    its position.
    """

    #: The messages that were written or moved, in their order.
    items: list[WrittenMessage]
    #: The number of messages of the session.
    message_count: int
    #: The session's revision that this shows. Pass it as ``since`` in the next call.
    revision: int


class Change(Record):
    """A session or a project that was written, as it is now."""

    kind: Literal["session", "project"]
    #: Its id.
    id: str
    profile: str
    #: "present"; "deleted" for a session that can be restored; "gone" if nothing has this id (in this profile) any
    #: more: it was purged or permanently deleted, has another id, or is in another profile.
    state: Literal["present", "deleted", "gone"]
    #: The session, unless it is gone.
    session: SessionRecord | None
    #: The project, unless it is gone.
    project: ProjectRecord | None


class ChangePage(Record):
    """A page of changes, in the order of the last writes."""

    items: list[Change]
    #: Pass it as ``after`` for the changes after these, now or later. It can be stored as text.
    cursor: str
    #: Whether there are more changes now.
    has_more: bool


class MessageCut(Record):
    """A write that removed, overwrote or moved messages of a session; what it removed or overwrote is kept."""

    #: The last revision before it: `sessions.fork` with this revision makes a session of the messages as they were.
    revision: int
    #: The verb: "truncate", "clear", "replace", "update", "undo"; "save" of a live session or a `SessionStorage`,
    #: "import", or "stream".
    verb: str
    #: The time of the write, in epoch seconds.
    cut_at: float
    #: The number of messages before it.
    message_count: int
    #: The number of messages that it removed or overwrote, which are kept, and the bytes of their JSON.
    messages: int
    size_bytes: int


class Transcript(list[Any]):
    """A list of a session's messages, with the revision at which they were read.

    To edit a transcript, change the list and pass it to ``messages.replace`` with its ``revision``.
    """

    def __init__(self, messages: list[Any], revision: int) -> None:
        super().__init__(messages)
        self.revision = revision
