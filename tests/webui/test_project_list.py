"""`load_projects` and `save_projects`: a list that is loaded, changed and saved, and no change of anybody's lost."""

from __future__ import annotations

import copy
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import DatabaseError, InvalidInputError, Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels
from tests.support.internals import writing
from tests.support.json_values import same_json
from tests.support.state_dir import StateDir
from tests.support.statements import commits
from tests.support.tables import all_rows
from tests.support.threads import all_well, in_a_thread, together
from tests.support.webui.sessions import stored
from tests.support.webui.standin import WebUI
from tests.support.webui.verbs import OtherProcess, elsewhere


def project(project_id: str, **values: Any) -> dict[str, Any]:
    """Return a project as the WebUI makes one."""
    return {"project_id": project_id, "name": project_id.upper(), "color": None, "created_at": 1.5, **values}


def ids(models: WebUIModels) -> list[str]:
    return [one["project_id"] for one in models.load_projects()]


@pytest.fixture
def three(models: WebUIModels) -> list[dict[str, Any]]:
    """Three projects, just loaded."""
    models.save_projects([project("a"), project("b", color="#7aa2f7"), project("c")])
    return models.load_projects()


# ── The list ──


def test_there_are_no_projects_at_first(models: WebUIModels) -> None:
    assert models.load_projects() == []


def test_projects_have_the_webui_s_keys_in_order(models: WebUIModels, webui: WebUI) -> None:
    saved = [project("b"), project("a", color="#7aa2f7"), project("c", name="Grüße 🚀", created_at=1_700_000_000.25)]
    models.save_projects(copy.deepcopy(saved))
    assert models.load_projects() == saved
    assert [list(one) for one in models.load_projects()] == [["project_id", "name", "color", "created_at"]] * 3
    assert [one.name for one in webui.store.projects.list().items] == ["B", "A", "Grüße 🚀"]


def test_a_project_gets_the_active_profile(models: WebUIModels, webui: WebUI) -> None:
    webui.profile = "work"
    models.save_projects([project("mine"), project("named", profile="home")])
    webui.profile = None
    models.save_projects([*models.load_projects(), project("plain")])
    assert {one.project_id: one.profile for one in webui.store.projects.list().items} == {
        "mine": "work",
        "named": "home",
        "plain": "default",
    }
    assert [one.get("profile") for one in models.load_projects()] == ["work", "home", None]


def test_a_save_makes_all_changes_in_one_commit(models: WebUIModels, webui: WebUI, three: list[dict[str, Any]]) -> None:
    a, b, c = three
    wanted = [{**c, "name": "Renamed"}, project("d"), {**a, "color": "#fff"}]
    assert commits(webui.store, lambda: models.save_projects(wanted)) == 1
    assert models.load_projects() == wanted
    assert b["project_id"] not in ids(models)


def test_saving_an_unchanged_list_writes_nothing(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]]
) -> None:
    before = all_rows(webui.store)
    models.save_projects(three)
    assert all_rows(webui.store) == before


def test_the_loaded_list_is_the_caller_s_own(models: WebUIModels, three: list[dict[str, Any]]) -> None:
    three[0]["name"] = "Changed in place"
    three.append(project("d"))
    models.save_projects(three)
    assert models.load_projects() == three


# ── Others ──


def test_threads_that_make_twenty_projects_make_twenty(models: WebUIModels) -> None:
    def add(number: int) -> None:
        models.save_projects([*models.load_projects(), project(f"p{number}")])

    all_well(together(*(lambda number=number: add(number) for number in range(20))))
    assert set(ids(models)) == {f"p{number}" for number in range(20)}


@pytest.mark.slow
def test_processes_that_make_twenty_projects_make_twenty(models: WebUIModels, webui: WebUI, tmp_path: Path) -> None:
    processes = [OtherProcess() for _ in range(4)]
    for number, process in enumerate(processes):
        process.ask("add_projects_together", webui.store, str(tmp_path), number, len(processes), 5)
    for process in processes:
        assert process.answer() is None
        process.close()
    assert set(ids(models)) == {f"p{one}x{number}" for one in range(4) for number in range(5)}


def test_additions_and_renames_by_others_since_loading_stay(models: WebUIModels, webui: WebUI) -> None:
    models.save_projects([project("a"), project("b")])
    mine = models.load_projects()
    elsewhere("add_project", webui.store, project("theirs"))
    webui.store.projects.update("b", name="Theirs", color="#123456")
    mine[0]["name"] = "Mine"
    models.save_projects([*mine, project("new")])
    found = {one["project_id"]: (one["name"], one["color"]) for one in models.load_projects()}
    assert found == {"a": ("Mine", None), "b": ("Theirs", "#123456"), "theirs": ("THEIRS", None), "new": ("NEW", None)}


