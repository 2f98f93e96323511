"""The works that are measured, a module for each section. Its `run` measures them; its docstring is the title."""
