"""Tools for those who look after a database.

from hermes_store.maintenance import backup, compact, doctor, restore_backup, verify
"""

from .backups import backup
from .compacting import compact
from .diagnosis import Diagnosis, DoctorReport, Severity
from .doctor import doctor
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
    "Diagnosis",
    "DoctorReport",
    "Finding",
    "FindingKind",
    "RestoreReport",
    "Severity",
    "VerifyProgress",
    "VerifyReport",
    "backup",
    "compact",
    "doctor",
    "restore_backup",
    "verify",
]
