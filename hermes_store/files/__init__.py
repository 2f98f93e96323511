"""Import and export of hermes-webui's files.

from hermes_store.files import import_directory, export_directory
"""

from ..reports import (
    ExportProblem,
    ExportProgress,
    ExportReport,
    FileRemoval,
    ImportItem,
    ImportProgress,
    ImportRecord,
    ImportReport,
    ItemKind,
    Outcome,
    RemovalOutcome,
)
from .exporting import export_directory
from .importing import import_directory
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
    "RemovalOutcome",
    "export_directory",
    "import_directory",
    "remove_imported_files",
]
