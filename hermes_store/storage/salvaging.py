"""What can be read of a damaged database, in a new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import SchemaNewerError, UnsupportedDatabaseError
from . import migrations, search_filling
from .dialects import Settings, dialect_for
from .dialects.sqlite_file_check import require_openable
from .dialects.sqlite_pages import PageFile
from .dialects.sqlite_salvage import SalvageFacts, found_revision, salvage
from .dialects.sqlite_still import kept_still
from .engine import Database
from .unit_of_work import DRIVER_ERRORS, driver_error


def salvage_file(
    source: Path,
    target: Path,
    on_page: Callable[[int, int], None],
    on_step: Callable[[], None],
    on_indexed: Callable[[int, int], None],
) -> tuple[str, SalvageFacts]:
    """Read what can be read of a damaged file into a new one, and return the revision that it had and what was read.

    Args:
        source: the damaged file, which stays as it is.
        target: the new file, which must not exist.
        on_page: called with how many pages were read, and of how many.
        on_step: called again and again while what was read is put in order.
        on_indexed: called with how many messages are in the index of words, and of how many.

    Raises:
        UnsupportedDatabaseError: there is nothing of this library in it.
        SchemaNewerError: a newer version of this library wrote it.
        DatabaseLockedError: this process has it open.
        DatabaseFullError: there is no space for the new file, or for temporary ones.
    """
    require_openable(source)
    known = migrations.known_revisions()
    with kept_still(source), PageFile(source) as file:
        revision = found_revision(file, known)
        if revision is None:
            raise UnsupportedDatabaseError(
                f"Nothing of this library was found in {source}: no table that can be read, and no session. It was not "
                "changed, and nothing was written."
            )
        if revision not in known:
            raise SchemaNewerError(str(source), revision, migrations.HEAD)
        dialect = dialect_for(target, Settings(durability="normal", journal_mode="delete"))
        try:
            dialect.create_if_missing(allowed=True)
            dialect.configure()
            migrations.upgrade(dialect, revision=revision)
            facts = salvage(file, target, on_page, on_step)
            migrations.upgrade(dialect, copies=False)  # nobody has it yet
            on_step()
            _make_index(target, on_indexed)
        except DRIVER_ERRORS as error:  # from the new file: the damaged one is not read with the driver
            raise dialect.translate(driver_error(error)) from error
        finally:
            dialect.close()
        return revision, facts


def _make_index(target: Path, on_indexed: Callable[[int, int], None]) -> None:
    """Fill the index of words with what was salvaged."""
    database = Database(target, Settings(durability="normal", journal_mode="delete"))
    try:
        search_filling.rebuild(database, on_indexed)
    finally:
        database.close()
