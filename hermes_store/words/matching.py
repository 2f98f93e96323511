"""Whether a text matches a query, how well, and where.

This decides what is found. The indexes of the databases only find candidates, the same or more.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .folding import BOUNDARY, RUN, WORD_LIMIT, Words, words_of
from .query import Phrase, Query

#: BM25's parameters, and the number of words of an average message.
_K: Final = 1.2
_B: Final = 0.75
_AVERAGE: Final = 150


class Snippet(NamedTuple):
    """A part of a text, and where in it the matches are, as first and last + 1."""

    text: str
    matches: list[tuple[int, int]]


class Matcher:
    """Compares texts with a query.

    Args:
        query: it has a term.
    """

    def __init__(self, query: Query) -> None:
        self._phrases = [phrase for term in query.terms for phrase in term]
        without = [phrase for term in query.without for phrase in term]
        # Whole words are counted in a list, other phrases in a text, which takes longer to make.
        self._has_only_words = all(map(_is_word, [*self._phrases, *without]))
        self._terms = [[self._pattern(phrase) for phrase in term] for term in query.terms]
        self._without = [self._pattern(phrase) for phrase in without]
        self._beginnings = _beginnings(self._phrases)
        self._most_words = max(len(phrase.words) for phrase in self._phrases)

    def _pattern(self, phrase: Phrase) -> str:
        """Return a phrase as it is in the words of a text that are joined by two spaces, or as one word in a list."""
        if self._has_only_words:
            return phrase.words[0]
        text = "  ".join(phrase.words)
        return f" {text}" if phrase.is_prefix else f" {text} "

    def score(self, words: Words) -> float | None:
        """Return how well a text matches: above 0, at most 1; None if it does not.

        It is more when the terms are found more often, and less when the text is long: BM25 with the same weight for
        each term.
        """
        found = words.text.split()
        wholes = words.wholes.split()
        searched: list[str] | str = found + wholes
        if not self._has_only_words:
            searched = "\n".join(f" {text} " for text in ("  ".join(found), *wholes))
        if any(pattern in searched for pattern in self._without):
            return None
        total = 0.0
        length = _K * (1 - _B + _B * len(found) / _AVERAGE)
        for patterns in self._terms:
            count = sum(map(searched.count, patterns))
            if not count:
                return None
            total += count / (count + length)
        return round(total / len(self._terms), 6)

    def snippet(self, text: str, size: int) -> Snippet:
        """Return the part of a text around its first matches.

        Args:
            text: it matches.
            size: about how many characters.
        """
        for begin in range(0, max(len(text), 1), _BLOCK):
            block = text[begin : begin + _BLOCK + _OVERLAP]
            places = self._places(block, size)
            if places:
                break
        else:
            return Snippet(text[:size], [])
        start, stop = _around(text, begin + places[0][0], size)
        shifted = ((first + begin - start, last + begin - start) for first, last in places)
        return Snippet(
            text[start:stop], _merged(place for place in shifted if place[0] >= 0 and place[1] <= stop - start)
        )

    def _places(self, text: str, size: int) -> list[tuple[int, int]]:
        """Return the places of matches in a text, in order: those that end at most `size` characters after the first.

        Only those parts of the text are looked at, up to there, in which a match may begin.
        """
        found: set[tuple[int, int]] = set()
        plain = text.replace("?", " ").encode("ascii", "replace").lower()  # as many bytes as there are characters
        # A part begins and ends between words. The longer it takes to look at one, the larger they are.
        least = _CHARACTERS * (self._most_words + len(self._phrases) - 2)
        after, end = 0, len(text)
        while beginning := self._beginnings.search(plain, after, end):
            start = _start_of_stretch(text, after, beginning.start())
            space = _SPACE.search(text, start + least)
            after = len(text) if space is None else max(space.start(), beginning.end())
            found.update(self._places_from(text, start, after))
            if found:
                end = min(len(text), min(found)[0] + size)
        return sorted(found)

    def _places_from(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the places that begin in a part of a text, and perhaps some after it."""
        located = list(_located(text, start, end))
        if self._most_words > 1:
            located += itertools.islice(_located(text, end, len(text)), self._most_words - 1)
        by_word: dict[str, list[int]] = {}
        for index, (word, _, _) in enumerate(located):
            by_word.setdefault(word, []).append(index)
        for phrase in self._phrases:
            yield from _phrase_places(phrase, located, by_word)
        yield from _whole_places(text, start, end, [phrase for phrase in self._phrases if len(phrase.words) == 1])


def _is_word(phrase: Phrase) -> bool:
    return len(phrase.words) == 1 and not phrase.is_prefix


