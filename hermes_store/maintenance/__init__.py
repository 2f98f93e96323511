"""Tools for those who look after a database.

from hermes_store.maintenance import backup, compact, doctor, reindex, repair, restore_backup, salvage, verify
"""

from .backups import backup
from .compacting import compact
from .diagnosis import Diagnosis, DoctorReport, Severity
from .doctor import doctor
from .reindexing import reindex
from .repairing import repair
from .reports import (
    BackupProgress,
    BackupReport,
    CompactReport,
    Finding,
    FindingKind,
    ReindexProgress,
    ReindexReport,
    Repair,
    RepairProgress,
    RepairReport,
    RestoreReport,
    SalvagedItem,
    SalvageProgress,
    SalvageReport,
    SalvageState,
    VerifyProgress,
    VerifyReport,
)
from .restoring import restore_backup
from .salvaging import salvage
from .verifying import verify

__all__ = [
    "BackupProgress",
    "BackupReport",
    "CompactReport",
    "Diagnosis",
    "DoctorReport",
    "Finding",
    "FindingKind",
    "ReindexProgress",
    "ReindexReport",
    "Repair",
    "RepairProgress",
    "RepairReport",
    "RestoreReport",
    "SalvageProgress",
    "SalvageReport",
    "SalvageState",
    "SalvagedItem",
    "Severity",
    "VerifyProgress",
    "VerifyReport",
    "backup",
    "compact",
    "doctor",
    "reindex",
    "repair",
    "restore_backup",
    "salvage",
    "verify",
]
