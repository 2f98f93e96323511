"""Who may write what: each table has one module that writes it, and only `storage` builds statements.

The directions of imports are contracts in pyproject.toml, which `lint-imports` checks.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest
from sqlalchemy import Table

import hermes_store
from hermes_store.storage import schema

PACKAGE = Path(hermes_store.__file__).parent
STORAGE = PACKAGE / "storage"
#: By the name of a table in `schema`: the module of `storage` that inserts, updates and deletes its rows.
OWNERS = {
    "session_table": "session_rows.py",
    "retired_id_table": "retired_ids.py",
    "message_table": "message_rows.py, message_inserts.py, message_copies.py",
    "message_blob_table": "message_rows.py, message_inserts.py, message_copies.py",
    "message_cut_table": "cut_rows.py",
    "kept_message_table": "kept_rows.py",
    "session_document_table": "document_rows.py",
    "session_extras_table": "document_rows.py",
    "project_table": "project_rows.py",
    "share_table": "share_rows.py",
    "share_payload_table": "share_rows.py",
    "usage_table": "usage_rows.py",
    "gone_id_table": "change_rows.py, change_repairs.py",
    "change_state_table": "change_rows.py, change_repairs.py",
    "import_item_table": "import_log.py",
    "search_state_table": "search_state.py",
}
#: What SQLAlchemy's statements are built with.
BUILDERS = {"select", "insert", "update", "delete", "text", "func", "bindparam", "union_all", "literal_column"}


@functools.cache
def modules(folder: Path) -> list[tuple[Path, list[ast.AST]]]:
    """Return the modules in a folder, with all nodes of each."""
    paths = sorted(folder.rglob("*.py"))
    return [(path, list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))) for path in paths]


def test_every_table_has_an_owner() -> None:
    named = {name: table for name, table in vars(schema).items() if isinstance(table, Table)}
    assert named.keys() == OWNERS.keys()
    assert {table.name for table in named.values()} == schema.metadata.tables.keys()


@pytest.mark.parametrize("table", OWNERS)
def test_only_its_owner_writes_a_table(table: str) -> None:
    writers = set()
    for path, nodes in modules(PACKAGE):
        for node in nodes:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"insert", "update", "delete"}
                and any(isinstance(argument, ast.Name) and argument.id == table for argument in node.args)
            ):
                writers.add(path.relative_to(STORAGE).as_posix())
    assert writers == set(OWNERS[table].split(", "))


def test_only_storage_builds_statements() -> None:
    builders = {
        path.relative_to(PACKAGE).as_posix()
        for path, nodes in modules(PACKAGE)
        if STORAGE not in path.parents
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sqlalchemy"
        if BUILDERS & {alias.name for alias in node.names}
    }
    assert builders == set()


def test_only_storage_knows_the_tables() -> None:
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path, nodes in modules(PACKAGE)
        if STORAGE not in path.parents
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        if ((node.module or "").endswith("schema") and "agent" not in path.parts)
        or ((node.module or "").endswith("storage") and "schema" in {alias.name for alias in node.names})
    }
    assert readers == set()


def test_only_session_rows_counts_revisions() -> None:
    """A session's revision is an expression or a parameter of that name in one module only."""
    writers = set()
    for path, nodes in modules(STORAGE):
        for node in nodes:
            if isinstance(node, ast.BinOp) and ast.unparse(node.left) == "session_table.c.revision":
                writers.add(path.name)
            if isinstance(node, ast.Constant) and node.value in {"transcript_revision", "fields_revision"}:
                writers.add(path.name)
    # The columns are declared in one of these, and the other recognises a schema by them.
    writers -= {"schema_sessions.py", "schema_version.py"}
    assert writers == {"session_rows.py"}


def test_only_dialects_ask_which_database_it_is() -> None:
    names = {"sqlite", "postgresql"}
    askers = {
        path.relative_to(PACKAGE).as_posix()
        for path, nodes in modules(PACKAGE)
        if "dialects" not in path.parts and "cli" not in path.parts
        for node in nodes
        if isinstance(node, ast.Compare)
        for value in (node.left, *node.comparators)
        if isinstance(value, ast.Constant) and value.value in names
    }
    askers.discard("storage/migration_operations.py")  # migrations work on a connection, where there is no dialect
    assert askers == set()


def test_no_package_reaches_into_a_store() -> None:
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path, nodes in modules(PACKAGE)
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr in {"_database", "_transactions"}
        if not (isinstance(node.value, ast.Name) and node.value.id in {"self", "session"})
        if "storage" not in path.parts
    }
    assert readers == set()
