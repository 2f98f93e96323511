"""The search of messages and titles."""

from __future__ import annotations

from typing import Literal, cast

from .arguments import check_tristate
from .collection import Collection
from .errors import InvalidInputError
from .pagination import check_limit
from .quoting import quoted, text_of
from .records import Missing, SearchOrder, SearchPage
from .storage import project_rows, search_pages
from .storage.search_pages import SearchFilter
from .storage.unit_of_work import UnitOfWork
from .validation import check_source, check_text, check_time
from .words.query import parse


class Searching(Collection):
    """The search of a store, or of one profile of it."""

    def search(
        self,
        words: str,
        *,
        profile: str | None = None,
        project_id: str | Literal[Missing.WITHOUT] | None = None,
        archived: bool | None = None,
        role: str | None = None,
        source: str | Literal[Missing.WITHOUT] | None = None,
        since: float | None = None,
        until: float | None = None,
        order: SearchOrder = "relevance",
        limit: int = 20,
        after: str | None = None,
    ) -> SearchPage:
        """Return a page of the messages and titles that contain all of some words, in sessions that are not deleted.

        ``"words in quotes"`` must follow each other. ``begin*`` matches words that begin so. ``-without`` must not
        occur. Everything else is text. Case and accents are ignored. Chinese, Japanese, Korean and Thai text is matched
        by any part of it. `docs/search.md` has the details.

        Args:
            words: the query. It needs at least one word without ``-``; otherwise nothing is found.
            profile: only sessions of this profile; all when None.
            project_id: only sessions of this project; `WITHOUT`: only sessions in no project.
            archived: True: only archived sessions; False: only the others.
            role: only messages of this role, and no titles.
            source: only sessions of this source; `WITHOUT`: only those of the user interface itself.
            since: only messages with this timestamp or a later one, in epoch seconds. A message without a timestamp,
                and a title, has the time of the session's last activity.
            until: only messages with a timestamp before this one, in epoch seconds.
            order: "relevance": the best matches first, titles before messages. It ranks the 256 latest matches, then
                the 256 before them, and so on. "recent": the newest first, in groups of 2,000.
            limit: the largest number of hits to return, 1 to 1000.
            after: `Page.next` of the previous page. A page may have fewer hits than `limit` although more follow.

        Raises:
            ProjectNotFoundError: there is no such project.
            InvalidCursorError: `after` is no cursor of a search in this order.
            InvalidInputError: another argument is not valid.
        """
        query = parse(check_text(words, "search"))
        limit = check_limit(limit)
        if text_of(order) not in ("relevance", "recent"):
            raise InvalidInputError(f"order is 'relevance' or 'recent', not {quoted(order)}. Nothing was read.")
        profile = self._own_profile(profile)
        with self._transactions.read() as unit:
            project, profile = self._project(unit, project_id, profile)
            wanted = SearchFilter(
                profile=profile,
                project=project,
                archived=check_tristate("archived", archived),
                role=None if role is None else check_text(role, "role"),
                source=check_source(source),
                since=None if since is None else check_time(since),
                until=None if until is None else check_time(until),
            )
            return search_pages.page(unit, query, wanted, cast(SearchOrder, text_of(order)), limit, after)

    def _project(
        self, unit: UnitOfWork, project_id: str | Literal[Missing.WITHOUT] | None, profile: str | None
    ) -> tuple[int | Missing | None, str | None]:
        if project_id is None or isinstance(project_id, Missing):
            return project_id, profile
        project, profile, _ = project_rows.find(unit, project_id, profile)
        return project, profile
