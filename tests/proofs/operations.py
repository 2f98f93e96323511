"""Operations as plain values, and what the sessions have to be after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

#: The session that all threads append to.
SHARED: Final = "shared"
#: A verb with its arguments, as it goes through a pipe: fewer bytes than a pipe takes at once.
Op = dict[str, Any]


@dataclass(frozen=True)
class Session:
    """What a session has to be."""

    title: str = "Untitled"
    messages: list[Any] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)
    is_deleted: bool = False
    #: How many input tokens it used.
    tokens: int = 0
    #: The messages that `undo` brings back; None where it may have nothing to bring back.
    undone: list[Any] | None = field(default=None, compare=False)


@dataclass
class Model:
    """What one thread's sessions have to be, and its messages in the shared one. No other thread writes to them."""

    sessions: dict[str, Session] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)
    shared: list[Any] = field(default_factory=list)

    def copy(self) -> Model:
        """Return one that can be changed alone."""
        return Model(dict(self.sessions), set(self.purged), list(self.shared))


def visible(session: Session | None) -> Session | None:
    """Return what can be read of a session: of a deleted one, that it is deleted."""
    return Session(is_deleted=True) if session is not None and session.is_deleted else session


def message(op: Op, index: int = 0) -> dict[str, Any]:
    """Return a message of an operation."""
    return {"role": "user", "content": "x" * op["size"], "of": f"{op['key']}/{index}"}


def messages(op: Op) -> list[dict[str, Any]]:
    """Return the messages of an operation."""
    return [message(op, index) for index in range(op["count"])]


def document(op: Op) -> dict[str, Any]:
    """Return the document that an operation puts, by key."""
    return {op["name"]: {"of": op["key"], "text": "d" * op["size"]}}


def edited(before: list[Any], op: Op) -> list[Any]:
    """Return a transcript with one message replaced by those of an operation."""
    at = op["position"]
    return [*before[:at], *messages(op), *before[at + 1 :]]


def apply(model: Model, op: Op) -> Model:
    """Return what has to be there once an operation is done."""
    after = model.copy()
    if op["verb"] == "share":
        after.shared += [{**one, "by": op["thread"]} for one in messages(op)]
    elif op["verb"] == "import":
        for session_id, content in imported(op).items():
            after.sessions[session_id] = Session(f"Session {session_id}", content)
    elif op["verb"] == "create":
        after.sessions[op["session"]] = Session(op["title"])
    elif op["verb"] == "purge":
        del after.sessions[op["session"]]
        after.purged.add(op["session"])
    elif op["verb"] == "rename":
        after.sessions[op["new"]] = after.sessions.pop(op["session"])
    elif op["verb"] == "fork":
        after.sessions[op["new"]] = _forked(after.sessions[op["session"]], op)
    elif op["verb"] == "transaction":
        for session_id in (op["session"], op["other"]):
            after.sessions[session_id] = _after_append(after.sessions[session_id], op)
        after.sessions[op["session"]] = replace(after.sessions[op["session"]], title=op["title"])
    elif op["verb"] in CHANGES:
        after.sessions[op["session"]] = CHANGES[op["verb"]](after.sessions[op["session"]], op)
    return after


def _forked(session: Session, op: Op) -> Session:
    documents = {name: value for name, value in session.documents.items() if name != "tool_calls"}
    return Session(op["title"], session.messages[: op["at"]], {**documents, "session_source": "fork"})


def _after_append(session: Session, op: Op) -> Session:
    return replace(session, messages=[*session.messages, *messages(op)], undone=None)


def _after_cut(session: Session, changed: list[Any]) -> Session:
    return replace(session, messages=changed, undone=session.messages)


def _after_undo(session: Session, op: Op) -> Session:
    return replace(session, messages=session.undone or [], undone=None)


def _with_last(session: Session, last: Any) -> Session:
    return replace(session, messages=[*session.messages[:-1], last], undone=None)


def _after_update(session: Session, op: Op) -> Session:
    changed = list(session.messages)
    changed[op["position"]] = message(op)
    return _after_cut(session, changed)


CHANGES: Final[dict[str, Callable[[Session, Op], Session]]] = {
    "append": _after_append,
    "extend": _after_append,
    "replace": lambda session, op: _after_cut(session, edited(session.messages, op)),
    "truncate": lambda session, op: _after_cut(session, session.messages[: op["keep"]]),
    "undo": _after_undo,
    "use": lambda session, op: replace(session, tokens=session.tokens + op["tokens"]),
    "update": _after_update,
    "title": lambda session, op: replace(session, title=op["title"]),
    "put": lambda session, op: replace(session, documents={**session.documents, **document(op)}),
    "delete": lambda session, op: replace(session, is_deleted=True),
    "restore": lambda session, op: replace(session, is_deleted=False),
    "stream": lambda session, op: replace(
        session, messages=[*session.messages, {**message(op), "_partial": True}], undone=None
    ),
    "checkpoint": lambda session, op: _with_last(session, {**message(op), "_partial": True}),
    "finish": lambda session, op: _with_last(session, message(op)),
}


def imported(op: Op) -> dict[str, list[Any]]:
    """Return the messages of each session that a folder import brings."""
    return {
        f"i{op['key']}-{number}": messages({**op, "key": f"{op['key']}-{number}", "count": count})
        for number, count in enumerate(op["counts"])
    }
