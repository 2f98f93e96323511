"""One state of the agent's data, and the queries on it: one at a time, or several where one is slow.

The agent keeps no index on the time of its messages, so a list looks at nearly all that there is. In a large file that
is slow for two reasons: without any index on messages one processor reads every row, and from a cold disk one reader
waits for page after page. Other connections, in threads of their own, help with both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from .other_query import OtherQuery, stop
from .schema import AgentSchema
from .watch import Watch, fetch

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: A query that read so many blocks from the disk (of 512 bytes: it is 64 pages of 4 KiB) is helped.
_ENOUGH: Final = 512


def _blocks_read() -> int:
    """Return how many blocks this thread waited for, where the system tells; elsewhere no query is helped."""
    if resource is None:
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_inblock


@dataclass(frozen=True)
class Snapshot:
    """One state of the agent's data, while a read lasts."""

    connection: Connection
    schema: AgentSchema
    watch: Watch
    #: Opens another connection, which may see a later state, and waits for nobody.
    open_another: Callable[[], Connection]
    #: Other connections that see this very state, where there are any.
    twins: tuple[Connection, ...] = ()

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a query and return all its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
        return fetch(self.connection, sql, parameters)

    def in_chunks(self, sql: str, values: list[Any], *parameters: Any) -> list[Any]:
        """Run a query whose ``{}`` is a list of `values`, as often as their number needs."""
        rows: list[Any] = []
        for start in range(0, len(values), 500):
            chunk = values[start : start + 500]
            rows += self.rows(sql.replace("{}", ",".join("?" * len(chunk))), *parameters, *chunk)
        return rows

    def together(self, queries: Sequence[str], *parameters: Any) -> list[Any]:
        """Run queries at the same time, one on each connection, and return the rows of all."""
        others = self._others(map(nullcontext, self.twins), queries[1:], parameters)
        try:
            for other in others:
                other.start()
            rows = self.rows(queries[0], *parameters)
            for other, sql in zip(others, queries[1:], strict=True):
                found = other.wait()
                rows += self.rows(sql, *parameters) if found is None else found
        finally:
            stop(others)
        return rows

    @contextmanager
    def helped(self, queries: Sequence[str], *parameters: Any) -> Iterator[None]:
        """Let other connections run queries, for nothing but the pages that they read, if the block's has to wait."""
        helpers: list[OtherQuery] = []
        before = _blocks_read()

        def look() -> None:
            if not helpers and _blocks_read() - before >= _ENOUGH:
                helpers.extend(self._others([_opened(self.open_another) for _ in queries], queries, parameters))
                for helper in helpers:
                    helper.start()

        try:
            with self.watch.looking(look):
                yield
        finally:
            stop(helpers)

    def _others(
        self,
        connections: Iterable[AbstractContextManager[Connection]],
        queries: Sequence[str],
        parameters: Sequence[Any],
    ) -> list[OtherQuery]:
        return [
            OtherQuery(connection, sql, parameters, self.watch.until)
            for connection, sql in zip(connections, queries, strict=True)
        ]


@contextmanager
def _opened(connect: Callable[[], Connection]) -> Iterator[Connection]:
    """Open a connection when the block begins, which is in another thread than this call."""
    with connect() as connection:
        yield connection