def _beginnings(phrases: Iterable[Phrase]) -> re.Pattern[bytes]:
    """Return what finds where phrases may begin, in a text in small letters with "?" for what is not ASCII."""
    words = {phrase.words[0] for phrase in phrases}
    return re.compile("|".join([r"\?", *(re.escape(word) for word in sorted(words) if word.isascii())]).encode())


#: What is between spaces: no word is in two of them, and each is folded by itself.
_STRETCH: Final = re.compile(r"\S+")
_SPACE: Final = re.compile(r"\s")
#: About how many characters a word takes.
_CHARACTERS: Final = 8


def _start_of_stretch(text: str, first: int, place: int) -> int:
    """Return where the stretch begins in which a place is, which does not begin before `first`."""
    before = text[first:place]
    return place if not before or before[-1].isspace() else place - len(before.rsplit(maxsplit=1)[-1])


#: How many characters are searched for a snippet at once, so that the first match in a long text is found soon.
_BLOCK: Final = 4_000
_OVERLAP: Final = 500


#: A word with its place in the text.
_Located = tuple[str, int, int]


def _phrase_places(phrase: Phrase, located: list[_Located], by_word: dict[str, list[int]]) -> Iterator[tuple[int, int]]:
    *before, last = phrase.words
    first = before[0] if before else last
    starts = by_word.get(first, [])
    if phrase.is_prefix and not before:
        starts = sorted(index for word, indexes in by_word.items() if word.startswith(last) for index in indexes)
    for start in starts:
        end = start + len(before)
        if end >= len(located) or [word for word, _, _ in located[start:end]] != before:
            continue
        word = located[end][0]
        if word == last or (phrase.is_prefix and word.startswith(last)):
            yield located[start][1], located[end][2]


def _whole_places(text: str, start: int, end: int, phrases: list[Phrase]) -> Iterator[tuple[int, int]]:
    for match in RUN.finditer(text, start, end):
        word = match[0]
        if not word.islower() and any(_is_like(word.lower(), phrase) for phrase in phrases):
            yield match.span()


def _is_like(word: str, phrase: Phrase) -> bool:
    [wanted] = phrase.words
    return word == wanted or (phrase.is_prefix and word.startswith(wanted))


#: One character with what belongs to it: accents, and parts of a Hangul or Kana character.
_TRAILING: Final = re.compile("[\u0300-\u036f\u3099\u309a\uff9e\uff9f\u1160-\u11ff]")


def _located(text: str, start: int, end: int) -> Iterator[_Located]:
    """Yield the words between two places of a text with their places.

    In a stretch that is not ASCII, the places are found by folding its characters one by one.
    """
    for stretch in _STRETCH.finditer(text, start, end):
        find = _located_ascii if stretch[0].isascii() else _located_in
        yield from find(stretch[0], stretch.start())


def _located_ascii(text: str, offset: int) -> Iterator[_Located]:
    for run in RUN.finditer(text):
        word = run[0]
        if word.islower():
            yield word[:WORD_LIMIT], offset + run.start(), offset + run.end()
            continue
        bounds = [0, *(match.start() for match in BOUNDARY.finditer(word)), len(word)]
        for first, last in itertools.pairwise(bounds):
            part = word[first:last].lower()[:WORD_LIMIT]
            yield part, offset + run.start() + first, offset + run.start() + last


def _located_in(stretch: str, offset: int) -> Iterator[_Located]:
    words = words_of(stretch).text.split()
    place = 0
    clusters = list(_clusters(stretch))
    folded = [(_folded_cluster(part), start, end) for part, start, end in clusters]
    letters = [(letter, start, end) for part, start, end in folded for letter in part]
    for word in words:
        # The letters of the word, from where the last one ended.
        while place < len(letters) and letters[place][0] != word[0]:
            place += 1
        end = min(place + len(word), len(letters))
        if place >= len(letters):
            return
        yield word, offset + letters[place][1], offset + letters[end - 1][2]
        place = end


def _clusters(text: str) -> Iterator[tuple[str, int, int]]:
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not (
            ord(text[index]) >= 0x300 and (_TRAILING.match(text[index]) or unicodedata.combining(text[index]))
        ):
            yield text[start:index], start, index
            start = index


def _folded_cluster(part: str) -> str:
    return part.lower() if part.isascii() and part.isalnum() else words_of(part).text.replace(" ", "")


def _around(text: str, place: int, size: int) -> tuple[int, int]:
    """Return the first and last + 1 of a part of a text around a place, which begins and ends between words."""
    if len(text) <= size:
        return 0, len(text)
    start = max(0, min(place - size // 4, len(text) - size))
    stop = min(len(text), start + size)
    if start:
        space = text.find(" ", start, place)
        start = space + 1 if space != -1 else start
    if stop < len(text):
        space = text.rfind(" ", max(place, stop - size // 4), stop)
        stop = space if space > place else stop
    return start, stop


def _merged(places: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in places:
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged
