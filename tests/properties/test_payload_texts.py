"""A text that is in a message is never taken for one that is not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermes_store.transcripts import json_codec
from hermes_store.transcripts.payload_texts import may_have

#: Letters that are special in lower case, and what is escaped in JSON.
texts = st.text(
    st.one_of(st.sampled_from('aAkKiIsS\u0130\u212a\u03a3\u03c3\u03c2\u00df \n\t"\\/\x00\x7f\ud83d'), st.characters())
)


@given(st.lists(texts, min_size=1, max_size=3), st.data())
@example(["a\n\u03a3"], None)
def test_a_text_that_is_there_is_found(parts: list[str], data: st.DataObject | None) -> None:
    joined = " ".join(parts).lower()
    start = data.draw(st.integers(0, len(joined))) if data else 2
    stop = data.draw(st.integers(start, len(joined))) if data else len(joined)
    payload = json_codec.encode({"role": "user", "content": [{"type": "text", "text": part} for part in parts]})
    assert may_have(joined[start:stop])([payload])


@pytest.mark.parametrize("text", ["other", "not there", "\u00e9t\u00e9", "there is"])
def test_an_absent_text_is_not_found(text: str) -> None:
    payloads = [json_codec.encode({"content": one}) for one in ("Nothing\nis he\u0154e", "na\u00efve")]
    assert not may_have(text)(payloads)
    assert not may_have(text)([])
