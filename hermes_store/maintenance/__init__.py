"""Tools for those who look after a database.

from hermes_store.maintenance import backup, compact, restore_backup, verify
"""

from .backups import backup
from .compacting import compact
from .reports import (
    BackupProgress,
    BackupReport,
    CompactReport,
    Finding,
    FindingKind,
    RestoreReport,
    VerifyProgress,
    VerifyReport,
)
from .restoring import restore_backup
from .verifying import verify

__all__ = [
    "BackupProgress",
    "BackupReport",
    "CompactReport",
    "Finding",
    "FindingKind",
    "RestoreReport",
    "VerifyProgress",
    "VerifyReport",
    "backup",
    "compact",
    "restore_backup",
    "verify",
]
