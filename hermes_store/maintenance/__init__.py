"""Tools for those who look after a database.

from hermes_store.maintenance import backup, compact, verify
"""

from .backups import backup
from .compacting import compact
from .reports import (
    BackupProgress,
    BackupReport,
    CompactReport,
    Finding,
    FindingKind,
    VerifyProgress,
    VerifyReport,
)
from .verifying import verify

__all__ = [
    "BackupProgress",
    "BackupReport",
    "CompactReport",
    "Finding",
    "FindingKind",
    "VerifyProgress",
    "VerifyReport",
    "backup",
    "compact",
    "verify",
]
