"""A message as a person reads it. Messages may be any JSON value, so nothing here believes its shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from ..transcripts import json_codec
from ..transcripts.encoding import parse_time
from .table import cut
from .text import json_line, moment, printable, shortened, size

_ROLE_STYLES: Final = {"user": "bold green", "assistant": "bold cyan", "tool": "yellow", "system": "magenta"}

#: The agent's marks on messages.
_MARKS: Final = {
    "_continues": "here the conversation goes on after a compression, with a summary or a repetition",
    "_compacted": "summarised since: the agent no longer sees it",
    "_rewound": "taken back",
}


def render_message(position: int, message: Any) -> Iterator[RenderableType]:
    """Yield the parts of a message, its heading first."""
    if not isinstance(message, dict):
        yield from _heading(f"message {position}", "", "bold red")
        yield _plain(json_line(message))
        return
    role = message.get("role")
    name = cut(printable(role), 40) if isinstance(role, str) and role else "no role"
    time = parse_time(message.get("timestamp"))
    if time is None:
        time = parse_time(message.get("_ts"))
    yield from _heading(name, "" if time is None else moment(time), _ROLE_STYLES.get(name, "bold"))
    for mark, meaning in _MARKS.items():
        if message.get(mark):
            yield _aside(f"[{meaning}]")
    for key in ("reasoning", "reasoning_content", "thinking"):
        if isinstance(message.get(key), str) and message[key]:
            yield _thought(message[key])
            break
    content = message.get("content")
    if role == "tool":
        yield from _result(message.get("name") or message.get("tool_name"), content)
    else:
        yield from _content(content)
    yield from _calls(message.get("tool_calls"))
    for attachment in _items(message.get("attachments")):
        called = attachment.get("name") if isinstance(attachment, dict) else attachment
        yield _aside(f"[attached: {_inline(called)}]")


def _heading(name: str, time: str, style: str) -> Iterator[RenderableType]:
    yield ""
    yield Rule(Text.assemble((name, style), (f"  {time}" if time else "", "dim")), align="left", style="dim")


#: Parts in parts in parts: from here on as JSON.
_DEEPEST: Final = 8


def _content(content: Any, depth: int = 0) -> Iterator[RenderableType]:
    if isinstance(content, str):
        if content.strip():
            yield _plain(content)
    elif isinstance(content, list) and depth < _DEEPEST:
        for part in content:
            yield from _part(part, depth)
    elif content is not None:
        yield _plain(json_line(content))


def _part(part: Any, depth: int) -> Iterator[RenderableType]:
    if isinstance(part, str):
        yield _plain(part)
        return
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        yield _plain(shortened(json_line(part), lines=8, characters=800))
    elif isinstance(part.get("text"), str):
        yield _plain(part["text"])
    elif kind in _PARTS:
        yield from _PARTS[kind](part, depth)
    else:
        yield _aside(f"[{'image' if 'image' in kind else printable(kind)}: {_source(part)}]")


def _thinking(part: Mapping[str, Any], depth: int) -> Iterator[RenderableType]:
    yield _thought(_text(part.get("thinking") or part.get("reasoning") or part.get("summary")))


def _tool_use(part: Mapping[str, Any], depth: int) -> Iterator[RenderableType]:
    yield _call(part.get("name"), part.get("input"))


def _tool_result(part: Mapping[str, Any], depth: int) -> Iterator[RenderableType]:
    yield from _result(None, part.get("content"), depth + 1)


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any], int], Iterator[RenderableType]]]] = {
    "thinking": _thinking,
    "reasoning": _thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}


def _source(part: Mapping[str, Any]) -> str:
    """Return what is known of a picture, a sound or a file without showing it."""
    for key in ("image_url", "url", "source", "file", "input_audio", "data"):
        value = part.get(key)
        if isinstance(value, dict):
            value = value.get("url") or value.get("filename") or value.get("file_id")
        if isinstance(value, str) and not value.startswith("data:") and len(value) <= 200:
            return printable(value)
        if isinstance(value, str) and value.startswith("data:"):
            kind = printable(value[5:60].partition(";")[0].partition(",")[0])
            return f"{kind}, {size(len(value.partition(',')[2]) * 3 // 4)}"
    return size(len(json_codec.encode(part)))


def _calls(calls: Any) -> Iterator[RenderableType]:
    if isinstance(calls, str):  # the agent's own database has them as JSON text
        try:
            calls = json_codec.decode(calls.encode("utf-8", "surrogatepass"))
        except ValueError:
            calls = [calls]
    for call in _items(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield _call(function.get("name"), function.get("arguments"))
        elif isinstance(call, dict) and isinstance(call.get("name"), str):
            yield _call(call["name"], call.get("input", call.get("args")))
        else:
            yield _call("tool call", call)


def _call(name: Any, arguments: Any) -> RenderableType:
    given = shortened(_inline(arguments), lines=1, characters=160)
    return Text.assemble(("→ ", "yellow"), (_inline(name), "bold yellow"), (f" {given}", "yellow"))


def _result(name: Any, content: Any, depth: int = 0) -> Iterator[RenderableType]:
    """Yield the beginning of a tool's answer, behind the tool's name."""
    if isinstance(content, list) and any(isinstance(part, dict) for part in content):
        yield from _content(content, depth)
        return
    text = printable(shortened(_text(content), lines=6, characters=400), lines=True).strip()
    yield Text.assemble(("← ", "yellow"), (f"{_inline(name)} " if name else "", "bold yellow"), (text, "dim"))


def _thought(text: str) -> RenderableType:
    return _aside(f"thinking: {shortened(printable(text), lines=1, characters=300)}")


def _plain(text: str) -> Text:
    return Text(printable(text, lines=True).strip("\n"))


def _aside(text: str) -> Text:
    return Text(printable(text), style="dim italic")


def _inline(value: Any) -> str:
    """Return a value in one printable line."""
    return printable(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_line(value)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
