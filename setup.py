"""What `pyproject.toml` cannot say: a wheel has `migrations/` as `hermes_store.migrations`.

A `package-dir` for it would say so, too, but then an editable install imports `hermes_store` through a hook that
type checkers do not know.
"""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMigrations(build_py):
    """Adds the migrations to what is built; an editable install uses them where they are."""

    def run(self) -> None:
        if not self.editable_mode:
            self.packages = [*(self.packages or []), "hermes_store.migrations", "hermes_store.migrations.versions"]
            self.package_dir = {**(self.package_dir or {}), "hermes_store.migrations": "migrations"}
        super().run()


setup(cmdclass={"build_py": BuildWithMigrations})
