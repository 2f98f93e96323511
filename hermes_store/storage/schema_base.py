"""What the tables' classes have in common: types of columns, and names of constraints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase

from .types import Epoch, JsonBytes, LosslessText


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it is
        str: LosslessText(),
        int: BigInteger(),
        float: Epoch,
        bytes: LargeBinary(),
        Any: JsonBytes(),
    }
