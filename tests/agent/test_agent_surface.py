"""What users import: the bridge and its kin are the library's own names."""

from __future__ import annotations

import inspect
import subprocess
import sys

import hermes_store
from hermes_store import agent, errors


def test_agent_s_names_are_exported_by_the_library() -> None:
    public = set(hermes_store.__all__)
    values = {name for name in agent.__all__ if inspect.isclass(getattr(agent, name))}
    family = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, hermes_store.AgentError)
    }
    assert len(family) == 11
    assert values | family <= public
    for name in values:
        assert getattr(hermes_store, name) is getattr(agent, name)
    for name in family:
        assert getattr(hermes_store, name) is getattr(errors, name)


def test_every_public_name_exists_once_and_in_order() -> None:
    names = hermes_store.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name))
    assert [name for name in names if not hasattr(hermes_store, name)] == []


def test_every_error_of_the_library_is_public() -> None:
    raised = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.HermesStoreError)
    }
    assert raised <= set(hermes_store.__all__)


def test_every_public_name_is_told_by_dir() -> None:
    assert set(hermes_store.__all__) <= set(dir(hermes_store))


def imported_by(program: str, *modules: str) -> set[str]:
    """Which of these modules a program has imported at its end."""
    script = f"import sys, hermes_store; {program}; print(*{set(modules)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_bridge_imports_nothing_that_only_commands_need() -> None:
    assert imported_by("hermes_store.AgentBridge", "typer", "rich", "alembic", "psycopg") == set()


def test_importing_the_library_loads_neither_sqlalchemy_nor_pydantic() -> None:
    assert imported_by("pass", "sqlalchemy", "pydantic") == set()
