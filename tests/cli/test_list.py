"""hermes-store list and projects: which rows, in which columns, on which pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hermes_store import Store

Json = Callable[..., Any]


def ids(page: Any) -> list[str]:
    return [session["session_id"] for session in page["items"]]


def test_a_row_has_six_columns_including_the_project(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.update("5b8e2f61c0d7", workspace="/elsewhere")
    header, row, *_ = run("list", "--db", database, columns=90).stdout.splitlines()
    assert header.split() == ["Title", "Msgs", "Model", "Project", "Age", "Id"]
    assert re.fullmatch(r"★ Zero-downtime \S.*… +26  …sonnet-4.6 +Lantern +now  5b8e2f61c0d7", row)


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 100, 140, 300])
def test_session_rows_fit_the_terminal(run: Any, database: Path, columns: int) -> None:
    rows, _, footer = run("list", "--db", database, columns=columns).stdout.partition("\n\n")
    assert len(rows.splitlines()) == 1 + 15
    assert max(map(cell_len, rows.splitlines())) <= columns
    assert footer.splitlines() == [
        "15 sessions (★ pinned, ▫ archived, ◌ recovered from a damaged file).",
        "1 more is untitled and without messages; --all shows it.",
    ]


@pytest.mark.parametrize("columns", [30, 40, 80, 140])
def test_every_terminal_width_shows_whole_ids(
    run: Any, run_json: Json, example_store: Store, database: Path, columns: int
) -> None:
    example_store.sessions.create(session_id="x" * 128, title="A long id")
    found = [row.split()[-1] for row in run("list", "--db", database, columns=columns).stdout.splitlines()[1:17]]
    assert found == ids(run_json("list", "--db", database))


def test_a_pipe_gets_every_value_whole(run: Any, example_store: Store, database: Path) -> None:
    title, model, source = "t" * 500, "provider/" + "m" * 400, "s" * 255
    project = example_store.projects.create(name="p" * 128, profile="q" * 255)
    example_store.sessions.create(
        session_id="x" * 128,
        title=title,
        model=model,
        source=source,
        profile="q" * 255,
        project_id=project.project_id,
    )
    said = run("list", "--db", database, COLUMNS="40").stdout
    assert "…" not in said
    (row,) = [row for row in said.splitlines() if row.endswith("  " + "x" * 128)]
    assert row.split() == [title, "0", model, "p" * 128, "q" * 255, source, "now", "x" * 128]
    assert "p" * 128 in run("projects", "--db", database).stdout


def test_columns_in_which_nothing_stands_vanish(run: Any, sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(title="Alone")
    header = run("list", "--db", sqlite_path, columns=200).stdout.splitlines()[0]
    assert header.split() == ["Title", "Msgs", "Age", "Id"]


def test_an_id_wider_than_the_terminal_stays_whole(run: Any, sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(session_id="abcdefghijkl", title="A title")
    assert run("list", "--db", sqlite_path, columns=8).stdout.startswith("Id\nabcdefghijkl\n")


def test_a_wide_terminal_shows_every_text_whole(run: Any, database: Path) -> None:
    said = run("list", "--db", database, columns=160).stdout
    assert "…" not in said
    assert "20260512_091500_a1b2c3" in said
    assert "Rename photos to the date they were taken" in said


@pytest.mark.parametrize("as_json", [True, False])
def test_the_last_line_leads_through_all_pages(run: Any, run_json: Json, database: Path, as_json: bool) -> None:
    whole = ids(run_json("list", "--db", database))
    found: list[str] = []
    more: list[str] = []
    while True:
        if as_json:
            page = run_json("list", "--db", database, "--limit", "4", *more)
            found += ids(page)
            following = page["next"]
            assert page["total"] == 15
        else:
            said = run("list", "--db", database, "--limit", "4", *more, columns=200).stdout
            found += re.findall(r"  (\w+)$", said.partition("\n\n")[0], re.MULTILINE)[1:]
            following = (re.findall(r"^For the next ones, add --after (\S+)$", said, re.MULTILINE) or [None])[0]
            assert " of 15 sessions" in said
        if following is None:
            break
        more = ["--after", following]
    assert found == whole


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--pinned"], {"5b8e2f61c0d7"}),
        (["--archived"], {"6c1e94ab58d3"}),
        (["--profile", "work"], {"f0b39d5c7a12"}),
        (["--profile", "nobody"], set()),
        (["--source", "fork"], {"8c05b2d9e7f3"}),
        (["--project", "7a3e51c0d94f"], {"05d3e86f2b7c", "c7306be5d91f", "18fa6d02b7ce"}),
        (["--project", "Household"], {"05d3e86f2b7c", "c7306be5d91f", "18fa6d02b7ce"}),
        (["--project", "household", "--profile", "default"], {"05d3e86f2b7c", "c7306be5d91f", "18fa6d02b7ce"}),
        (["--deleted"], {"3f9c1e7a04b2"}),
        (["--deleted", "--profile", "work"], set()),
    ],
)
def test_filters_leave_the_sessions_that_fit(
    run_json: Json, run: Any, example_store: Store, database: Path, *, filters: list[str], expected: set[str]
) -> None:
    example_store.sessions.delete("3f9c1e7a04b2")
    assert set(ids(run_json("list", "--db", database, *filters))) == expected
    said = run("list", "--db", database, *filters).stdout
    assert re.search(rf"^{len(expected)} (deleted )?sessions?\b", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("wanted", "rest"),
    [("--pinned", "--no-pinned"), ("--archived", "--no-archived"), ("--source=fork", "--no-source")],
)
def test_a_filter_and_its_opposite_cover_all_sessions(run_json: Json, database: Path, wanted: str, rest: str) -> None:
    parts = [ids(run_json("list", "--db", database, option)) for option in (wanted, rest)]
    assert sorted(parts[0] + parts[1]) == sorted(ids(run_json("list", "--db", database)))


def test_no_project_and_each_project_cover_all_sessions(run_json: Json, database: Path) -> None:
    parts = [["--no-project"], ["--project", "Lantern"], ["--project", "Household"]]
    found = [session for part in parts for session in ids(run_json("list", "--db", database, *part))]
    assert sorted(found) == sorted(ids(run_json("list", "--db", database)))


def test_deleted_sessions_come_in_pages_too(run: Any, run_json: Json, example_store: Store, database: Path) -> None:
    for session_id in ("3f9c1e7a04b2", "05d3e86f2b7c"):
        example_store.sessions.delete(session_id)
    first = run_json("list", "--db", database, "--deleted", "--limit", "1")
    second = run_json("list", "--db", database, "--deleted", "--limit", "1", "--after", first["next"])
    assert ids(first) + ids(second) == ["05d3e86f2b7c", "3f9c1e7a04b2"]
    said = run("list", "--db", database, "--deleted", "--limit", "1").stdout
    assert f"1 deleted session on this page.\nFor the next ones, add --after {first['next']}\n" in said


def test_blank_sessions_are_listed_only_with_all(run: Any, run_json: Json, database: Path) -> None:
    hidden = set(ids(run_json("list", "--db", database, "--all"))) - set(ids(run_json("list", "--db", database)))
    assert hidden == {"e41d0b6c9a85"}
    assert run("list", "--db", database, "--sort", "title").stdout.endswith(
        "\n1 more is untitled and without messages; --all shows it.\n"
    )
    for options in (["--all"], ["--model", "opus"], ["--pinned"]):
        assert "untitled" not in run("list", "--db", database, *options).stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--project", "a", "--no-project"],
        ["--source", "a", "--no-source"],
        ["--deleted", "--pinned"],
        ["--deleted", "--all"],
        ["--limit", "0"],
        ["--limit", "1001"],
        ["--after", "nonsense"],
        ["--sort", "title", "--after", "nonsense"],
        ["--sort", "size"],
        ["--since", "never"],
        ["--until", "2026-13-01"],
        ["--since", "2026-02-01", "--until", "2026-01-01"],
        ["--deleted", "--since", "7d"],
        ["--deleted", "--sort", "title"],
        ["--deleted", "--model", "x"],
        ["-n", "0"],
        ["--profile", ""],
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(run: Any, database: Path, options: list[str]) -> None:
    done = run("list", "--db", database, *options, code=2)
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.parametrize("project", [["--project", "Lantern"], ["--no-project"]], ids=" ".join)
@pytest.mark.parametrize("source", [["--source", "cli"], ["--no-source"]], ids=" ".join)
def test_a_project_and_a_source_are_not_combined(
    run: Any, database: Path, project: list[str], source: list[str]
) -> None:
    done = run("list", "--db", database, *project, *source, code=2)
    assert done.stdout == ""
    assert "Filter by project or by source, not by both." in " ".join(done.stderr.replace("│", " ").split())


def test_an_unknown_project_is_not_found(run: Any, database: Path) -> None:
    done = run("list", "--db", database, "--project", "Lampshade", code=3)
    assert done.stderr == f"There is no project 'Lampshade'; `hermes-store projects --db {database}` lists them.\n"


def test_an_ambiguous_project_name_needs_id_or_profile(run: Any, run_json: Json, sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        made = [store.projects.create(name="Home", profile=profile) for profile in ("mara", "jon")]
        for project in made:
            store.sessions.create(title=project.profile, profile=project.profile, project_id=project.project_id)
    done = run("list", "--db", sqlite_path, "--project", "Home", code=3)
    assert all(project.project_id in done.stderr for project in made)
    for narrower in (["--profile", "jon", "--project", "home"], ["--project", made[1].project_id]):
        (found,) = run_json("list", "--db", sqlite_path, *narrower)["items"]
        assert found["title"] == "jon"


def test_an_empty_database_says_how_to_fill_it(run: Any, sqlite_path: Path) -> None:
    said = run("list", "--db", sqlite_path).stdout
    assert said == f"No sessions yet; `hermes-store import --db {sqlite_path}` imports those of hermes-webui.\n"


def test_the_json_of_a_session_is_its_record(run_json: Json, example_store: Store, database: Path) -> None:
    (item,) = run_json("list", "--db", database, "--pinned")["items"]
    assert item == example_store.sessions.get("5b8e2f61c0d7").model_dump()


def test_projects_come_with_their_number_of_sessions(run: Any, run_json: Json, database: Path) -> None:
    rows = run("projects", "--db", database).stdout.splitlines()
    assert [row.split()[:3] for row in rows[1:3]] == [["Household", "3", "default"], ["Lantern", "5", "default"]]
    assert rows[-1] == "2 projects."
    items = run_json("projects", "--db", database)["items"]
    assert [(item["name"], item["session_count"]) for item in items] == [("Household", 3), ("Lantern", 5)]


def test_projects_can_be_one_profiles_only(run: Any, database: Path) -> None:
    assert run("projects", "--db", database, "--profile", "work").stdout == "No projects.\n"
