"""What a kind of database has to offer."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from .. import errors

Durability = Literal["full", "normal"]
Target = str | os.PathLike[str] | URL

logger = logging.getLogger("hermes_store")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to open a database; see `Store.open`."""

    durability: Durability = "full"
    read_only: bool = False
    busy_timeout: float = 5.0


class Backend(Protocol):
    """A kind of database."""

    settings: Settings
    #: Held around every write transaction of this process, so that its threads queue here.
    write_lock: contextlib.AbstractContextManager[Any]
    #: Held around every read transaction.
    read_lock: contextlib.AbstractContextManager[Any]

    @property
    def read_options(self) -> Mapping[str, Any]:
        """Execution options for the connection of a read transaction."""

    @property
    def write_options(self) -> Mapping[str, Any]:
        """Execution options for the connection of a write transaction."""

    @property
    def display(self) -> str:
        """What is opened, fit for messages and logs: no password in it."""

    @property
    def survives_fork(self) -> bool:
        """Whether a forked child can open the same data anew."""

    @property
    def closes_before_fork(self) -> bool:
        """Whether a child must not even inherit the connections."""

    def create_engine(self) -> Engine:
        """Make the engine; nothing is opened until it is used."""

    def prepare(self, *, create: bool) -> None:
        """Find the database, or make an empty one if that is allowed; one that is there is not changed."""

    def settle(self, engine: Engine) -> None:
        """Do what is done once when a store is opened, after its database was found to be ours to change."""

    def lost_transaction(self, connection: Connection) -> bool:
        """Whether the database ended the connection's transaction by itself."""

    def translate(self, error: Exception, what: str) -> errors.DatabaseError:
        """Return the error of ours that says what the driver's error means."""

    def schema_upgrade(self, engine: Engine) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection in a transaction that no other process upgrades beside, committed at the end."""

    def back_up(self, engine: Engine, label: str) -> Path | None:
        """Copy the data to a file beside it before it is upgraded, where that is ours to do."""

    def describe(self, connection: Connection) -> dict[str, Any]:
        """Return the facts that `Store.info` shows: version, location, size, journal mode."""


#: What `translate` is for. The driver's own error is `error.orig`.
DRIVER_ERRORS: Final = (DBAPIError, PoolTimeoutError, sqlite3.Error)

#: The end of many an error's text.
RETRY: Final = "Nothing was written; try again."
