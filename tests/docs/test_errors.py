"""The tree of errors in the docs of `errors` has every class, each under its base."""

from __future__ import annotations

import re

from hermes_store import errors


def test_the_tree_of_errors_is_true() -> None:
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    line: list[str] = []
    for indent, name in re.findall(r"^ {4}([ │├└─]*)(\w+Error)\b", errors.__doc__, re.MULTILINE):
        line[len(indent) // 4 :] = [name]
        if len(line) > 1:
            parents[name] = line[-2]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert parents == {
        kind.__name__: kind.__bases__[0].__name__ for kind in kinds if kind is not errors.HermesStoreError
    }
