"""A few rows in every table of a database."""

from __future__ import annotations

from hermes_store import Store


def fill(store: Store) -> None:
    project = store.projects.create(name="Work", project_id="work")
    store.sessions.create(session_id="parent", title="Trip", project_id=project.project_id)
    store.sessions.create(session_id="child", title="Fork", parent_id="parent", forked_at=1)
    store.messages.extend("parent", [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}])
    store.documents.put("parent", {"tool_calls": [1]})
    store.sessions.change_id("child", "renamed")
