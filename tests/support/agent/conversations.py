"""What the generated files hold, and how a list and a reader are to show it. Written down by hand, both.

Each `Talk` is one row of the list: the sessions of a chain with their messages, and what is expected of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tests.support.agent.statedb import EXTRA, RawText, Row, Shape

BASE: Final = 1_750_000_000.0
TOOL_CALLS: Final = '[{"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}]'
#: Groups that a file without a source cannot tell.
BY_SOURCE: Final = frozenset({"webui", "cron", "tool", "subagent"})
SINCE: Final = {"archived": 14, "hidden": 30}


@dataclass(frozen=True)
class Talk:
    """A conversation, as sessions and messages, and as it is to be listed."""

    #: The sessions of its chain, oldest first: (columns, messages).
    sessions: list[tuple[Row, list[Row]]]
    #: When it was last active, seconds after `BASE`.
    last: float
    #: How many messages it has, how many of them are live, and how many were summarised away in place.
    rows: int
    live: int
    compacted: int = 0
    title: str | None = None
    #: The first words of the user's …
    text: str | None = None
    #: … or, in files that cannot mark messages as inactive, other ones.
    old_text: str | None = None
    source: str = "cli"
    #: What has to be included to see it, by its source or its flags, …
    groups: frozenset[str] = frozenset()
    #: … and because it is some session's helper, whatever its source.
    helper: bool = False

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(session["id"] for session, _ in self.sessions)

    def needs(self, shape: Shape) -> set[str]:
        groups = {group for group in self.groups if shape.version >= SINCE.get(group, 0)}
        if not shape.source:
            groups -= BY_SOURCE
        return groups | ({"subagent"} if self.helper else set())

    def count(self, shape: Shape) -> int:
        """Return how many messages are its: in older files, none is marked as rewound, or as summarised."""
        if shape.version < 14:
            return self.rows
        return self.live + (self.compacted if shape.version >= 17 else 0)

    def listed(self, shape: Shape) -> tuple[Any, ...]:
        """Return the row that the list is to show."""
        source = self.source if shape.source else None
        title = self.title if shape.version >= 3 else None
        text = self.old_text if self.old_text and shape.version < 14 else self.text
        return (
            self.chain,
            source,
            title or text or f"{(source or 'cli').title()} session",
            bool(title),
            BASE + self.last,
            self.count(shape),
        )


def expected(shape: Shape, include: Iterable[str] = (), source: str | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of the whole list, in order."""
    groups = set(include)
    if source is None:
        shown = [talk for talk in TALKS if talk.needs(shape) <= groups]
    else:
        groups |= BY_SOURCE - ({"subagent"} if source != "subagent" else set())
        own = source if shape.source else None
        shown = [talk for talk in TALKS if talk.source == own and talk.needs(shape) <= groups]
    return sorted((talk.listed(shape) for talk in shown), key=lambda row: (row[4], row[0][-1]), reverse=True)


def said(start: float, *texts: Any, step: float = 1.0, **more: Any) -> list[Row]:
    """Return messages, the user's and the assistant's in turn, one after each step."""
    return [
        {
            "role": "user" if number % 2 == 0 else "assistant",
            "content": text,
            "timestamp": BASE + start + step * number,
            **more,
        }
        for number, text in enumerate(texts)
    ]


def plain(session_id: str, start: float, source: str = "cli", groups: Iterable[str] = (), **more: Any) -> Talk:
    """Return a conversation of one question and one answer."""
    helper = more.pop("helper", False)
    columns = {"id": session_id, "source": source, "started_at": BASE + start - 1, **more}
    return Talk(
        sessions=[(columns, said(start, f"question of {session_id}", "answer"))],
        last=start + 1,
        rows=2,
        live=2,
        title=more.get("title"),
        text=f"question of {session_id}",
        source=source,
        groups=frozenset(groups),
        helper=helper,
    )


_LOGIN: Final = Talk(
    title="Fix the login page",
    sessions=[
        (
            {
                "id": "login",
                "source": "cli",
                "title": "Fix the login page",
                "model": "anthropic/claude-sonnet-4.6",
                "model_config": '{"temperature": 0.2}',
                "started_at": BASE + 100,
                "ended_at": BASE + 200,
                "end_reason": "cli_close",
                "message_count": 9,  # the agent's own counters are off at times
                "input_tokens": 1200,
                "output_tokens": 340,
                "estimated_cost_usd": 0.0123,
                "cwd": "/home/mara/shop",
                "git_branch": "main",
                "display_name": "Mara",
                **dict.fromkeys(EXTRA, "of a fork"),
            },
            [
                {"role": "system", "content": "session start", "timestamp": BASE + 101},
                {"role": "user", "content": "Hello — grüße 你好 👋 'q' \"dq\"", "timestamp": BASE + 102},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": TOOL_CALLS,
                    "finish_reason": "tool_calls",
                    "reasoning": "think…",
                    "reasoning_content": "",
                    "reasoning_details": '[{"type": "reasoning.text", "signature": "sig"}]',
                    "codex_reasoning_items": '[{"encrypted_content": "zzz"}]',
                    "codex_message_items": '[{"id": "msg_1"}]',
                    "timestamp": BASE + 103,
                },
                {
                    "role": "tool",
                    "content": '{"ok": true}',
                    "tool_call_id": "call_1",
                    "tool_name": "terminal",
                    "effect_disposition": "applied",
                    "timestamp": BASE + 104,
                },
                {
                    "role": "assistant",
                    "content": "Done.",
                    "finish_reason": "stop",
                    "token_count": 12,
                    "api_content": "Done. [sent]",
                    "platform_message_id": "77",
                    "observed": 1,
                    "_compressed_summary": 1,
                    "display_kind": "note",
                    "display_metadata": '{"a": 1}',
                    "display_identity": b"\x00\xff",
                    "timestamp": BASE + 105,
                    **dict.fromkeys(EXTRA, "kept"),
                },
                {"role": "session_meta", "content": "meta", "timestamp": BASE + 106},
            ],
        )
    ],
    last=106,
    rows=6,
    live=6,
    text="Hello — grüße 你好 👋 'q' \"dq\"",
)

