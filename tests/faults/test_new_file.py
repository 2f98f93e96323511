"""A new database: where it is made, and for whose eyes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hermes_store import Store


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_new_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "made" / "hermes.db"
    with Store.open(path) as store:
        store.messages.append(store.sessions.create().session_id, "secret")
        modes = {file.name: _mode(file) for file in path.parent.iterdir()}
        assert modes == {"hermes.db": 0o600, "hermes.db-wal": 0o600, "hermes.db-shm": 0o600}
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700


def test_an_existing_file_keeps_its_permissions(sqlite_path: Path) -> None:
    sqlite_path.chmod(0o640)
    Store.open(sqlite_path).close()
    assert _mode(sqlite_path) == 0o640


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c" / "hermes.db"
    Store.open(path).close()
    assert path.is_file()


ODD_NAMES = [
    *("with space.db", "what?.db", "a#b.db", "100%.db", "%41.db", "it's.db", 'quo"te.db', "line\nbreak.db"),
    *("día 日本 😀.db", "&mode=memory.db", "a;b.db", "-dash.db", "back\\slash.db", "file:odd.db", "no-suffix"),
    *(":memory:", "x?mode=memory&cache=shared", "tab\t.db", os.fsdecode(b"not utf-8 \xff.db")),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_path_of_any_characters_opens_that_file(
    tmp_path: Path, sqlite_template: Path, name: str, as_folder: bool
) -> None:
    path = tmp_path / name / "hermes.db" if as_folder else tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(sqlite_template.read_bytes())  # a copy: migrating each would take long
    with Store.open(path) as store:
        session_id = store.sessions.create(title=name).session_id
        assert store.info().path == str(path)
    with Store.open(path, read_only=True) as reader, Store.open(path) as store:
        assert reader.sessions.get(session_id) == store.sessions.get(session_id)
        reader.close()  # before the other: a reader may not remove the log of a file
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["new with space.db", "new?#%.db"])
def test_a_new_file_may_have_an_odd_name(tmp_path: Path, name: str) -> None:
    Store.open(str(tmp_path / name)).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for target in ("~/a/hermes.db", Path("~/b/hermes.db"), "sqlite:///~/c/hermes.db"):
        with Store.open(target) as store:
            assert store.info().path == str(Path(target if isinstance(target, Path) else target[-13:]).expanduser())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_relative_path_is_resolved_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_path: Path
) -> None:
    monkeypatch.chdir(sqlite_path.parent)
    with Store.open(sqlite_path.name) as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        session_id = store.sessions.create().session_id
        assert store.sessions.get(session_id)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_paths_and_urls_reach_the_same_file(sqlite_path: Path) -> None:
    url = sa.URL.create("sqlite", database=str(sqlite_path))
    with Store.open(sqlite_path) as one, Store.open(url) as two, Store.open(f"sqlite:///{sqlite_path}") as three:
        session_id = one.sessions.create().session_id
        assert two.sessions.get(session_id) == three.sessions.get(session_id)
