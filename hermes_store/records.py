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


#: As a filter: only the sessions that have no such value. (None does not filter at all.)
WITHOUT: Final = Missing.WITHOUT


#: Why a session has a parent. "fork": it began with the parent's messages. "compression": it goes on where the parent
#: was summarised. "subagent": it works for the parent. "import": its session JSON names the
#: parent and does not say why.
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
    #: The last write of any kind.
    updated_at: float
    #: The timestamp of the last message that has one.
    last_message_at: float | None
    #: The timestamp of the last message that has one and whose role is not "tool". Lists by activity are sorted by it,
    #: or by `updated_at` where there is none.
    last_activity_at: float | None
    message_count: int
    #: How many of the messages have the role "user".
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
    #: Where it comes from ("cli", "telegram", …); None for sessions of the user interface itself.
    source: str | None
    #: The public id of the session it was forked from.
    parent_id: str | None
    #: How many of the parent's messages it began with.
    forked_at: int | None
    #: Why it has a parent; see `ParentKind`. Like `forked_at`, it stays when the parent is purged.
    parent_kind: ParentKind | None
    #: Counts the writes to the session and its messages.
    revision: int
    #: The revision of the last change of any message.
    transcript_revision: int
    #: The revision of the last change of anything else: fields, documents, links.
    fields_revision: int
    #: Whether it was imported from a damaged file: `store.imports.of_session` says what is missing.
    recovered: bool
    deleted_at: float | None


class RelatedSession(Record):
    """A session in the lineage of another one."""

    session_id: str
    #: The public id of its parent; None where it has none (in this profile).
    parent_id: str | None
    #: Why it has a parent.
    kind: ParentKind | None
    #: Where it left off: how many of the parent's messages it began with. None if that is not known.
    forked_at: int | None
    title: str
    message_count: int
    created_at: float
    updated_at: float
    deleted_at: float | None
    #: How many links it is away.
    distance: int


class Lineage(Record):
    """What a session came from, and what came from it, deleted sessions included."""

    session_id: str
    #: Its parent, that one's parent, and so on; the root is the last.
    ancestors: list[RelatedSession]
    #: All that came from it as a tree: each one is followed by what came from it, the oldest first.
    descendants: list[RelatedSession]


class ProjectRecord(Record):
    """A project: a name under which sessions of one profile are grouped."""

    project_id: str
    profile: str
    name: str
    #: ``#`` and three to eight hexadecimal digits.
    color: str | None
    #: Its place in the profile's order, from 0.
    position: int
    created_at: float
    #: The other values of the project's JSON object, from its import.
    extra: dict[str, Any]
    #: How many sessions it has that are not deleted.
    session_count: int


class ShareRecord(Record):
    """A share of a conversation, without the copy itself. Times are epoch seconds."""

    #: What is in the link.
    token: str
    #: The conversation that it is of.
    session_id: str
    created_at: float
    #: When the copy was made.
    updated_at: float
    revoked_at: float | None


class Share(ShareRecord):
    """A share with the copy: a JSON object, as hermes-webui has it with `title`, `messages` and `message_count`."""

    payload: dict[str, Any]


#: Why there is a record of usage. "record": `usage.record` was called. "total": the totals of the session were written,
#: by an import for example, and this is the difference. "copy": the session is a copy, and this is what the one that it
#: was copied from had used; `usage.totals` does not count it again.
UsageKind = Literal["record", "total", "copy"]
#: What `usage.totals` can group by.
UsageGroup = Literal["day", "week", "month", "model", "provider", "profile", "project", "session", "source"]


class UsageRecord(Record):
    """What a session used at one time."""

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
    #: In the unit of `SessionRecord.estimated_cost`; None if it is not known.
    cost: float | None


class UsageTotal(Record):
    """What was used in one group of `usage.totals`. Groups that were not asked for are None."""

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
    #: Where the sessions come from; None for those of the user interface itself, and for purged ones.
    source: str | None = None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    #: The sum of the costs that are known; None if none is.
    cost: float | None
    #: How many records it is the sum of.
    records: int


