"""What a store holds, as its verbs tell it."""

from __future__ import annotations

import json
from typing import Any

from hermes_store import Store


def contents(store: Store) -> dict[str, Any]:
    """All that the verbs of a store tell of its live sessions and its projects."""
    found: dict[str, Any] = {"projects": {project.project_id: project for project in store.projects.list().items}}
    for record in store.sessions.iterate():
        documents, messages = store.documents.read(record.session_id), store.messages.read(record.session_id)
        # As text, in which 1 is not 1.0 and NaN is NaN.
        found[record.session_id] = json.dumps([record.model_dump(), documents, messages], sort_keys=True)
    return found
