"""Tools for those who look after a database.

from hermes_store.maintenance import backup, verify
"""

from .backups import backup
from .reports import (
    BackupProgress,
    BackupReport,
    Finding,
    FindingKind,
    VerifyProgress,
    VerifyReport,
)
from .verifying import verify

__all__ = [
    "BackupProgress",
    "BackupReport",
    "Finding",
    "FindingKind",
    "VerifyProgress",
    "VerifyReport",
    "backup",
    "verify",
]
