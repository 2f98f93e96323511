"""A conversation as one HTML page, which loads nothing and runs nothing.

Everything that comes from the session is escaped. The page's policy forbids scripts, and anything that is not in it.
"""

from __future__ import annotations

import base64
import hashlib
import html
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

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1c2024; --dim: #626a73; --page: #ffffff; --box: #f3f4f6; --line: #d9dce0;
  --user: #1a7f37; --assistant: #0b62b8; --tool: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6e9; --dim: #9aa2ab; --page: #15181b; --box: #1f2327;
  --line: #363c42; --user: #57c078; --assistant: #69aef5; --tool: #dcae54; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem 4rem; color: var(--text); background: var(--page);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0 0 1.5rem; color: var(--dim); font-size: .875rem; }
dl div { display: flex; gap: .4rem; } dd { margin: 0; color: var(--text); }
section { border-top: 1px solid var(--line); padding: .75rem 0; contain: paint; }
h2 { display: flex; justify-content: space-between; gap: 1rem; margin: 0 0 .35rem; font-size: .875rem; }
h2 time { color: var(--dim); font-weight: normal; flex: none; }
.user h2 bdi { color: var(--user); } .assistant h2 bdi { color: var(--assistant); } .tool h2 bdi { color: var(--tool); }
.text { white-space: pre-wrap; unicode-bidi: plaintext; margin: .4rem 0; }
pre { white-space: pre-wrap; margin: .4rem 0; padding: .6rem .75rem; background: var(--box); border-radius: .4rem;
  font: .8125rem/1.5 ui-monospace, monospace; unicode-bidi: plaintext; }
details { margin: .4rem 0; border-inline-start: 3px solid var(--line); padding-inline-start: .75rem; }
summary { cursor: pointer; color: var(--dim); font-size: .875rem; }
.note { color: var(--dim); font-style: italic; font-size: .875rem; margin: .4rem 0; }
img { max-width: 100%; height: auto; max-height: 40rem; border-radius: .4rem; display: block; margin: .4rem 0; }
a { color: var(--assistant); }
@media print { :root { color-scheme: light; font-size: 10pt; --text: #000; --dim: #444; --page: #fff; --box: #f3f4f6;
  --line: #bbb; --user: #000; --assistant: #000; --tool: #000; } body { max-width: none; padding: 0; }
  h2, summary { break-after: avoid; } pre, img { break-inside: avoid-page; } }
"""
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
_POLICY: Final = f"default-src 'none'; img-src data:; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
_KNOWN_ROLES: Final = ("user", "assistant", "tool", "system")


def to_html(session: Mapping[str, Any]) -> str:
    """Return a conversation as an HTML page.

    Tool calls, their results, thoughts and the system's messages are folded. Pictures that are in the session are shown
    (PNG, JPEG, GIF, WebP, AVIF); those elsewhere are links. Texts are shown as they were written, with blocks of code
    set off. The page has no script, and loads nothing.

    Args:
        session: its JSON object, as `Sessions.as_json` returns it.

    Raises:
        InvalidInputError: it is no object, or its messages are no list.
        InvalidPayloadError: something in it is not a JSON value.
    """
    conversation = read_conversation(session)
    title = _escape(" ".join(conversation.title.split()))
    lines = [
        "<!DOCTYPE html>",
        '<html lang="und">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<header>",
        f'<h1 dir="auto">{title}</h1>',
        "<dl>",
        *(f"<div><dt>{name}</dt><dd><bdi>{_escape(value)}</bdi></dd></div>" for name, value in conversation.facts),
        "</dl>",
        "</header>",
        "<main>",
    ]
    for message in conversation.messages:
        lines += _message(message)
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""])


def _message(message: parts.Message) -> Iterator[str]:
    known = message.role if message.role in _KNOWN_ROLES else "other"
    time = "" if message.time is None else f"<time>{moment(message.time)}</time>"
    yield f'<section class="{known}">'
    yield f"<h2><bdi>{_escape(message.role or 'no role')}</bdi>{time}</h2>"
    for note in message.notes:
        yield f'<p class="note">{_escape(note)}</p>'
    body = [line for part in message.parts for line in _part(part)]
    yield from _folded("system message", body) if message.role == "system" else body
    yield "</section>"


def _part(part: parts.Part) -> Iterator[str]:
    match part:
        case parts.Text(text):
            yield from _text(text)
        case parts.Thought(text):
            yield from _folded("thinking", list(_text(text)))
        case parts.Call(name, arguments):
            yield from _folded(f"call of {_name(name)}", [_pre(arguments_text(arguments))])
        case parts.Result(name, content):
            heading = f"result of {_name(name)}" if name else "result"
            if isinstance(content, tuple):
                yield from _folded(heading, [line for one in content for line in _part(one)])
            else:
                yield from _folded(heading, [_pre(parts.text_of_value(content))])
        case parts.Medium(kind, source, _):
            yield _medium(kind, source)
        case parts.Attachment(name):
            yield f'<p class="note">attached: {_name(name)}</p>'
        case parts.Value(value):
            yield _pre(parts.text_of_value(value) or "null")


def _folded(heading: str, body: list[str]) -> Iterator[str]:
    """Yield what is shown when its heading is clicked on; `heading` is HTML."""
    yield f"<details><summary>{heading}</summary>"
    yield from body
    yield "</details>"


def _text(text: str) -> Iterator[str]:
    for block in blocks(text):
        if isinstance(block, Code):
            yield _pre(block.text)
        else:
            yield f'<div class="text" dir="auto">{_escape(block)}</div>'


def _medium(kind: str, source: Any) -> str:
    picture = safe_image(source) if kind == "image" else None
    if picture is not None:
        return f'<img alt="picture" src="{_escape(picture)}">'
    address = remote_address(source)
    if address is not None:
        link = f'<a href="{_escape(address)}" rel="noopener noreferrer nofollow"><bdi>{_escape(address)}</bdi></a>'
        return f'<p class="note">{_name(kind)}: {link}</p>'
    return f'<p class="note">{_name(kind)}: {_name(source_text(source))}</p>'


def _name(value: Any) -> str:
    """Return a name as HTML in one line, which turns the direction of nothing around it."""
    text = " ".join(parts.text_of_value(value).split())
    return f"<bdi>{_escape(text if len(text) <= 200 else f'{text[:200]}…')}</bdi>"


def _pre(text: str) -> str:
    # HTML leaves out a line break that comes first.
    return f'<pre dir="auto">\n{_escape(text)}</pre>'


def _escape(text: str) -> str:
    return html.escape(clean(text))
