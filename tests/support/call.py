"""Calls a function of a module with texts: `processes.start_function` runs this file."""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    _, module, function, *arguments = sys.argv
    getattr(importlib.import_module(module), function)(*arguments)
