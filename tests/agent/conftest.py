"""The agent's files, each shape made once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.agent import conversations as contents
from tests.support.agent import statedb, writers
from tests.support.agent.matrix import AgentFile, Case
from tests.support.agent.statedb import Shape


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape, bool], Path]:
    """Make a file of a shape, closed, without or with the last conversation; the same one for the same shape."""
    folder = tmp_path_factory.mktemp("statedb")

    def make(shape: Shape, late: bool) -> Path:
        path = folder / f"{shape}-{late}.db"
        if not path.exists():
            content = [*contents.EARLY, *(contents.LATE.sessions if late else ())]
            statedb.create(path, shape, content)
        return path

    return make


@pytest.fixture
def state_db(template: Callable[[Shape, bool], Path], tmp_path: Path) -> Callable[..., Path]:
    """Put a closed file of some shape somewhere."""

    def make(shape: Shape | None = None, name: str = "state.db", *, late: bool = True) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(template(shape or Shape(), late), path))

    return make


@pytest.fixture(scope="module")
def agent_file(
    request: pytest.FixtureRequest,
    template: Callable[[Shape, bool], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AgentFile]:
    """The file that the tests of the matrix are given (`matrix.every_file`), in its state."""
    case: Case = request.param
    path = tmp_path_factory.mktemp("home") / "state.db"
    shutil.copy(template(case.shape, case.state == "closed"), path)
    with ExitStack() as stack:
        if case.state == "left":
            writers.run("leave", path, case.shape)
            assert path.with_name("state.db-wal").stat().st_size > 0
        elif case.state == "live":
            stack.enter_context(writers.running("hold", path, case.shape))
        yield AgentFile(path, case)
