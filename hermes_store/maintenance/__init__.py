"""Tools for those who look after a database.

from hermes_store.maintenance import backup
"""

from .backups import backup
from .reports import BackupProgress, BackupReport

__all__ = ["BackupProgress", "BackupReport", "backup"]
