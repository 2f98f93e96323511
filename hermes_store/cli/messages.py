"""A message as a person reads it. Messages may be any JSON value, so nothing here believes its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import RenderableType
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
#: Parts in parts in parts: from here on as JSON.
_DEEPEST: Final = 8
#: The width of a heading where there is no terminal.
_HEADING: Final = 80


def render_message(position: int, message: Any, *, width: int | None) -> Iterator[RenderableType]:
    """Yield the parts of a message, its heading first.

    Args:
        width: of the terminal, for which long texts of tools are shortened. Without one, everything is whole.
    """
    return _Renderer(width).message(position, message)


@dataclass(frozen=True)
class _Renderer:
    width: int | None

    def message(self, position: int, message: Any) -> Iterator[RenderableType]:
        if not isinstance(message, dict):
            yield from self._heading(f"message {position}", "", "bold red")
            yield _plain(json_line(message))
            return
        role = message.get("role")
        name = printable(role) if isinstance(role, str) and role else "no role"
        time = parse_time(message.get("timestamp"))
        if time is None:
            time = parse_time(message.get("_ts"))
        yield from self._heading(name, "" if time is None else moment(time), _ROLE_STYLES.get(name, "bold"))
        for mark, meaning in _MARKS.items():
            if message.get(mark):
                yield _aside(f"[{meaning}]")
        for key in ("reasoning", "reasoning_content", "thinking"):
            if isinstance(message.get(key), str) and message[key]:
                yield self._thought(message[key])
                break
        content = message.get("content")
        if role == "tool":
            yield from self._result(message.get("name") or message.get("tool_name"), content)
        else:
            yield from self._content(content)
        yield from self._calls(message.get("tool_calls"))
        for attachment in _items(message.get("attachments")):
            called = attachment.get("name") if isinstance(attachment, dict) else attachment
            yield _aside(f"[attached: {_inline(called)}]")

    def _heading(self, name: str, time: str, style: str) -> Iterator[RenderableType]:
        yield ""
        shown = name if self.width is None else cut(name, 40)
        text = Text.assemble((shown, style), (f"  {time}" if time else "", "dim"), " ")
        text.append("─" * max(2, (self.width or _HEADING) - text.cell_len), "dim")
        if self.width is not None:
            text.truncate(self.width)
        yield text

    def _content(self, content: Any, depth: int = 0) -> Iterator[RenderableType]:
        if isinstance(content, str):
            if content.strip():
                yield _plain(content)
        elif isinstance(content, list) and depth < _DEEPEST:
            for part in content:
                yield from self._part(part, depth)
        elif content is not None:
            yield _plain(json_line(content))

    def _part(self, part: Any, depth: int) -> Iterator[RenderableType]:
        if isinstance(part, str):
            yield _plain(part)
            return
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            yield _plain(self._shortened(json_line(part), lines=8, characters=800))
        elif isinstance(part.get("text"), str):
            yield _plain(part["text"])
        elif kind in ("thinking", "reasoning"):
            yield self._thought(_text(part.get("thinking") or part.get("reasoning") or part.get("summary")))
        elif kind == "tool_use":
            yield self._call(part.get("name"), part.get("input"))
        elif kind == "tool_result":
            yield from self._result(None, part.get("content"), depth + 1)
        else:
            yield _aside(f"[{'image' if 'image' in kind else printable(kind)}: {_source(part)}]")

    def _calls(self, calls: Any) -> Iterator[RenderableType]:
        if isinstance(calls, str):  # the agent's own database has them as JSON text
            try:
                calls = json_codec.decode(calls.encode("utf-8", "surrogatepass"))
            except ValueError:
                calls = [calls]
        for call in _items(calls):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                yield self._call(function.get("name"), function.get("arguments"))
            elif isinstance(call, dict) and isinstance(call.get("name"), str):
                yield self._call(call["name"], call.get("input", call.get("args")))
            else:
                yield self._call("tool call", call)

    def _call(self, name: Any, arguments: Any) -> RenderableType:
        given = self._shortened(_inline(arguments), lines=1, characters=160)
        return Text.assemble(("→ ", "yellow"), (_inline(name), "bold yellow"), (f" {given}", "yellow"))

    def _result(self, name: Any, content: Any, depth: int = 0) -> Iterator[RenderableType]:
        """Yield a tool's answer after the tool's name."""
        if isinstance(content, list) and any(isinstance(part, dict) for part in content):
            yield from self._content(content, depth)
            return
        text = printable(self._shortened(_text(content), lines=6, characters=400), lines=True).strip()
        yield Text.assemble(("← ", "yellow"), (f"{_inline(name)} " if name else "", "bold yellow"), (text, "dim"))

    def _thought(self, text: str) -> RenderableType:
        return _aside(f"thinking: {self._shortened(printable(text), lines=1, characters=300)}")

    def _shortened(self, text: str, *, lines: int, characters: int) -> str:
        return text if self.width is None else shortened(text, lines=lines, characters=characters)


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
