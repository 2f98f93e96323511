"""Import and export of hermes-webui's files.

from hermes_store.files import import_directory, export_directory
"""

from ..reports import (
    ExportProblem,
    ExportProgress,
    ExportReport,
    ImportItem,
    ImportProgress,
    ImportRecord,
    ImportReport,
    ItemKind,
    Outcome,
)
from .exporting import export_directory
from .importing import import_directory

__all__ = [
    "ExportProblem",
    "ExportProgress",
    "ExportReport",
    "ImportItem",
    "ImportProgress",
    "ImportRecord",
    "ImportReport",
    "ItemKind",
    "Outcome",
    "export_directory",
    "import_directory",
]
