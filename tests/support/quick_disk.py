"""Writes that do not wait for the disk: the tests end programs at every moment, but not the machine."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import pytest

from hermes_store.storage.dialects.sqlite import SQLiteDialect

_configure = SQLiteDialect._configure_connection


def _configure_connection(self: Any, connection: sqlite3.Connection) -> None:
    _configure(self, connection)
    connection.execute("PRAGMA synchronous = OFF")


def _fsync(descriptor: int) -> None:
    os.fstat(descriptor)  # it must be one


def wait_for_no_disk(patch: pytest.MonkeyPatch) -> None:
    """Let stores leave the writing of their files to the operating system, whatever their durability."""
    patch.setattr(SQLiteDialect, "_configure_connection", _configure_connection)
    patch.setattr(os, "fsync", _fsync)
