"""Tools for those who look after a database.

from hermes_store.maintenance import backup, compact, copy, doctor, reindex, repair, restore_backup, salvage, verify
"""

from .backups import backup
from .compacting import compact
from .copying import copy
from .diagnosis import Diagnosis, DoctorReport, Severity
from .doctor import doctor
from .reindexing import reindex
from .repairing import repair
from .reports import (
    BackupProgress,
    BackupReport,
    CompactReport,
    CopyProgress,
    CopyReport,
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
    "CopyProgress",
    "CopyReport",
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
    "copy",
    "doctor",
    "reindex",
    "repair",
    "restore_backup",
    "salvage",
    "verify",
]
