"""One conversation as an HTML page and as Markdown: what is in it, and that nothing in it is anything but text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hermes_store import InvalidInputError, InvalidPayloadError, Store
from hermes_store.conversations import to_html, to_markdown
from tests.support.examples import examples
from tests.support.nasty_text import NASTY, nasty_messages

PNG = "data:image/png;base64,iVBORw0KGgo="
ATTACK = (
    '<script>alert(1)</script><img src=x onerror="alert(1)"><svg/onload=alert(1)><a href="javascript:alert(1)">x</a>'
    '<iframe src="//evil.example"></iframe><link rel=stylesheet href=//evil.example><meta http-equiv=refresh content=0>'
    "</details></section></main></pre></title></style>--><!--"
)
#: What Markdown makes something of, and what may end that early.
TOKENS = [
    *("`", "``", "```", "~~~", "|", "\\", "[", "]", "(", ")", "!", "<", ">", "- ", "1. ", "    ", "> ", "\n", "\n\n"),
    *("<script>", "<!--", "-->", "</details>", "[a]: javascript:b", "[a]", "![x](http://evil.example/x.png)", "| - |"),
    *("[x](javascript:alert(1))", "[ok](https://example.org/a)", "<b onclick=x>", "&lt;", "a", "\t", "# ", "---", "* "),
]


class Page(HTMLParser):
    """What a browser would make of a page: its elements, texts, and what may load or run something."""

    ALLOWED = frozenset(
        re.findall(
            r"\w+",
            "html head meta title style body header h1 h2 h3 h4 h5 h6 dl div dt dd main section bdi time p pre details "
            "summary img a blockquote ul ol li code em strong hr br table thead tbody tr th td",
        )
    )
    VOID = ("meta", "img", "br", "hr")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.open: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.counts: dict[str, int] = {}
        self.policy = self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        given = {name: value or "" for name, value in attrs}
        if tag not in self.ALLOWED:
            self.problems.append(f"<{tag}>")
        for name, value in given.items():
            if name.startswith("on") or name in ("style", "srcdoc", "action", "srcset", "background"):
                self.problems.append(f"{tag} {name}={value}")
            if name in ("src", "href"):
                (self.images if tag == "img" else self.links).append(value)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        elif "http-equiv" in given:
            self.problems.append(f"{tag} {given}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.problems.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"comment {data}")

    def require_harmless(self) -> None:
        assert self.problems == []
        assert self.open == []
        assert all(image.startswith("data:image/") and "svg" not in image for image in self.images)
        assert all(re.match("https?://", link) for link in self.links)


def shown_markdown(text: str) -> str:
    """Markdown as a viewer shows it that lets HTML and every address through."""
    viewer = MarkdownIt("commonmark", {"html": True}).enable("table")
    viewer.validateLink = lambda url: True  # type: ignore[method-assign]
    return str(viewer.render(text))


def conversation(*messages: Any, **values: Any) -> dict[str, Any]:
    return {"title": "Trip", "messages": list(messages), **values}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("text", [ATTACK, *NASTY])
def test_hostile_text_is_text_everywhere(text: str) -> None:
    made = conversation(*nasty_messages(text), title=text, model=text)
    page = Page(to_html(made))
    page.require_harmless()
    assert page.counts["section"] == len(nasty_messages(text))
    Page(shown_markdown(to_markdown(made))).require_harmless()


def test_the_policy_allows_the_pages_own_style_alone() -> None:
    page = Page(to_html(conversation(user("hi"))))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.policy.startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{digest}'" in page.policy
    assert "url(" not in page.style
    assert "@import" not in page.style


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))
def test_no_markdown_has_effect_outside_its_message(text: str) -> None:
    made = conversation(
        user(text), {"role": "tool", "name": text, "content": text}, {"role": "assistant", "content": "end"}
    )
    page = Page(shown_markdown(to_markdown(made)))
    page.require_harmless()
    headings = re.findall("(?m)^## .*", to_markdown(made))
    assert headings == ["## user", "## tool", "## assistant"]
    assert "end" in page.texts
    assert page.counts["blockquote"] >= 2
    Page(to_html(made)).require_harmless()


def test_tools_and_thoughts_are_folded() -> None:
    call = {"function": {"name": "terminal", "arguments": '{"command": "ls\\n-l", "lines": [1, 2]}'}}
    made = conversation(
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Yes.", "reasoning": "Hm.", "tool_calls": [call]},
        {"role": "tool", "name": "terminal", "content": "a file"},
    )
    page = Page(to_html(made))
    assert page.counts["details"] == 4
    assert "\ncommand: ls\n-l\nlines: [1,2]" in page.texts
    written = to_markdown(made)
    assert written.count("> <details>\n> <summary>") == 4
    assert "> <summary>call of terminal</summary>\n>\n> ```\n> command: ls\n> -l\n> lines: [1,2]\n> ```\n" in written


def test_pictures_are_shown_and_remote_ones_linked() -> None:
    sources = [PNG, "https://example.org/a.png", "data:image/svg+xml;base64,AAAA", "javascript:alert(1)", f'{PNG}" x="']
    parts = [{"type": "image_url", "image_url": {"url": source}} for source in sources]
    parts.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}})
    made = conversation(user(parts))
    for page in (Page(to_html(made)), Page(shown_markdown(to_markdown(made)))):
        page.require_harmless()
        assert page.images == [PNG, PNG]
        assert page.links == ["https://example.org/a.png"]


def test_code_gets_a_fence_longer_than_any_inside() -> None:
    text = "Run:\n\n````sh\n```\nls\n````\nThen:\n~~~\nnever closed"
    page = Page(to_html(conversation(user(text))))
    assert [text for text in page.texts if text.strip()][-4:] == ["Run:", "\n```\nls", "Then:", "\nnever closed"]
    assert "> ````sh\n> ```\n> ls\n> ````\n" in to_markdown(conversation(user(text)))
    ordinary = "Use `a[0] < b` and [docs](https://example.org/x_(y)) | **bold**"
    assert f"> {ordinary.replace('[docs](https://example.org/x_(y))', '&#91;docs](https://example.org/x_(y))')}\n" in (
        to_markdown(conversation(user(ordinary)))
    )


def test_each_paragraph_has_its_own_direction() -> None:
    page = to_html(conversation(user("שלום\nhello"), title="שלום"))
    assert '<div class="text" dir="auto">שלום\nhello</div>' in page
    assert '<h1 dir="auto">שלום</h1>' in page
    assert ".text { white-space: pre-wrap; unicode-bidi: plaintext;" in page


def test_where_a_session_was_is_left_out() -> None:
    made = conversation(user("hi"), workspace="/home/ada/secret", created_at=1780000000.0, model="m")
    for written in (to_html(made), to_markdown(made)):
        assert "secret" not in written
        assert "2026-05-28 20:26 UTC" in written


def test_what_is_no_conversation_is_refused() -> None:
    wrong: Any
    for write in (to_html, to_markdown):
        for wrong in (None, [], "text", {"messages": "text"}, {"messages": 1}):
            with pytest.raises(InvalidInputError):
                write(wrong)
        with pytest.raises(InvalidPayloadError):
            write({"messages": [object()]})
        assert "Untitled" in write({})


def test_a_stored_sessions_page_shows_what_was_stored(sqlite_store: Store) -> None:
    session_id = sqlite_store.sessions.create(title="Trip", model="m").session_id
    sqlite_store.messages.extend(session_id, nasty_messages("text"))
    page = to_html(sqlite_store.sessions.as_json(session_id))
    Page(page).require_harmless()
    record = sqlite_store.sessions.get(session_id)
    facts = {"model": "m", "created_at": record.created_at, "updated_at": record.updated_at}
    assert page == to_html(conversation(*nasty_messages("text"), **facts))
