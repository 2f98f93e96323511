"""A conversation as Markdown, whose structure no message can forge, and which loads nothing where it is shown.

Each message is a quotation, so headings in it are the message's. Texts keep their Markdown, but for HTML, pictures, and
links to anything but the web. Code stands in fences of our own, which are longer than any in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from . import parts
from .conversation import (
    Code,
    arguments_text,
    blocks,
    clean,
    moment,
    read_conversation,
    remote_address,
    safe_image,
    source_text,
)


def to_markdown(session: Mapping[str, Any]) -> str:
    """Return a conversation as Markdown, as GitHub and others show it.

    Tool calls, their results, thoughts and the system's messages are folded (``<details>``). Pictures that are in the
    session are shown where the viewer takes ``data:`` URLs; those elsewhere are links.

    Args:
        session: its JSON object, as `Sessions.as_json` returns it.

    Raises:
        InvalidInputError: it is no object, or its messages are no list.
        InvalidPayloadError: something in it is not a JSON value.
    """
    conversation = read_conversation(session)
    lines = [f"# {_inline(conversation.title)}", ""]
    lines += [f"- {name}: {_inline(value)}" for name, value in conversation.facts]
    for message in conversation.messages:
        time = "" if message.time is None else f" · {moment(message.time)}"
        lines += ["", f"## {_inline(message.role or 'no role')}{time}", ""]
        lines += [f"> {line}" if line else ">" for line in _message(message)]
    return "\n".join([*lines, ""])


def _message(message: parts.Message) -> list[str]:
    body = [line for note in message.notes for line in (f"*{_inline(note)}*", "")]
    body += [line for part in message.parts for line in _part(part)]
    if message.role == "system":
        body = list(_folded("system message", body))
    while body and not body[-1]:
        body.pop()
    return body


def _part(part: parts.Part) -> Iterator[str]:
    match part:
        case parts.Text(text):
            yield from _text(text)
        case parts.Thought(text):
            yield from _folded("thinking", list(_text(text)))
        case parts.Call(name, arguments):
            yield from _folded(f"call of {_name(name)}", list(_fenced(arguments_text(arguments))))
        case parts.Result(name, content):
            heading = f"result of {_name(name)}" if name else "result"
            if isinstance(content, tuple):
                yield from _folded(heading, [line for one in content for line in _part(one)])
            else:
                yield from _folded(heading, list(_fenced(parts.text_of_value(content))))
        case parts.Medium(kind, source, _):
            yield from (_medium(kind, source), "")
        case parts.Attachment(name):
            yield from (f"*attached: {_name(name)}*", "")
        case parts.Value(value):
            yield from _fenced(parts.text_of_value(value) or "null")


def _folded(heading: str, body: list[str]) -> Iterator[str]:
    yield from ("<details>", f"<summary>{heading}</summary>", "", *body, "</details>", "")


def _text(text: str) -> Iterator[str]:
    for block in blocks(text):
        if isinstance(block, Code):
            yield from _fenced(block.text, block.language)
        else:
            yield from map(_harmless, block.split("\n"))
            yield ""


def _fenced(text: str, language: str = "") -> Iterator[str]:
    """Yield a block of code, in a fence that is longer than any in it."""
    text = clean(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}{language if _LANGUAGE.fullmatch(language) else ''}", *text.split("\n"), fence, "")


_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,30}")
#: A link to the web, the only kind that is kept.
_LINK: Final = re.compile(r"\[[^\[\]<>`\n]*\]\(https?://[^\s()<>\[\]`\"']*\)")
_ESCAPED: Final = {"<": "&lt;", "[": "&#91;", "`": "&#96;"}


def _harmless(line: str) -> str:
    """Return a line of Markdown without HTML, pictures, and links to anything but the web.

    Of backticks, only pairs in this line stay, so that what is taken for code here is code wherever it is shown. (Where
    the line is a row of a table, cells end at ``|`` also within code.)
    """
    return "|".join(_harmless_cell(cell) for cell in line.split("|"))


_TICKS: Final = re.compile("`+")


def _harmless_cell(text: str) -> str:
    harmless: list[str] = []
    end = 0
    runs = list(_TICKS.finditer(text))
    for number, run in enumerate(runs):
        if run.start() < end:
            continue
        closing = next((one for one in runs[number + 1 :] if one[0] == run[0]), None)
        before = text[end : run.start()]
        is_escaped = (len(before) - len(before.rstrip("\\"))) % 2 == 1
        if closing is None or is_escaped:
            continue  # `_harmless_text` takes care of it
        harmless += [_harmless_text(before), text[run.start() : closing.end()]]
        end = closing.end()
    return "".join([*harmless, _harmless_text(text[end:])])


def _harmless_text(text: str) -> str:
    """Return text of Markdown, in which there is no code, with what may do harm as character references."""
    harmless: list[str] = []
    end = 0
    for link in _LINK.finditer(text):
        before = text[end : link.start()]
        harmless.append(_escape(before))
        harmless.append(_escape(link[0]) if before.endswith(("!", "\\")) else link[0])
        end = link.end()
    return "".join([*harmless, _escape(text[end:])])


def _escape(text: str) -> str:
    return re.sub("[<\\[`]", lambda match: _ESCAPED[match[0]], text)


_PUNCTUATION: Final = re.compile(r"[&<>\[\]`*_#|!\\~$]")


def _inline(text: str) -> str:
    """Return a text as one line in which nothing is Markdown."""
    return _PUNCTUATION.sub(lambda match: f"&#{ord(match[0])};", " ".join(clean(text).split()))


def _name(value: Any) -> str:
    text = " ".join(parts.text_of_value(value).split())
    return _inline(text if len(text) <= 200 else f"{text[:200]}…")


def _medium(kind: str, source: Any) -> str:
    picture = safe_image(source) if kind == "image" else None
    if picture is not None:
        return f"![picture]({picture})"
    address = remote_address(source)
    if address is not None:
        return f"*{_name(kind)}:* <{address}>"
    return f"*{_name(kind)}: {_name(source_text(source))}*"
