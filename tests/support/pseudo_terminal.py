"""A real terminal for the program, as far as it can tell."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from hermes_store.cli.app import app


def run_in_terminal(
    arguments: Sequence[str | Path], env: Mapping[str, str], *, columns: int = 100, typed: str = ""
) -> tuple[str, int]:
    """Run the command line with its three streams a terminal; return what it wrote there, and its exit code.

    It runs in a copy of this process, which is there at once. No store may be open here on what it uses.

    Args:
        typed: what somebody types once the program asks a question.
    """
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        unset = ("COLUMNS", "LINES", "NO_COLOR", "LESS", "PAGER", "MANPAGER")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads of this process hold nothing it needs
            child = os.fork()
        if not child:
            os.close(ours)
            _run(arguments, {**kept, "TERM": "xterm", **env}, its)
        os.close(its)
        written = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says so that the other end was closed
                break
            if not chunk:
                break
            written += chunk
            if typed and b"? [y/N]: " in written:
                os.write(ours, typed.encode())
                typed = ""
        return written.decode("utf-8").replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(ours)


def _run(arguments: Sequence[str | Path], env: Mapping[str, str], terminal: int) -> None:
    """Be the program, from its start to its end; nothing of this process is left but what it has imported."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream in range(3):
            os.dup2(terminal, stream)
        os.environ.clear()
        os.environ.update(env)
        sys.modules.pop("pydoc", None)  # which has chosen its pager, if it was used here
        sys.argv = ["hermes-store", *map(str, arguments)]
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        warnings.simplefilter("error")
        try:
            app(prog_name="hermes-store")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else bool(end.code)
        sys.stdout.flush()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, repr(error).encode())
        code = 1
    finally:
        os._exit(code)
