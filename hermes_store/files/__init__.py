"""The files of hermes-webui: taken in, and written again.

from hermes_store.files import import_directory, export_directory
"""

from ..reports import ExportProgress, ExportReport, ImportItem, ImportProgress, ImportReport, Outcome
from .exporting import export_directory
from .importing import import_directory

__all__ = [
    "ExportProgress",
    "ExportReport",
    "ImportItem",
    "ImportProgress",
    "ImportReport",
    "Outcome",
    "export_directory",
    "import_directory",
]
