"""SQLAlchemy's engine of a PostgreSQL database: its pool, and what each connection is set to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ... import errors
from ...quoting import quoted
from ...targets import shown
from . import postgresql_pooler
from .base import Settings

#: How a connection that is broken is noticed, in what libpq calls these: seconds to connect, seconds without traffic
#: after which it is looked whether the server is there, and (on Linux) milliseconds until what was sent has arrived.
_NETWORK: Final[Mapping[str, int]] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_POOL: Final[Mapping[str, int]] = {"pool_size": 8, "max_overflow": 24}
#: Seconds after which a connection is made anew that prefers a standby: it may be one to the primary.
_RECONNECT: Final = 60
#: The options that `Store.open` takes besides the engine itself, and what their values are.
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "pool_size": (int,),
    "max_overflow": (int,),
    "pool_recycle": (int, float),
    "pool_pre_ping": (bool,),
    "pool_use_lifo": (bool,),
    "connect_args": (Mapping,),
}
_NAMES: Final = (*_TYPES, "credentials", "engine")
_DRIVER: Final = ("postgresql", "psycopg")


def own_engine(options: Mapping[str, Any]) -> Engine | None:
    """Return the engine that the caller of `Store.open` made itself; None if there is none.

    Raises:
        InvalidInputError: it is no engine, or is not for PostgreSQL and psycopg.
    """
    engine = options.get("engine")
    if engine is None:
        return None
    is_usable = isinstance(engine, Engine) and (engine.dialect.name, engine.dialect.driver) == _DRIVER
    if not is_usable or len(options) > 1:
        raise errors.InvalidInputError(
            "engine_options['engine'] is an Engine of SQLAlchemy for postgresql+psycopg, and the only option then. "
            "Nothing was opened."
        )
    return cast(Engine, engine)


def make_engine(url: URL, settings: Settings, *, is_pooled: bool) -> Engine:
    """Return an engine that sets its connections as the settings say.

    Args:
        url: as the driver takes it.
        settings: how to open the database.
        is_pooled: set each transaction instead, as a pooler gives it any connection.

    Raises:
        InvalidInputError: an engine option is unknown, or of a wrong type.
        UnsupportedDatabaseError: the driver is not there, or does not take the URL.
    """
    options = dict(settings.engine_options)
    _check(options)
    credentials = options.pop("credentials", None)
    given = dict(options.pop("connect_args", {}))
    own_options = _options(url, given.get("options"), settings)
    arguments = {
        **_defaults({*url.query, *given}, own_options),
        **given,
        "options": own_options,
        # Else the driver takes the server's, and cannot even read the answers of one without an encoding.
        "client_encoding": "utf8",
        **(postgresql_pooler.ARGUMENTS if is_pooled else {}),
    }
    # A broken connection is noticed when it is used: see the unit of work.
    pool = {**_POOL, "pool_timeout": settings.busy_timeout, **options}
    if "prefer-standby" in (given.get("target_session_attrs"), url.query.get("target_session_attrs")):
        pool.setdefault("pool_recycle", _RECONNECT)
    try:
        plain = url.difference_update_query(["options", "client_encoding"])
        engine = create_engine(plain, connect_args=arguments, **pool)
    except (ImportError, NoSuchModuleError) as error:
        raise errors.UnsupportedDatabaseError(
            f"PostgreSQL needs psycopg ({error}): pip install 'hermes-store[postgres]'"
        ) from error
    except (ArgumentError, ValueError, TypeError):  # the hosts and ports do not fit each other, for example
        pass  # raised below, without this cause: its text may quote a password
    else:
        if is_pooled:
            postgresql_pooler.set_in_each_transaction(engine, own_options)
        if credentials is not None:
            event.listen(engine, "do_connect", _giving(credentials))
        return engine
    raise errors.UnsupportedDatabaseError(
        f"The URL of {shown(url)} has a host, a port or a parameter that the driver does not take. Several hosts have "
        "their ports each, as in h1:5432,h2:5432. Nothing was opened."
    )


def session_settings(settings: Settings) -> dict[str, str]:
    """Return what the server is told about a connection, or a transaction, by the names of its settings."""
    return {
        # Off: a commit returns before it is on disk, and a crash of the server may lose the last ones.
        # https://www.postgresql.org/docs/current/wal-async-commit.html
        "synchronous_commit": "on" if settings.durability == "full" else "off",
        "lock_timeout": f"{round(settings.busy_timeout * 1000)}",
    }


def pooled_settings(url: URL, settings: Settings) -> dict[str, str]:
    """Return what transactions are told where a connection cannot be: also the caller's own settings."""
    own = settings.engine_options.get("connect_args", {}).get("options")
    return postgresql_pooler.settings_of(_options(url, own, settings))


def setting_statement(settings: Mapping[str, str]) -> str:
    """Return the statement that sets the transaction that it is in."""
    values = [f"set_config({_literal(name)}, {_literal(value)}, true)" for name, value in settings.items()]
    return f"SELECT {', '.join(values)}"


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def _options(url: URL, own: Any, settings: Settings) -> str:
    """Return the options of connections: the caller's own, and after them ours, as the last one counts."""
    found = own or url.query.get("options") or os.environ.get("PGOPTIONS", "")
    given = [str(found)] if isinstance(found, str) or not isinstance(found, Sequence) else [*found]
    return " ".join([*given, *(f"-c {name}={value}" for name, value in session_settings(settings).items())])


def _defaults(given: set[str], options: str) -> dict[str, Any]:
    """Return the parameters that the caller does not set."""
    if "PGCONNECT_TIMEOUT" in os.environ:
        given.add("connect_timeout")
    found: dict[str, Any] = {name: value for name, value in _NETWORK.items() if name not in given}
    if "application_name" not in options:
        found["fallback_application_name"] = "hermes_store"
    return found


def _giving(credentials: Callable[[], Mapping[str, Any]]) -> Callable[..., None]:
    def update(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters.update(credentials())

    return update


def _check(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        kinds = _TYPES.get(name)
        is_known = name == "credentials" if kinds is None else isinstance(value, kinds)
        if not is_known or (kinds is None and not callable(value)) or (isinstance(value, bool) and kinds != (bool,)):
            raise errors.InvalidInputError(
                f"engine_options[{quoted(name)}] is unknown or of a wrong type ({type(value).__name__}). There are "
                f"{', '.join(_NAMES)}. Nothing was opened."
            )