class Page(Record, Generic[T]):
    """Some rows of a listing, in its order."""

    items: list[T]
    #: Pass it as ``after`` for the next page; None on the last page.
    next: str | None
    #: The number of rows on all pages, if the call asked for it.
    total: int | None = None


#: The orders of a search: the best matches first, or the newest.
SearchOrder = Literal["relevance", "recent"]


class SearchHit(Record):
    """A message, or a title, that a search found."""

    #: Its session.
    session: SessionRecord
    #: The message's position; None if it is the title that matches.
    position: int | None
    role: str | None
    #: The message's timestamp, if it has one.
    timestamp: float | None
    #: A part of its text, around the first matches.
    snippet: str
    #: Where in the snippet the matches are: the index of the first character, and that after the last.
    matches: list[tuple[int, int]]
    #: How well it matches: above 0, at most 1 for a message and 2 for a title.
    score: float


class SearchPage(Page[SearchHit]):
    """Some of what a search found. It may have fewer hits than the limit, also none, though `next` is not None."""

    #: Whether everything was in the index of words. Otherwise (the store has none, or it is being filled) the other
    #: messages are read one by one, a limited number for each page.
    is_indexed: bool


class MessagePage(Record):
    """Consecutive messages of a session, oldest first, with cursors in both directions."""

    items: list[Any]
    #: The position of the first item (or where it would be).
    first_position: int
    #: Pass it as ``before`` for the messages before these; None at the beginning.
    previous: str | None
    #: Pass it as ``after`` for the messages after these; None at the end.
    next: str | None
    #: How many messages the session has.
    message_count: int
    #: The session's revision that this page shows.
    revision: int


class MessageWindow(Record):
    """The last messages of some roles before a position, and all others between them and after them."""

    items: list[Any]
    #: The position of the first item. Pass it as ``before`` for the window before this one; 0 is the beginning.
    first_position: int
    #: The position after the last item.
    stop_position: int
    #: How many messages the session has.
    message_count: int
    #: The session's revision that this window shows.
    revision: int


class WrittenMessage(Record):
    """A message at its position."""

    position: int
    message: Any


class MessageChanges(Record):
    """What was written to the messages of a session since a revision.

    Who has the messages of that revision drops those from position `message_count` on, and then puts each of `items` at
    its position.
    """

    #: The messages that were written or moved, in their order.
    items: list[WrittenMessage]
    #: How many messages the session has.
    message_count: int
    #: The session's revision that this shows. Pass it as ``since`` the next time.
    revision: int


class Change(Record):
    """A session or a project that was written to, as it is now."""

    kind: Literal["session", "project"]
    #: Its id.
    id: str
    profile: str
    #: "present"; "deleted", for a session that can be restored; "gone", if nothing has this id (in this profile) any
    #: more: it was purged, deleted for good, got another id, or moved to another profile.
    state: Literal["present", "deleted", "gone"]
    #: The session, unless it is gone.
    session: SessionRecord | None
    #: The project, unless it is gone.
    project: ProjectRecord | None


class ChangePage(Record):
    """Some changes, in their order."""

    items: list[Change]
    #: Pass it as ``after`` for the changes after these, now or later. It is a text to be stored.
    cursor: str
    #: Whether there are more already.
    has_more: bool


class MessageCut(Record):
    """A write that removed, overwrote or moved messages of a session; what it removed or overwrote is kept."""

    #: The last revision before it: `sessions.fork` with this revision brings the messages back as they were.
    revision: int
    #: What it was: "truncate", "clear", "replace", "update", "undo"; "save" of a live session or a `SessionStorage`,
    #: "import", or "stream".
    verb: str
    #: When, in epoch seconds.
    cut_at: float
    #: How many messages the session had before it.
    message_count: int
    #: How many of them it removed or overwrote, and the bytes of their JSON, which are kept.
    messages: int
    size_bytes: int


class Transcript(list[Any]):
    """A session's messages, and the revision at which they were read.

    Otherwise a plain list: change it and pass it to ``messages.replace`` with its own ``revision``.
    """

    def __init__(self, messages: list[Any], revision: int) -> None:
        super().__init__(messages)
        self.revision = revision
