"""Opening a store, and the mistakes that are answered by what to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidInputError, ReplicaLag, Store, UnsupportedDatabaseError


@pytest.mark.parametrize("arguments", [(), ("hermes.db",), (":memory:",), (Path("hermes.db"),)], ids=str)
def test_calling_the_store_class_is_refused(tmp_path: Path, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInputError, match=r"Store\.open"):
        Store(*arguments)
    with pytest.raises(InvalidInputError, match=r"Store\.open"):
        Store(target="hermes.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://name.db", "sqlite://name.db/", "sqlite+pysqlite://name.db"])
def test_a_file_url_with_two_slashes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedDatabaseError, match=r"three slashes.*sqlite:///name\.db"):
        Store.open(url)
    assert list(tmp_path.iterdir()) == []


def test_a_url_with_three_slashes_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///name.db", f"sqlite:///{tmp_path}/name.db"):
        with Store.open(url) as store:
            assert store.info().path == str(tmp_path / "name.db")


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite3:///name.db", "http://host/", "://"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(UnsupportedDatabaseError):
        Store.open(url)


@pytest.mark.parametrize("path", ["nul\x00.db", "half \ud83d.db"])
def test_a_path_with_nul_or_surrogate_is_refused(path: str) -> None:
    for target in (path, Path(path)):
        with pytest.raises(InvalidInputError, match="cannot be a path"):
            Store.open(target)


def test_the_home_of_an_unknown_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be a path"):
        Store.open("~nobody-of-this-name/hermes.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("-inf"), True, "5", None])
def test_a_busy_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(InvalidInputError, match="busy_timeout"):
        Store.open(":memory:", busy_timeout=timeout)


@pytest.mark.parametrize(
    ("field", "meant"), [("titel", "title"), ("pined", "pinned"), ("project", "project_id"), ("modell", "model")]
)
def test_misspelt_fields_are_refused_with_a_suggestion(sqlite_store: Store, field: str, meant: str) -> None:
    made = sqlite_store.sessions.create()
    arguments: dict[str, Any] = {field: "x"}
    for call in (sqlite_store.sessions.create, lambda **how: sqlite_store.sessions.update(made.session_id, **how)):
        with pytest.raises(InvalidInputError, match=rf"{field} is not a field \(did you mean {meant}\?\)"):
            call(**arguments)
    with pytest.raises(InvalidInputError, match=r"xyz is not a field\. "):
        sqlite_store.sessions.create(xyz=1)  # type: ignore[call-arg]
    assert sqlite_store.sessions.count(include_empty=True) == 1


def test_without_a_replica_the_store_is_read() -> None:
    with Store.open(":memory:") as store:
        assert store.replica() is store
        assert store.replica_lag() == ReplicaLag(is_standby=False, lacking_bytes=0, seconds=0)


@pytest.mark.parametrize(
    ("target", "replica"), [("hermes.db", "postgresql://db2/hermes"), ("postgresql://db1/hermes", "hermes.db")]
)
def test_a_replica_of_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, replica: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="standby"):
        Store.open(target, replica=replica)
    assert list(tmp_path.iterdir()) == []
