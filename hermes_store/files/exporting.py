"""Export of the store's sessions and projects as the files that hermes-webui reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..documents import Documents
from ..errors import FilesError
from ..messages import Messages
from ..records import ProjectRecord, SessionRecord
from ..reports import ExportProgress, ExportReport
from ..sessions import Sessions
from ..storage import session_listing, session_rows
from ..storage.engine import Nested
from ..store import Store
from ..transcripts import json_codec
from ..webui_format import project_json, session_json
from .directory import INDEX, PROJECTS, SESSIONS, file_name

OnProgress = Callable[[ExportProgress], None]


def export_directory(
    store: Store, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
) -> ExportReport:
    """Write the store's sessions and projects as a state directory that hermes-webui reads.

    Each session is read in a transaction of its own, and only one is in memory at a time. Deleted ones are left out.

    Args:
        store: what to export.
        path: the state directory to create: ``sessions/*.json``, ``sessions/_index.json``, ``projects.json``. A
            session's file is named after its id; where that is the name of a file of the WebUI's own (``_index``),
            its first character is written as ``%5F``, and the id inside the file counts.
        on_progress: called after each session.

    Raises:
        FilesError: there are sessions or projects at `path` already, or it cannot be written.
    """
    root = Path(os.fsdecode(path)).expanduser()
    started = time.monotonic()
    sessions = messages = 0
    try:
        folder = _prepare(root)
        total = store.sessions.count(include_empty=True)
        projects = _projects(store)
        _write(root / PROJECTS, _text([project_json.to_json(project) for project in projects]))
        index_rows: list[str] = []
        for record, data in _sessions(store):
            _write(folder / file_name(record.session_id), _text(data))
            index_rows.append(_text(_index_row(record, data)))
            sessions += 1
            messages += len(data["messages"])
            if on_progress is not None:
                on_progress(ExportProgress(done=sessions, total=total, session_id=record.session_id))
        _write(folder / INDEX, "[\n" + ",\n".join(index_rows) + "\n]")
    except OSError as error:
        raise FilesError(
            f"{error.filename or root} cannot be written: {error.strerror}. The store is as it was."
        ) from error
    return ExportReport(
        target=str(root),
        sessions=sessions,
        messages=messages,
        projects=len(projects),
        seconds=time.monotonic() - started,
    )


def _prepare(root: Path) -> Path:
    folder = root / SESSIONS
    if (root / PROJECTS).exists() or any(folder.glob("*.json")):
        raise FilesError(f"{root} has sessions or projects already. Nothing was written; name an empty directory.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _projects(store: Store) -> list[ProjectRecord]:
    """Return all projects by position, which is the order of the file that they were imported from."""
    page = store.projects.list()
    found = list(page.items)
    while page.next is not None:
        page = store.projects.list(after=page.next)
        found += page.items
    return sorted(found, key=lambda project: project.position)


def _sessions(store: Store) -> Iterator[tuple[SessionRecord, dict[str, Any]]]:
    """Yield every session with its JSON object, the last changed first, as in the index."""
    with store.database.read() as unit:
        # Row ids, because sessions may be renamed or written to before it is their turn.
        row_ids = session_listing.live_rows(unit)
    for row_id in row_ids:
        with store.database.read() as unit:
            key = session_rows.find_row(unit, row_id)
            if key is None or key.deleted_at is not None:
                continue  # deleted since it was listed
            nested = Nested(unit)
            record = Sessions(nested).get(key.session_id)
            documents = Documents(nested).read(key.session_id)
            messages = Messages(nested).read(key.session_id)
        yield record, session_json.to_json(record, documents, list(messages))


def _index_row(record: SessionRecord, data: dict[str, Any]) -> dict[str, Any]:
    row = {key: data.get(key) for key in session_json.INDEX_KEYS if key != "message_count"}
    return {**row, "message_count": record.message_count, "is_streaming": False}


def _text(value: Any) -> str:
    """Return a value's JSON as the WebUI writes it. If it has lone surrogates, all of it is ASCII, with escapes."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    except RecursionError:  # nested deeper than the standard library writes
        return json_codec.encode(value).decode("utf-8")
    return text


def _write(path: Path, text: str) -> None:
    """Write a file, so that readers see all of it or none."""
    unfinished = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
