"""What `doctor` looks at in a PostgreSQL database."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from ..statement import Statement
from ..unit_of_work import UnitOfWork
from .condition import Condition

#: Seconds after which a transaction is long.
LONG: Final = 300.0
_OLDEST_TESTED: Final = 150000
_version: Final = Statement(text("SELECT current_setting('server_version_num')::int"))
_long: Final = Statement(
    text(
        "SELECT pid, coalesce(state, '?'), extract(epoch FROM now() - xact_start)::float8 FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND xact_start < now() - make_interval(secs => :seconds) ORDER BY xact_start LIMIT 10"
    )
)
_dead: Final = Statement(
    text(
        "SELECT relname::text, n_dead_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() "
        "AND n_dead_tup > 10000 AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC"
    )
)


def conditions(unit: UnitOfWork, long: float = LONG) -> list[Condition]:
    """Return the conditions of a database.

    Args:
        long: seconds after which a transaction is reported.
    """
    version = unit.value(_version)
    major = f"PostgreSQL {version // 10000}"
    return [
        Condition("PostgreSQL", "ok", f"{major}.")
        if version >= _OLDEST_TESTED
        else Condition(
            "PostgreSQL", "note", f"{major}, which is older than what is tested (15).", "Upgrade the server."
        ),
        _transactions(unit, long),
        _dead_rows(unit),
        Condition("backups", "ok", "They are the server's: see `pg_dump`. Nothing is known of them here."),
    ]


def _transactions(unit: UnitOfWork, long: float) -> Condition:
    found = unit.rows(_long, {"seconds": long})
    if not found:
        return Condition("transactions", "ok", "None is long.")
    shown = ", ".join(f"process {pid} ({state}, {seconds:,.0f} s)" for pid, state, seconds in found)
    return Condition(
        "transactions",
        "warning",
        f"Transactions are open for long: {shown}.",
        "They keep others waiting, and the server cannot remove old rows meanwhile. End them in their program, or with "
        "SELECT pg_terminate_backend(PID). idle_in_transaction_session_timeout ends such transactions by itself.",
    )


def _dead_rows(unit: UnitOfWork) -> Condition:
    found = unit.rows(_dead)
    if not found:
        return Condition("old rows", "ok", "No table has more old rows than live ones.")
    shown = ", ".join(f"{name} ({count:,})" for name, count in found)
    return Condition("old rows", "note", f"Tables with many old rows: {shown}.", "See that autovacuum runs, or VACUUM.")
