"""`title_from`: a title out of what the user said first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store.webui import WebUIModels


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ([], "Untitled"),
        ([{"role": "user", "content": "Plan a trip"}], "Plan a trip"),
        ([{"role": "user", "content": "  \n Plan a trip\n"}], "Plan a trip"),
        ([{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Plan"}], "Plan"),
        ([{"role": "user", "content": " "}, {"role": "user", "content": "Second"}], "Second"),
        ([{"role": "user", "content": "x" * 100}], "x" * 64),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "a b"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "look"}, "odd", None]}], "look"),
        ([{"role": "user", "content": [{"type": "text", "text": None}, {"type": "text"}]}], "Untitled"),
        ([{"role": "user", "content": None}, {"role": "user"}], "Untitled"),
        ([{"role": "user", "content": 5}], "5"),
        (["odd", None, 5, [], {"role": "user", "content": "after all"}], "after all"),
    ],
)
def test_a_title_is_what_the_user_said_first(messages: list[Any], title: str) -> None:
    assert WebUIModels.title_from(messages) == title


def test_a_transcript_without_user_text_gets_the_default() -> None:
    assert WebUIModels.title_from([], "New chat") == "New chat"
    assert WebUIModels.title_from([{"role": "system", "content": "x"}], fallback="") == ""


contents_of_messages = (
    st.none()
    | st.text()
    | st.integers()
    | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()}))
)
messages_of_anybody = st.one_of(
    st.none(),
    st.text(),
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": contents_of_messages}),
)


def text_of(content: Any) -> str:
    """Return what a message of the strategy above says."""
    text = " ".join(part["text"] for part in content) if isinstance(content, list) else str(content)
    return "" if content is None else text.strip()


@given(st.lists(messages_of_anybody), st.text())
def test_title_is_the_beginning_of_the_first_message(messages: list[Any], fallback: str) -> None:
    title = WebUIModels.title_from(messages, fallback)
    asked = (one["content"] for one in messages if isinstance(one, dict) and one["role"] == "user")
    texts = [text for text in map(text_of, asked) if text]
    if texts:
        assert title == texts[0][:64]
    else:
        assert title == fallback
