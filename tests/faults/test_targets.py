"""What is opened: URLs that lose data are refused, and no message shows a password."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import hermes_store
from hermes_store import HermesStoreError, InvalidInputError, Store, UnsupportedDatabaseError
from hermes_store.targets import shown

PACKAGE = Path(hermes_store.__file__).parent
#: Each has the password "s3cret-word", or a part of it, somewhere.
WITH_PASSWORD = [
    "postgresql://user:s3cret-word@127.0.0.1:1/db",
    "postgresql://user:s3@cret-word@127.0.0.1:1/db",
    "postgresql://user:s3/@cret-word@127.0.0.1:1/db",
    "postgresql://user:@s3cret/word@127.0.0.1:1/db",
    "postgresql://user:s3?cret-word@127.0.0.1:1/db",
    "postgresql://user:p:s3cret-word@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?password=s3cret-word",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret-word",
    "postgresql://127.0.0.1:1/db?user=a@b&password=s3cret-word",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret-word&unknown=1",
    "postgresql://user:s3cret-word@127.0.0.1:1,127.0.0.1:2/db",
    "postgresql://user:s3cret-word@127.0.0.1:x,127.0.0.1:2/db",
    "postgresql://user:s3cret-word@127.0.0.1:port/db",
    "postgresql://user:cret-word@127.0.0.1:99999999/db",
    "postgresql://user:s3cret-word@[::1/db",
    "mysql://user:s3cret-word@127.0.0.1/db",
    "nonsense://user:s3cret-word",
    "sqlite://user:s3cret-word@name.db",
    "sqlite:///name.db?password=s3cret-word",
    "://user:s3cret-word@h",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_no_part_of_a_password_is_shown(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "cret" not in shown(url)
    with pytest.raises(HermesStoreError) as refused:
        Store.open(url)
    said = "".join(traceback.format_exception(refused.value, chain=False))
    assert "cret" not in str(refused.value)
    assert "cret" not in said.replace(url, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:pw@host:5432/db", "postgresql://user@host:5432/db"),
        ("postgresql://host/db?options=-csearch_path%3Dx", "postgresql://host/db"),
        ("postgresql://user:pw@[::1]/db", "postgresql://user@[::1]/db"),
        (sa.URL.create("postgresql", "user", "pw", "host"), "postgresql://user@host/"),
        ("relative/path.db", "relative/path.db"),
        (Path("/a/path.db"), "/a/path.db"),
    ],
)
def test_the_rest_of_a_target_is_shown(url: object, expected: str) -> None:
    assert shown(url) == expected


def formatted(tree: ast.AST) -> Iterator[str]:
    """Yield what is put into texts, and the methods that turn URLs into texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue):
            yield ast.unparse(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in {"render_as_string", "__to_string__"}:
            yield node.attr


def test_nothing_else_formats_a_target() -> None:
    raw = {"url", "self._url", "self._target", "db", "render_as_string", "__to_string__"}
    found = {
        (path.relative_to(PACKAGE).as_posix(), one)
        for path in PACKAGE.rglob("*.py")
        for one in formatted(ast.parse(path.read_text(encoding="utf-8")))
        if one in raw
    }
    assert found == set()


@pytest.mark.parametrize(
    "parameters",
    [
        "vfs=memdb",
        "nolock=1",
        "immutable=1",
        "mode=memory",
        "cache=shared",
        "vfs=unix-none",
        "vfs=unix&vfs=unix",
        "x=1",
    ],
)
def test_parameters_that_lose_writes_are_refused(parameters: str, tmp_path: Path) -> None:
    for place in (f"/{tmp_path}/new.db", "/", "/:memory:"):
        with pytest.raises(UnsupportedDatabaseError, match="Allowed are"):
            Store.open(f"sqlite://{place}?{parameters}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parameters", ["vfs=unix-dotfile", "vfs=unix-excl", "uri=true", "vfs=unix&uri=1"])
def test_parameters_that_keep_everything_are_allowed(parameters: str, tmp_path: Path) -> None:
    for _ in range(2):
        with Store.open(f"sqlite:///{tmp_path}/new.db?{parameters}") as store:
            store.sessions.create()
    with Store.open(tmp_path / "new.db") as store:
        assert store.sessions.count(include_empty=True) == 2


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://name.db",
        "sqlite://./name.db",
        "sqlite://folder/name.db",
        "sqlite://name\\x.db",
        "sqlite://C:/name.db",
        "sqlite://C:\\name.db",
        "sqlite://user@/name.db",
        "sqlite://:80/name.db",
        "sqlite:name.db",
        "sqlite:/name.db",
        "sqlite:\\\\name.db",
        "SQLite:name.db",
        "postgresql:name",
        "postgres:/name",
    ],
)
def test_a_url_with_too_few_slashes_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedDatabaseError, match=r"slashes|parsed"):
        Store.open(url)
    assert list(tmp_path.iterdir()) == []


def test_three_and_four_slashes_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///relative.db", f"sqlite:///{tmp_path}/absolute.db", "sqlite:///./dotted.db"):
        Store.open(url).close()
    assert {path.name for path in tmp_path.iterdir()} == {"relative.db", "absolute.db", "dotted.db"}


class Odd:
    def __fspath__(self) -> str:
        raise RuntimeError("no path")


@pytest.mark.parametrize(
    "target", [None, 5, 10**400, b"\x00", "a\x00b", "~nobody-of-this-name/x.db", Odd(), [], "\ud800"]
)
def test_what_can_be_no_path_is_refused(target: object) -> None:
    with pytest.raises(InvalidInputError):
        Store.open(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("-inf"), True, "5", None, 1j])
def test_a_timeout_must_be_a_number_above_zero(value: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="busy_timeout"):
        Store.open(tmp_path / "new.db", busy_timeout=value)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0.0001, 1e-300, float("inf"), 1e7, 10**400])
def test_any_other_timeout_is_clamped(value: float, sqlite_path: Path, postgres_url: str) -> None:
    for target in (sqlite_path, postgres_url):
        with Store.open(target, busy_timeout=value) as store:
            assert store.sessions.create()
            assert 0.001 <= store.database.settings.busy_timeout <= 2_000_000
