"""Alembic's scripts. They are at the top of the repository for `alembic`, and inside the wheel for `Store.open`."""
