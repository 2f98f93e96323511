"""Import and export of hermes-webui's files.

from hermes_store.files import import_directory, export_directory
"""

from ..outcomes import ItemKind, Outcome, RemovalOutcome
from ..reports import (
    ExportProblem,
    ExportProgress,
    ExportReport,
    FileRemoval,
    ImportItem,
    ImportProgress,
    ImportRecord,
    ImportReport,
)
from .exporting import export_directory
from .importing import import_directory
from .purging import PurgeWithFiles, purge_deleted_with_files
from .removing import remove_imported_files

__all__ = [
    "ExportProblem",
    "ExportProgress",
    "ExportReport",
    "FileRemoval",
    "ImportItem",
    "ImportProgress",
    "ImportRecord",
    "ImportReport",
    "ItemKind",
    "Outcome",
    "PurgeWithFiles",
    "RemovalOutcome",
    "export_directory",
    "import_directory",
    "purge_deleted_with_files",
    "remove_imported_files",
]
