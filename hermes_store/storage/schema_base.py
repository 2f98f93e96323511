"""What the tables have in common: the names of constraints."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

#: All tables. What compares or creates them takes them from `schema.complete_metadata`.
metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
