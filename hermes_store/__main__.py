"""``python -m hermes_store`` and ``hermes-store``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line, or say what it needs."""
    # Searching for garbage among the modules that it imports would be a quarter of the time of a short command, which
    # makes fewer new objects than this. A long command still has its garbage freed.
    gc.set_threshold(200_000)
    try:
        from .cli.app import app  # noqa: PLC0415 - the library does without what this imports

        app(prog_name="hermes-store")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.stderr.write("The command line needs typer and rich: pip install 'hermes-store[cli]'\n")
        sys.exit(2)
    finally:
        gc.freeze()  # the interpreter searches all that is not frozen when it ends


if __name__ == "__main__":
    main()
