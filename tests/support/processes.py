"""Programs in processes of their own: Python programs, functions of the tests, and Alembic's command line.

Most tests call Alembic's commands in their own process, which is faster.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

from tests.support.paths import ROOT

NOBODY = 65534


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, however that is."""
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def alembic(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `alembic` in this process, without its file of settings; an error is a message in `stderr`."""
    from alembic.config import CommandLine  # these take a while, and most processes that are started need none of it
    from alembic.util import CommandError

    from hermes_store.storage.migrations import alembic_config

    options = CommandLine("alembic").parser.parse_args(arguments)
    config = alembic_config()
    config.cmd_opts, config.stdout = options, io.StringIO()
    command, positional, named = options.cmd
    values = {name: getattr(options, name, None) for name in [*positional, *named]}
    code, errors = 0, ""
    with mock.patch.dict(os.environ, environment), contextlib.redirect_stdout(config.stdout):
        try:
            command(config, *(values[name] for name in positional), **{name: values[name] for name in named})
        except CommandError as error:
            code, errors = 1, str(error)
    return subprocess.CompletedProcess(arguments, code, config.stdout.getvalue(), errors)


def alembic_program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `alembic` in the repository's root."""
    return run(sys.executable, "-m", "alembic", *arguments, cwd=ROOT, **environment)


def python(program: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the text of a Python program, to which a warning is an error."""
    return run(sys.executable, "-W", "error", "-c", program, *arguments, cwd=cwd, **environment)


def output(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program printed, which must have ended well."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_function(function: Callable[..., object], *arguments: object) -> subprocess.Popen[str]:
    """Start a function of a module in a new process, to which a warning is an error.

    It gets its arguments as text; its input and its output are pipes.
    """
    return subprocess.Popen(
        function_command(function, arguments),
        env=with_tests(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_function(function: Callable[..., object], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a function as `start_function` does, to its end, however that is."""
    return run(*function_command(function, arguments), cwd=None, **with_tests(os.environ))


def function_command(function: Callable[..., object], arguments: tuple[object, ...]) -> list[str]:
    """Return the command that calls a function of a module; see `with_tests`."""
    # -P: whatever is called `tests` in the current directory is not meant.
    program = [sys.executable, "-P", "-W", "error", "-m", "tests.support.call"]
    return [*program, function.__module__, function.__qualname__, *map(str, arguments)]


def with_tests(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the tests can be imported from any current directory."""
    path = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    return {**environment, "PYTHONPATH": path}


def become_nobody() -> None:
    """Give up the rights of root, for good; who is an ordinary user stays that."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def program(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `hermes-store` to its end."""
    return run(sys.executable, "-W", "error", "-m", "hermes_store", *arguments, cwd=cwd, **environment)
