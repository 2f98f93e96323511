"""A message as the parts that a person reads. Messages may be any JSON value, so nothing here believes its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..transcripts import json_codec
from ..transcripts.encoding import parse_time

#: The agent's marks on messages.
_MARKS: Final = {
    "_continues": "here the conversation goes on after a compression, with a summary or a repetition",
    "_compacted": "summarised since: the agent no longer sees it",
    "_rewound": "taken back",
}
#: Parts in parts in parts: from here on as JSON.
_DEEPEST: Final = 8


@dataclass(frozen=True)
class Text:
    """What somebody wrote."""

    text: str


@dataclass(frozen=True)
class Thought:
    """What a model wrote before its answer."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    name: Any
    arguments: Any


@dataclass(frozen=True)
class Result:
    """What a tool answered: parts, or any value."""

    name: Any
    content: tuple[Part, ...] | Any


@dataclass(frozen=True)
class Medium:
    """A picture, a sound or a file: its kind, and where it is, as far as that is known."""

    kind: str
    source: Any
    #: The part as it is in the message.
    part: Mapping[str, Any]


@dataclass(frozen=True)
class Attachment:
    """What a message says was attached to it."""

    name: Any


@dataclass(frozen=True)
class Value:
    """A JSON value of another form."""

    value: Any


Part = Text | Thought | Call | Result | Medium | Attachment | Value


class Message(NamedTuple):
    """A message."""

    position: int
    #: None where it has none that is text.
    role: str | None
    #: In epoch seconds.
    time: float | None
    #: What the agent noted about it.
    notes: list[str]
    parts: list[Part]


def read_message(position: int, message: Any) -> Message:
    """Return a message's parts."""
    if not isinstance(message, dict):
        return Message(position, None, None, [], [Value(message)])
    role = message.get("role")
    time = parse_time(message.get("timestamp"))
    if time is None:
        time = parse_time(message.get("_ts"))
    notes = [meaning for mark, meaning in _MARKS.items() if message.get(mark)]
    return Message(position, role if isinstance(role, str) and role else None, time, notes, list(_parts(message)))


def _parts(message: Mapping[str, Any]) -> Iterator[Part]:
    for key in ("reasoning", "reasoning_content", "thinking"):
        if isinstance(message.get(key), str) and message[key]:
            yield Thought(message[key])
            break
    content = message.get("content")
    if message.get("role") == "tool":
        yield _result(message.get("name") or message.get("tool_name"), content, 0)
    else:
        yield from _content(content, 0)
    yield from _calls(message.get("tool_calls"))
    for attachment in _items(message.get("attachments")):
        yield Attachment(attachment.get("name") if isinstance(attachment, dict) else attachment)


def _content(content: Any, depth: int) -> Iterator[Part]:
    if isinstance(content, str):
        if content.strip():
            yield Text(content)
    elif isinstance(content, list) and depth < _DEEPEST:
        for part in content:
            yield _part(part, depth)
    elif content is not None:
        yield Value(content)


def _part(part: Any, depth: int) -> Part:
    if isinstance(part, str):
        return Text(part)
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        return Value(part)
    if isinstance(part.get("text"), str):
        return Text(part["text"])
    match kind:
        case "thinking" | "reasoning":
            found: Part = Thought(text_of_value(part.get("thinking") or part.get("reasoning") or part.get("summary")))
        case "tool_use":
            found = Call(part.get("name"), part.get("input"))
        case "tool_result":
            found = _result(None, part.get("content"), depth + 1)
        case _:
            found = Medium("image" if "image" in kind else kind, _source(part), part)
    return found


def _calls(calls: Any) -> Iterator[Call]:
    if isinstance(calls, str):  # the agent's own database has them as JSON text
        try:
            calls = json_codec.decode(calls.encode("utf-8", "surrogatepass"))
        except ValueError:
            calls = [calls]
    for call in _items(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield Call(function.get("name"), function.get("arguments"))
        elif isinstance(call, dict) and isinstance(call.get("name"), str):
            yield Call(call["name"], call.get("input", call.get("args")))
        else:
            yield Call("tool call", call)


def _result(name: Any, content: Any, depth: int) -> Result:
    if isinstance(content, list) and any(isinstance(part, dict) for part in content):
        return Result(name, tuple(_content(content, depth)))
    return Result(name, content)


def _source(part: Mapping[str, Any]) -> Any:
    """Return where a picture, a sound or a file is: a URL, a name, or a ``data:`` URL that has it."""
    for key in ("image_url", "url", "source", "file", "input_audio", "data"):
        value = part.get(key)
        if isinstance(value, dict):
            kind, data = value.get("media_type"), value.get("data")
            if isinstance(kind, str) and isinstance(data, str):
                return f"data:{kind};base64,{data}"
            value = value.get("url") or value.get("filename") or value.get("file_id")
        if isinstance(value, str):
            return value
    return None


def text_of_value(value: Any) -> str:
    """Return a text as it is, and any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_codec.encode(value).decode("utf-8", "replace")


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
