"""Usage: the tokens and the cost of sessions, over time and by model."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, get_args

from .arguments import items_of
from .collection import Collection
from .errors import InvalidInputError
from .periods import check_zone
from .quoting import number_of, quoted, text_of
from .records import Page, UsageGroup, UsageRecord, UsageTotal
from .results import UsageResult
from .storage import document_rows, session_rows, usage_rows, usage_totals
from .storage.usage_rows import Amounts, Use
from .transcripts.encoding import LATEST
from .validation import TEXT_LIMIT, check_time, text

_GROUPS: Final = get_args(UsageGroup)


class Usage(Collection):
    """The usage of sessions: records of tokens and cost, each with its time and model.

    A record belongs to a session, and moves to another profile with it. The usage of deleted and purged sessions still
    counts; records of a purged session no longer name it.
    """

    def record(
        self,
        session_id: str,
        *,
        model: str | None,
        provider: str | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
        cost: float | None = None,
        at: float | None = None,
    ) -> UsageResult:
        """Record usage of a session, and return the new totals of the session.

        The input and output tokens and the cost are added to the session's fields in the same transaction. The session
        stays at its place in lists.

        Args:
            session_id: the session.
            model: the name of the model; None if it is not known.
            provider: the name of the provider; None if it is not known.
            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens: numbers of tokens, 0
                to 10^15. They are stored as given: the caller decides whether input tokens include cached ones.
            cost: 0 to 1,000,000 in the unit of `SessionRecord.estimated_cost`, which is US dollars in hermes-webui. It
                is stored in billionths. None: the cost is not known.
            at: the time of the usage, in epoch seconds; now when None.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidInputError: an argument is not valid. Nothing was written.
        """
        tokens = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_tokens": cache_read_tokens,
            "cache_write_tokens": cache_write_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        amounts = Amounts(**{name: _count(name, value) for name, value in tokens.items()}, cost=_cost(cost))
        names = (_name("model", model), _name("provider", provider))
        used = Use("record", *names, time.time() if at is None else _moment(at), amounts)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            # The totals replace the originals of imported values that did not fit their columns.
            document_rows.write(unit, key.id, key.session_id, {}, usage_rows.TOTALS)
            revision, totals = session_rows.use(unit, key, used)
        return UsageResult.from_trusted({"session_id": key.session_id, "revision": revision, **totals.columns})

    def list(self, session_id: str, *, limit: int = 50, after: str | None = None) -> Page[UsageRecord]:
        """Return a page of the usage records of a session, the newest first.

        Args:
            session_id: the session.
            limit: the largest number of records to return, 1 to 1000.
            after: `Page.next` of the previous page.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError, InvalidInputError: an argument is not valid.
        """
        with self._transactions.read() as unit:
            key = self._find(unit, session_id)
            return usage_rows.page(unit, key.id, key.session_id, limit, after)

    def totals(
        self,
        by: UsageGroup | Iterable[UsageGroup] = (),
        *,
        since: float | None = None,
        until: float | None = None,
        tz: str | datetime.tzinfo | None = None,
        profile: str | None = None,
    ) -> Sequence[UsageTotal]:
        """Return sums of usage by group, sorted by the groups in the order of `by`.

        The usage of deleted and purged sessions is included. The usage that a duplicate has from its original is not
        counted again.

        Args:
            by: one group or several. "day", "week" (from Monday) and "month" are those of the time zone `tz`.
                "project", "session" and "source" are those that a session has now. Without a group, the result is one
                sum.
            since: only usage at this time or later, in epoch seconds.
            until: only usage before this time, in epoch seconds.
            tz: the time zone in which days begin: a name such as "Europe/Berlin", a `ZoneInfo` or a `timezone`. UTC
                when None.
            profile: only usage of sessions of this profile; all when None.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        groups = _groups(by)
        zone = check_zone(tz)
        profile = self._own_profile(profile)
        first = 0.0 if since is None else check_time(since)
        end = LATEST + 1 if until is None else check_time(until)
        with self._transactions.read() as unit:
            return usage_totals.totals(unit, groups, first, end, zone, profile)


def _groups(by: Any) -> list[str]:
    names = [by] if text_of(by) is not None else items_of(by, "groups", "Nothing was read.")
    groups = [text_of(name) for name in names]
    for name, group in zip(names, groups, strict=True):
        if group not in _GROUPS:
            raise InvalidInputError(f"by takes {', '.join(_GROUPS)}; not {quoted(name)}. Nothing was read.")
    return list(dict.fromkeys(group for group in groups if group is not None))


def _count(name: str, value: Any) -> int:
    plain = number_of(value)
    if isinstance(plain, int) and 0 <= plain <= usage_rows.MOST:
        return plain
    raise InvalidInputError(f"{name} is a whole number from 0 to 10^15, not {quoted(value)}. Nothing was written.")


def _cost(value: Any) -> int | None:
    if value is None:
        return None
    plain = number_of(value)
    if plain is not None and 0 <= plain <= usage_rows.MOST / usage_rows.COST_UNIT:  # false for NaN, too
        return usage_rows.cost_of(plain)
    raise InvalidInputError(f"cost is a number from 0 to a million, or None, not {quoted(value)}. Nothing was written.")


def _moment(at: Any) -> float:
    moment = check_time(at)
    if 0 <= moment <= LATEST:
        return moment
    raise InvalidInputError(f"at is a time from 1970 to 2100, in epoch seconds, not {quoted(at)}. Nothing was written.")


def _name(name: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return text(TEXT_LIMIT)(value)
    except ValueError as error:
        raise InvalidInputError(f"The {name} {error}. Nothing was written.") from error