_PICTURE: Final = Talk(
    sessions=[
        (
            {"id": "picture", "source": "telegram", "started_at": BASE + 200},
            said(
                201,
                '\x00json:[{"type": "text", "text": "What is   in\\nthis picture?"}, {"type": "image_url"}]',
                '\x00json:{"type": "text", "text": "A cat."}',
                "\x00json:[broken",
                "\x00json:",
            ),
        )
    ],
    last=204,
    rows=4,
    live=4,
    text="What is in this picture?",
    source="telegram",
)


def _link(name: str, start: float, parent: str | None, number: int, *texts: str, **more: Any) -> tuple[Row, list[Row]]:
    title = "A long story" + (f" #{number}" if number > 1 else "")
    columns = {"id": name, "source": "cli", "parent_session_id": parent, "started_at": BASE + start, "title": title}
    return {**columns, **more}, said(start + 1, *texts)


_STORY: Final = Talk(
    sessions=[
        _link("story-c", 300, None, 1, "a long story begins", "part 1", end_reason="compression", ended_at=BASE + 310),
        _link("story-a", 310, "story-c", 2, "[summary] 1", "part 2", end_reason="compression", ended_at=BASE + 320),
        _link("story-b", 320, "story-a", 3, "[summary] 2", "part 3", "and on"),
    ],
    last=323,
    rows=7,
    live=7,
    title="A long story #3",
    text="a long story begins",
)
#: The agent has just compressed it, and nothing is said yet in the session that goes on.
_JUST: Final = Talk(
    sessions=[
        (
            {"id": "just-1", "source": "cli", "started_at": BASE + 340, "end_reason": "compression", "title": "Just"},
            said(341, "soon full", "yes"),
        ),
        ({"id": "just-2", "source": "cli", "started_at": BASE + 9000, "parent_session_id": "just-1"}, []),
    ],
    last=342,
    rows=2,
    live=2,
    title="Just",
    text="soon full",
)
#: Two sessions go on from one; the agent uses the open one, and the other is a conversation of its own.
_RIVALS: Final = Talk(
    sessions=[
        (
            {"id": "fork-0", "source": "cli", "started_at": BASE + 350, "end_reason": "compression"},
            said(351, "a fork in the road", "left or right"),
        ),
        ({"id": "fork-open", "source": "cli", "started_at": BASE + 353, "parent_session_id": "fork-0"}, said(353, "x")),
    ],
    last=353,
    rows=3,
    live=3,
    text="a fork in the road",
)
_LOSER: Final = plain(
    "fork-ended", 355, parent_session_id="fork-0", ended_at=BASE + 360, end_reason="cli_close", model_config="{}"
)

_REWOUND: Final = Talk(
    title="Undone",
    sessions=[
        (
            {"id": "rewound", "source": "cli", "title": "Undone", "started_at": BASE + 500},
            [
                *said(501, "first", "one"),
                *said(503, "undone", "two", active=0, compacted=0),
                *said(505, "third", "three"),
            ],
        )
    ],
    last=506,
    rows=6,
    live=4,
    text="first",
)
_COMPACTED: Final = Talk(
    sessions=[
        (
            {"id": "compacted", "source": "cli", "started_at": BASE + 520},
            [
                *said(521, "old question", "old answer", active=0, compacted=1),
                *said(523, "[summary] of it", "noted", "next"),
            ],
        )
    ],
    last=525,
    rows=5,
    live=3,
    compacted=2,
    text="[summary] of it",
    old_text="old question",
)
_DAMAGED: Final = Talk(
    sessions=[
        (
            {"id": "damaged", "source": "cli", "started_at": BASE + 540, "model_config": "{_delegate_from"},
            [
                {"role": "user", "content": RawText(b"caf\xe9 au lait"), "timestamp": BASE + 541},
                {"role": "assistant", "content": "x", "tool_calls": "[{broken", "timestamp": BASE + 542},
                {"role": "assistant", "content": b"\xff\xfe\x00", "timestamp": BASE + 543},
                {"role": "assistant", "content": b"bytes of text", "timestamp": BASE + 544},
                {
                    "role": "assistant",
                    "content": "y",
                    "display_metadata": '"{\\"twice\\": true}"',
                    "reasoning_details": "null",
                    "timestamp": BASE + 545,
                },
                {"role": "user", "content": "lone \ufffd and \x00 inside", "timestamp": BASE + 546},
                {"role": "user", "content": 12.5, "timestamp": BASE + 547},
            ],
        )
    ],
    last=547,
    rows=7,
    live=7,
    text="caf\udce9 au lait",
)
_CLOCKS: Final = Talk(
    sessions=[
        (
            {"id": "clocks", "source": "cli", "started_at": BASE + 560},
            [
                {"role": role, "content": content, "timestamp": time}
                for role, content, time in (
                    ("user", "one", BASE + 561),
                    ("assistant", "two", BASE + 561),
                    ("user", "three", BASE + 400),
                    ("assistant", "four", 5e246),
                    ("user", "five", "yesterday"),
                    ("assistant", "six", -1.0),
                )
            ],
        )
    ],
    last=561,
    rows=6,
    live=6,
    text="one",
)
_NO_TIME: Final = Talk(
    sessions=[
        (
            {"id": "no-time", "source": "cli", "started_at": BASE + 580},
            [{"role": "user", "content": "when?", "timestamp": time} for time in (5e246, "never", 0.0)],
        )
    ],
    last=580,
    rows=3,
    live=3,
    text="when?",
)
_SILENT_USER: Final = Talk(
    sessions=[
        (
            {"id": "no-user", "source": "discord", "started_at": BASE + 590},
            [{"role": "assistant", "content": "Good morning", "timestamp": BASE + 591}],
        )
    ],
    last=591,
    rows=1,
    live=1,
    source="discord",
)
_LONG_PREFACE: Final = Talk(
    sessions=[
        (
            {"id": "preface", "source": "cli", "started_at": BASE + 595},
            [
                *({"role": "system", "content": "rule", "timestamp": BASE + 595 + n / 100} for n in range(30)),
                {"role": "user", "content": "w" * 70, "timestamp": BASE + 596},
            ],
        )
    ],
    last=596,
    rows=31,
    live=31,
    text="w" * 64,
)
_EMPTY: Final = Talk(
    sessions=[({"id": "empty", "source": "cli", "started_at": BASE + 600, "title": "Nothing yet"}, [])],
    last=600,
    rows=0,
    live=0,
    title="Nothing yet",
    groups=frozenset({"empty"}),
)

#: What is committed last: in files with a log it is there alone.
LATE: Final = plain("late", 2000, title="Said last", model="late/model")

TALKS: Final = [
    _LOGIN,
    _PICTURE,
    _STORY,
    _JUST,
    _RIVALS,
    _LOSER,
    _REWOUND,
    _COMPACTED,
    _DAMAGED,
    _CLOCKS,
    _NO_TIME,
    _SILENT_USER,
    _LONG_PREFACE,
    _EMPTY,
    LATE,
    plain("branch", 400, parent_session_id="login", model_config='{"_branched_from": "login"}'),
    plain("branch-of-old", 410, parent_session_id="branched"),
    plain("branched", 405, end_reason="branched", ended_at=BASE + 409),
    plain("reset", 420, parent_session_id="login", model_config='{"_reset_from": "login"}'),
    plain("helper-marked", 430, parent_session_id="login", model_config='{"_delegate_from": "login"}', helper=True),
    plain("helper-old", 440, parent_session_id="login", helper=True),
    plain("helper-source", 450, "subagent", {"subagent"}, parent_session_id="login", helper=True),
    plain("helper-alone", 455, "subagent", {"subagent"}),
    plain("orphan", 460, parent_session_id="gone"),
    plain("archived", 470, groups={"archived"}, archived=1),
    plain("hidden", 480, groups={"hidden"}, hidden=1),
    plain("both", 485, "cron", {"cron", "archived"}, archived=1),
    # Two at the same moment: the greater id comes first.
    plain("same-b", 620),
    plain("same-a", 620),
    plain("same-c", 620),
    *(
        plain(f"from-{source}", 700 + 10 * number, source, groups)
        for number, (source, groups) in enumerate(
            [
                *((source, {source}) for source in ("webui", "cron", "tool")),
                *((source, {"tool"}) for source in ("kanban", "oneshot")),
                *((source, set[str]()) for source in ("tui", "acp", "telegram", "whatsapp", "api_server")),
            ]
        )
    ),
]
#: Messages of a session that is not there: they belong to nothing.
STRAYS: Final[tuple[Row, list[Row]]] = ({"id": "nowhere", "messages_only": True}, said(9999, "lost", "and gone"))

EARLY: Final = [
    *(session for talk in TALKS if talk is not LATE for session in talk.sessions),
    STRAYS,
]
