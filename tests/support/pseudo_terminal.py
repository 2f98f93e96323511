"""A real terminal for a program, as far as it can tell."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence


def run_in_terminal(
    command: Sequence[str], env: Mapping[str, str], *, columns: int = 100, typed: str = ""
) -> tuple[str, int]:
    """Run a program whose three streams are a terminal; return what it wrote there, and its exit code.

    Args:
        typed: what somebody types once the program asks a question.
    """
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        unset = ("COLUMNS", "LINES", "NO_COLOR", "LESS", "PAGER", "MANPAGER")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        process = subprocess.Popen(
            command, stdin=its, stdout=its, stderr=its, env={**kept, "TERM": "xterm", **env}, start_new_session=True
        )
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
        return written.decode("utf-8").replace("\r\n", "\n"), process.wait()
    finally:
        os.close(ours)
