"""The snippet of a text by the plainest definition: every word of it is located and compared with each phrase."""

from __future__ import annotations

from hermes_store.words import matching
from hermes_store.words.folding import RUN
from hermes_store.words.matching import Snippet
from hermes_store.words.query import Phrase, Query


def snippet(query: Query, text: str, size: int) -> Snippet:
    """Return what `Matcher.snippet` has to return."""
    for begin in range(0, max(len(text), 1), matching._BLOCK):
        block = text[begin : begin + matching._BLOCK + matching._OVERLAP]
        if found := [(first + begin, last + begin) for first, last in places(query, block)]:
            start, stop = matching._around(text, found[0][0], size)
            inside = [(first - start, last - start) for first, last in found if first >= start and last <= stop]
            return Snippet(text[start:stop], matching._merged(iter(inside)))
    return Snippet(text[:size], [])


def places(query: Query, text: str) -> list[tuple[int, int]]:
    """Return where all matches in a text are, in order."""
    located = list(matching._located(text, 0, len(text)))
    wholes = [(match[0].lower(), *match.span()) for match in RUN.finditer(text) if not match[0].islower()]
    found = set()
    for phrase in (phrase for term in query.terms for phrase in term):
        count = len(phrase.words)
        for start in range(len(located) - count + 1):
            if _is_like([word for word, _, _ in located[start : start + count]], phrase):
                found.add((located[start][1], located[start + count - 1][2]))
        found.update((first, last) for word, first, last in wholes if _is_like([word], phrase))
    return sorted(found)


def _is_like(words: list[str], phrase: Phrase) -> bool:
    *before, last = phrase.words
    return words[:-1] == before and (words[-1] == last or (phrase.is_prefix and words[-1].startswith(last)))