def test_projects_that_others_deleted_since_loading_stay_deleted(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]]
) -> None:
    webui.store.projects.delete("b")
    three[1]["name"] = "Renamed too late"
    models.save_projects([*three, project("d")])
    assert ids(models) == ["a", "c", "d"]


def test_the_order_that_others_made_since_loading_stays(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]]
) -> None:
    webui.store.projects.reorder(["c", "b", "a"])
    three[0]["name"] = "Renamed"
    models.save_projects([*three, project("d")])
    assert ids(models) == ["c", "b", "a", "d"]


def test_a_thread_that_loaded_nothing_replaces_the_list(models: WebUIModels, three: list[dict[str, Any]]) -> None:
    assert in_a_thread(lambda: models.save_projects([three[2], three[0]])) is None
    assert ids(models) == ["c", "a"]


def test_each_thread_saves_against_its_own_loaded_list(models: WebUIModels, three: list[dict[str, Any]]) -> None:
    loaded, go_on = threading.Event(), threading.Event()

    def rename() -> None:
        mine = models.load_projects()
        loaded.set()
        go_on.wait(30)
        mine[0]["name"] = "Renamed"
        models.save_projects(mine)

    def delete() -> None:
        assert loaded.wait(30)
        models.save_projects([one for one in models.load_projects() if one["project_id"] != "c"])
        go_on.set()

    all_well(together(rename, delete))
    assert [one["name"] for one in models.load_projects()] == ["Renamed", "B"]


@pytest.fixture
def second(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    """Another database."""
    with Store.open(shutil.copy(sqlite_template, tmp_path / "second.db"), durability="normal") as store:
        yield store


def test_a_list_of_another_store_is_not_compared(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]], second: Store
) -> None:
    webui.store = second
    models.save_projects(three)
    assert ids(models) == ["a", "b", "c"]


# ── Sessions ──


@pytest.fixture
def members(models: WebUIModels, webui: WebUI, three: list[dict[str, Any]], tmp_path: Path) -> list[str]:
    """Sessions that are in project a, or only name it: it is another profile's."""
    state = StateDir(tmp_path / "foreign")
    state.session("naming", {"role": "user", "content": "x"}, project_id="a", profile="work")
    import_directory(webui.store, state.root)
    named = [
        stored(models, "in-it", "x", project_id="a"),
        "naming",
        stored(models, "naming-2", project_id="a", profile="work"),
    ]
    stored(models, "in-b", "x", project_id="b")
    assert {row["project_id"] for row in models.all_sessions() if row["session_id"] in named} == {"a"}
    return named


def projects_of(models: WebUIModels) -> dict[str, Any]:
    return {row["session_id"]: row["project_id"] for row in models.all_sessions()}


@pytest.mark.parametrize("how", ["save_projects", "unassign_project"])
def test_sessions_of_a_deleted_project_are_in_none(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]], members: list[str], how: str
) -> None:
    live = models.get_session("in-it")
    before = {one: webui.store.sessions.get(one) for one in members}

    def delete_or_unassign() -> None:
        if how == "save_projects":
            models.save_projects(three[1:])
        else:
            assert models.unassign_project("a") == 3

    assert commits(webui.store, delete_or_unassign) == 1
    assert projects_of(models) == {**dict.fromkeys(members), "in-b": "b"}
    for one in members:
        assert models.get_session(one).project_id is None
        after = webui.store.sessions.get(one)
        assert (after.revision, after.updated_at) == (before[one].revision + 1, before[one].updated_at)
    assert models.get_session("in-it") is not live
    assert ids(models) == (["b", "c"] if how == "save_projects" else ["a", "b", "c"])
    assert models.unassign_project("a") == 0


def test_unassigning_a_project_that_nobody_knows_changes_nothing(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "x")
    before = all_rows(webui.store)
    for odd in ("nobody", "", "../a", "half \ud83d"):
        assert models.unassign_project(odd) == 0
    assert all_rows(webui.store) == before


def test_a_rename_survives_the_deletion_of_its_project(
    models: WebUIModels, three: list[dict[str, Any]], members: list[str]
) -> None:
    live = models.get_session("in-it")
    live.title = "Renamed"
    models.save_projects(three[1:])
    live.save()
    assert (live.title, live.project_id) == ("Renamed", None)
    assert projects_of(models)["in-it"] is None


