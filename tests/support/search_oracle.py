"""What a search has to find, by reading everything."""

from __future__ import annotations

from typing import Any

from hermes_store import SearchHit, View
from hermes_store.records import UNTITLED
from hermes_store.words.folding import words_of
from hermes_store.words.matching import Matcher
from hermes_store.words.message_text import text_of
from hermes_store.words.query import parse

#: A session's id, and the position of a message; None for the title.
Place = tuple[str, int | None]


def scanned(view: View, words: str) -> set[Place]:
    """Return what matches, by comparing every title and message of the sessions that are not deleted."""
    query = parse(words)
    if not query.terms:
        return set()
    matcher = Matcher(query)
    found: set[Place] = set()
    for session in view.sessions.iterate(include_empty=True):
        if session.title != UNTITLED and matcher.score(words_of(session.title)) is not None:
            found.add((session.session_id, None))
        for position, message in enumerate(view.messages.read(session.session_id)):
            if matcher.score(words_of(text_of(message))) is not None:
                found.add((session.session_id, position))
    return found


def hits(view: View, words: str, **options: Any) -> list[SearchHit]:
    """Return what all pages of a search have."""
    found: list[SearchHit] = []
    after: str | None = None
    while True:
        page = view.search(words, after=after, **options)
        found += page.items
        after = page.next
        if after is None:
            return found


def places(view: View, words: str, **options: Any) -> list[Place]:
    """Return where the hits on all pages are."""
    return [(hit.session.session_id, hit.position) for hit in hits(view, words, **options)]
