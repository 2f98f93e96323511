"""``hermes-store info`` and ``upgrade``: the database itself."""

from __future__ import annotations

from typing import Final

from ..errors import SchemaOutdatedError
from ..store import Store
from .opening import Database, open_as_it_is, open_existing
from .output import Json, make_console, print_json, say
from .table import print_facts
from .text import size


def info(db: Database = "", as_json: Json = False) -> None:
    """Say which database is used, and what is in it."""
    with open_existing(db) as store:
        facts = store.info()
        counts = store.stats().model_dump()
    if as_json:
        print_json({**facts.model_dump(), **counts})
        return
    rows = {
        "database": facts.target,
        "engine": f"{_ENGINES.get(facts.dialect, facts.dialect)} {facts.server_version}",
        "size": size(facts.size_bytes),
        "journal": facts.journal_mode,
        "schema": f"revision {facts.schema_revision}",
        "sessions": f"{counts['sessions']:,}" + (f", and {counts['deleted']:,} deleted" if counts["deleted"] else ""),
        "messages": f"{counts['messages']:,}",
        "projects": f"{counts['projects']:,}",
    }
    print_facts(make_console(), rows)


_ENGINES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def upgrade(db: Database = "", as_json: Json = False) -> None:
    """Bring a database that an older version made up to this version. A file that holds data is copied first."""
    try:
        with open_as_it_is(db) as store:
            facts = store.info()
        before = facts.schema_revision
    except SchemaOutdatedError as error:
        before = error.found
        with Store.open(db) as store:
            facts = store.info()
    after = facts.schema_revision
    if as_json:
        print_json({"target": facts.target, "from": before, "to": after})
    elif before == after:
        say(make_console(), f"{facts.target} is at revision {after}, which is the newest.")
    elif before is None:
        say(make_console(), f"{facts.target} had no tables; it is at revision {after} now.")
    else:
        say(make_console(), f"{facts.target} was at revision {before} and is at {after} now.")