# ── Failures and odd entries ──


@pytest.mark.parametrize(
    "bad",
    [
        "text",
        5,
        None,
        ["list"],
        project("b"),
        project("c", profile="work"),
        project("d", x={1}),
        project("d", name=b"x"),
    ],
)
def test_a_list_that_cannot_be_saved_changes_nothing(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]], members: list[str], bad: Any
) -> None:
    before = all_rows(webui.store)
    wanted = [project("new"), {**three[1], "name": "Renamed"}, bad]  # and a is to be deleted
    with pytest.raises(InvalidInputError):
        models.save_projects(wanted)
    assert all_rows(webui.store) == before
    assert ids(models) == ["a", "b", "c"]


@pytest.mark.parametrize("table", ["projects", "sessions", "session_documents"])
def test_a_failure_of_the_database_changes_nothing(
    models: WebUIModels, webui: WebUI, three: list[dict[str, Any]], members: list[str], table: str
) -> None:
    with writing(webui.store) as connection:
        verb = "DELETE" if table != "sessions" else "UPDATE"
        connection.exec_driver_sql(
            f"CREATE TRIGGER broken BEFORE {verb} ON {table} BEGIN SELECT raise(ABORT, 'broken'); END"
        )
    before = all_rows(webui.store)
    with pytest.raises(DatabaseError):
        models.save_projects([project("new"), {**three[1], "name": "Renamed"}, three[2]])
    assert all_rows(webui.store) == before


ODD: dict[str, Any] = {
    "no id": {"name": "N"},
    "odd id": {"project_id": "../a b", "name": "N"},
    "no name": {"project_id": "p"},
    "odd name": {"project_id": "p", "name": {"x": 1}},
    "long name": {"project_id": "p", "name": "n" * 1000},
    "odd colour": {"project_id": "p", "name": "N", "color": "red"},
    "odd time": {"project_id": "p", "name": "N", "created_at": "yesterday"},
    "odd profile": {"project_id": "p", "name": "N", "profile": 5},
    "more keys": {"project_id": "p", "name": "N", "icon": {"x": [1, None]}, "half \ud83d": "half \ud83d"},
    "nothing": {},
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_entry_keeps_all_its_values(models: WebUIModels, kind: str) -> None:
    models.save_projects([project("first"), ODD[kind], project("last")])
    first, odd, last = models.load_projects()
    assert (first, last) == (project("first"), project("last"))
    said = {key: value for key, value in ODD[kind].items() if key != "project_id" or kind != "odd id"}
    assert {key: odd[key] for key in said} == said
    models.save_projects([first, {**odd, "name": "Renamed"}, last])
    assert models.load_projects() == [first, {**odd, "name": "Renamed"}, last]


names = st.text(st.characters(exclude_categories=()), min_size=1, max_size=130)
lists = st.lists(
    st.builds(
        project,
        st.sampled_from(["p1", "p2", "p3", "p4", "p5"]),
        name=names,
        color=st.sampled_from([None, "#fff", "#7aa2f7"]),
        created_at=st.floats(0, 2e9),
    ),
    unique_by=lambda one: str(one["project_id"]),
    max_size=5,
)


@pytest.mark.slow
@given(st.lists(lists, max_size=4))
def test_what_was_saved_is_what_is_loaded(sqlite_template: Path, tmp_path: Path, saved: list[Any]) -> None:
    with Store.open(shutil.copy(sqlite_template, tmp_path / "p.db"), durability="normal") as store:
        models = WebUI(store, home=tmp_path).models()
        for one in saved:
            models.load_projects()
            models.save_projects(copy.deepcopy(one))
            assert same_json(models.load_projects(), one)


Verb = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
VERBS: dict[str, Verb] = {
    "create": lambda loaded: [*loaded, project(f"n{len(loaded)}")],
    "rename": lambda loaded: [{**one, "name": one["name"] + "!"} for one in loaded],
    "delete": lambda loaded: loaded[1:],
    "reorder": lambda loaded: loaded[::-1],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_list_can_be_changed_and_saved_repeatedly(
    models: WebUIModels, three: list[dict[str, Any]], verb: str
) -> None:
    """A caller may keep its list, and save it again and again."""
    mine = three
    for _ in range(3):
        mine = VERBS[verb](mine)
        models.save_projects(mine)
        assert [one["name"] for one in sorted(mine, key=str)] == [
            one["name"] for one in sorted(models.load_projects(), key=str)
        ]
    assert models.load_projects() == mine
