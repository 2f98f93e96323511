"""Renaming, pinning, archiving and moving sessions on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

PINNED, FLAKY, FORK = "5b8e2f61c0d7", "4af7c2e8901b", "8c05b2d9e7f3"


def test_a_session_is_renamed_where_it_stands(run: Any, example_store: Store, database: Path) -> None:
    before = example_store.sessions.get(FLAKY)
    assert run("rename", FLAKY[:4], "A new title", "--db", database).stdout == f"Renamed {FLAKY} (A new title).\n"
    after = example_store.sessions.get(FLAKY)
    assert (after.title, after.updated_at, after.revision) == ("A new title", before.updated_at, before.revision + 1)


def test_an_empty_title_is_shown_as_untitled(run: Any, example_store: Store, database: Path) -> None:
    assert run("rename", FLAKY, " ", "--db", database).stdout == f"Renamed {FLAKY} (Untitled).\n"
    assert example_store.sessions.get(FLAKY).title == " "
    [row] = [line for line in run("list", "--db", database).stdout.splitlines() if FLAKY in line]
    assert row.split()[0] == "Untitled"
    for command in ("show", "lineage"):
        assert run(command, FLAKY, "--db", database).stdout.startswith("Untitled")


CHANGES = {
    "pin": ("pinned", True),
    "unpin": ("pinned", False),
    "archive": ("archived", True),
    "unarchive": ("archived", False),
}


@pytest.mark.parametrize("command", CHANGES)
def test_several_sessions_are_changed_at_once(
    run_json: Any, example_store: Store, database: Path, command: str
) -> None:
    field, value = CHANGES[command]
    for session_id in (FLAKY, FORK):
        example_store.sessions.update(session_id, **{field: not value})  # type: ignore[arg-type]
    before = example_store.sessions.get(FLAKY)
    done = run_json(command, FLAKY[:4], FORK, FLAKY, "--db", database)
    assert [item["session_id"] for item in done["items"]] == [FLAKY, FORK]
    found = example_store.sessions.get_many([FLAKY, FORK])
    assert [getattr(one, field) for one in found.values()] == [value, value]
    assert found[FLAKY].updated_at == before.updated_at
    run_json(command, FLAKY, "--db", database)
    assert example_store.sessions.get(FLAKY).revision == found[FLAKY].revision  # nothing was left to write


def test_sessions_move_between_projects(run: Any, example_store: Store, database: Path) -> None:
    project = example_store.projects.create(name="Trips")
    said = run("move", FLAKY, FORK[:5], "--project", "trips", "--db", database).stdout
    assert said.count("Moved ") == 2
    found = example_store.sessions.get_many([FLAKY, FORK]).values()
    assert {one.project_id for one in found} == {project.project_id}
    run("move", FLAKY, "--no-project", "--db", database)
    assert example_store.sessions.get(FLAKY).project_id is None
    run("move", FLAKY, "--project", project.project_id, "--db", database)
    assert example_store.sessions.get(FLAKY).project_id == project.project_id


def test_each_profile_has_its_own_project(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.update(FORK, profile="work")
    trips = {name: example_store.projects.create(name="Trips", profile=name).project_id for name in ("default", "work")}
    run("move", FLAKY, FORK, "--project", "Trips", "--db", database)
    found = example_store.sessions.get_many([FLAKY, FORK])
    assert (found[FLAKY].project_id, found[FORK].project_id) == (trips["default"], trips["work"])
    example_store.projects.delete(trips["work"])
    refused = run("move", FLAKY, FORK, "--project", "Trips", "--db", database, code=3).stderr
    assert f"in the profile 'work'; `hermes-store projects --profile work --db {database}` lists" in refused
    assert example_store.sessions.get(FLAKY).project_id == trips["default"]


def test_one_wrong_id_changes_nothing_at_all(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.delete(PINNED)
    before = example_store.sessions.get(FLAKY)
    for command in (["archive"], ["pin"], ["delete"], ["move", "--no-project"]):
        said = run(*command, FLAKY, "nobody", "20", PINNED, "--db", database, code=3).stderr
        for words in ("no session 'nobody'", "begin with '20'", f"no session '{PINNED}'. `hermes-store trash"):
            assert words in said
        assert said.endswith("Nothing was changed.\n")
    assert example_store.sessions.get(FLAKY) == before


@pytest.mark.parametrize(
    "command", [["move", FLAKY], ["move", FLAKY, "--project", "x", "--no-project"], ["rename", FLAKY], ["pin"]]
)
def test_wrong_usage_of_changes_is_exit_code_2(run: Any, database: Path, command: list[str]) -> None:
    run(*command, "--db", database, code=2)


def test_a_title_that_is_too_long_is_refused(run: Any, example_store: Store, database: Path) -> None:
    assert "title" in run("rename", FLAKY, "x" * 501, "--db", database, code=2).stderr
    assert "There is no project 'x'" in run("move", FLAKY, "--project", "x", "--db", database, code=3).stderr
