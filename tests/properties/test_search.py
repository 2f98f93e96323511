"""After any history of verbs, a search finds what reading everything finds."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes_store import HermesStoreError, Store
from hermes_store.maintenance import verify
from hermes_store.words.folding import words_of
from hermes_store.words.matching import Matcher
from hermes_store.words.message_text import text_of
from hermes_store.words.query import parse
from tests.support import plain_snippets, plain_words
from tests.support.examples import examples
from tests.support.search_oracle import places, scanned

pytestmark = pytest.mark.usefixtures("few_pending")

PARTS = [
    "red",
    "Green",
    "blue_sky",
    "redGreen",
    "数据库",
    "据",
    "ガｶﾞ",
    "ไทย",
    "café",
    "cafe\u0301",
    "🎉",
    "a.b",
    "1",
    "-",
    '"',
]
texts = st.lists(st.sampled_from(PARTS), max_size=6).map(" ".join)
titles = st.one_of(texts, st.just("Untitled"))
messages = st.one_of(
    texts.map(lambda text: {"role": "user", "content": text}),
    texts.map(lambda text: {"role": "tool", "content": [{"type": "text", "text": text}]}),
    texts,
    st.none(),
)
queries = st.lists(
    st.sampled_from([*PARTS, "re*", "-red", '"red green"', '-"数据"', "库", "redgreen", "b"]), min_size=1, max_size=3
)
names = st.sampled_from(["x", "y"])
steps = st.one_of(
    st.tuples(st.just("create"), names, titles, st.lists(messages, max_size=4)),
    st.tuples(st.just("extend"), names, st.lists(messages, max_size=3)),
    st.tuples(st.just("update"), names, st.integers(0, 4), messages),
    st.tuples(st.just("replace"), names, st.lists(messages, max_size=4)),
    st.tuples(st.just("truncate"), names, st.integers(0, 4)),
    st.tuples(st.just("title"), names, titles),
    st.tuples(st.sampled_from(["delete", "restore", "purge"]), names),
)


def run(store: Store, step: tuple[Any, ...]) -> None:
    verb, name, *arguments = step

    def revision() -> int:
        return store.sessions.get(name).revision

    match verb, arguments:
        case "create", [title, some]:
            store.sessions.create(session_id=name, title=title)
            store.messages.extend(name, some)
        case "extend", [some]:
            store.messages.extend(name, some)
        case "update", [position, message]:
            store.messages.update(name, position, message, expected_revision=revision())
        case "replace", [some]:
            store.messages.replace(name, some, expected_revision=revision())
        case "truncate", [keep]:
            store.messages.truncate(name, keep=keep, expected_revision=revision())
        case "title", [title]:
            store.sessions.update(name, title=title)
        case _:
            getattr(store.sessions, verb)(name)


@settings(max_examples=examples(20), deadline=None)
@given(history=st.lists(steps, min_size=1, max_size=12), words=st.lists(queries, min_size=1, max_size=4))
def test_a_search_finds_what_reading_everything_finds(history: list[tuple[Any, ...]], words: list[list[str]]) -> None:
    with Store.open(":memory:") as store:
        store.sessions.create(session_id="x", title="red Café")
        store.messages.extend("x", ["red", "数据库 redGreen"])
        for step in history:
            with contextlib.suppress(HermesStoreError):
                run(store, step)
        for one in (" ".join(query) for query in words):
            found = places(store, one, limit=3)
            assert len(found) == len(set(found))
            assert set(found) == scanned(store, one), one
        assert verify(store).ok


@settings(max_examples=examples(60), deadline=None)
@given(
    text=st.text(max_size=60),
    message=st.recursive(
        st.none() | st.text(max_size=8) | st.integers() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["role", "content", "text", "type", "tool_calls", "input", "data"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ),
)
def test_any_text_and_any_query_can_be_parsed(text: str, message: Any) -> None:
    words = words_of(text)
    for word in words.text.split():
        assert words_of(word).text.split() == [word]  # folding what is folded changes nothing
    assert isinstance(text_of(message), str)
    query = parse(text)
    if query.terms:
        matcher = Matcher(query)
        matcher.score(words_of(text))
        snippet = matcher.snippet(text, 20)
        assert snippet.text in text
        assert all(0 <= first < last <= len(snippet.text) for first, last in snippet.matches)


#: What folding looks for, in parts that may come together.
_CLUES = [
    *("getName", "HTTPServer", "utf8Decoder", "A", "b", "0", " ", "\n", "\r\n", "_", ".", "-", "\x00"),
    *("data:", "data:image/png;base64,", ",", ";", "a" * 23, "a" * 24, "B" * 61, "c/" * 100),
    *("\u0301", "\u0640", "\u3099", "\u200b", "\u200d", "\ufe0f", "\u0345", "\ud800", "\x85", "\xa0"),
    *("é", "ß", "ø", "Œ", "æ", "ı", "İ", "ǅ", "ς", "й", "ﷺ", "ｶ", "Ａ", "，", "가", "\u1100", "\u1161", "据", "🎉"),
]
#: Few different characters, so that the same runs come again.
_unicode = st.text(max_size=4) | st.text(st.characters(min_codepoint=0x80, max_codepoint=0x17F), max_size=20)
_runs = st.tuples(st.sampled_from(["a", "B", "/", "é"]), st.integers(1, 130)).map(lambda run: run[0] * run[1])
_any_text = st.lists(st.sampled_from(_CLUES) | _unicode | _runs, max_size=30).map("".join)


@settings(max_examples=examples(300), deadline=None)
@given(text=_any_text)
@example("x" * 23 + " data:,b")
@example("x" * 24 + " data:,b")
@example("a b " + "c" * 65 + " " + "d" * 70)
@example("a b " + "c" * 200)
@example(("a b " + "c" * 60 + "\n") * 2 + "c" * 60 + "\n")
@example("é" * 17 + " " + "é" * 17)
@example("ﷺ" * 40)
def test_words_are_those_of_the_plain_definition(text: str) -> None:
    assert words_of(text) == plain_words.words_of(text)


def test_each_character_is_folded_as_defined() -> None:
    for code in (*range(0x3100), *range(0xA000, 0x11000), *range(0x1F000, 0x1FB00)):
        assert words_of(chr(code)) == plain_words.words_of(chr(code)), hex(code)


#: Parts of texts and of queries that are found in each other, or look as if they were.
_WORDS = [
    *PARTS,
    "REDgreen",
    "x" * 70,
    "a",
    "b",
    "ＲＥＤ",
    "\u212a",
    "k",
    "ß",
    "ss",
    "?",
    "red数",
    "redx",
    "\ud800",
    "\u3000",
]
_GAPS = ["", " ", "\n", "  ", "\x1c", "\u3000", "; "]
_long_texts = st.builds(
    lambda words, gaps, times: "".join(map("".join, zip(words * times, gaps * 9 * times, strict=False))),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=9),
    st.lists(st.sampled_from(_GAPS), min_size=1, max_size=9),
    st.sampled_from([1, 3, 40, 900]),
)
_phrases = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5).map(lambda words: f'"{" ".join(words)}"')


@settings(max_examples=examples(100), deadline=None)
@given(
    text=_long_texts,
    words=st.lists(st.sampled_from([*_WORDS, "re*", "-red", "blue_s*"]) | _phrases, min_size=1, max_size=4).map(
        " ".join
    ),
    size=st.sampled_from([20, 160]),
)
@example("ab " * 3_000 + "redGreen", "redgreen", 20)
@example("\u212a k", "k", 160)
@example("a b " * 9 + "a\u3000b c", '"' + "a b " * 9 + "a b c" + '"', 160)
def test_snippets_are_those_of_the_plain_definition(text: str, words: str, size: int) -> None:
    query = parse(words)
    if query.terms:
        assert Matcher(query).snippet(text, size) == plain_snippets.snippet(query, text, size)


@pytest.mark.parametrize(
    "words", ["red", "red red", '"red red"', "red -blue", "re*", "redGreen", "red*", '-"red red" red']
)
def test_words_count_alone_and_in_phrases_alike(words: str) -> None:
    text = "red red redGreen blue, red red red. reds"
    alone, in_phrases = (Matcher(parse(query)).score(words_of(text)) for query in (words, f'{words} -"no such words"'))
    assert alone == in_phrases
