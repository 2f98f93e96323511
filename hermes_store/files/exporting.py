"""The way back: the store's sessions and projects as the files that hermes-webui reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import bindparam, select

from .. import payload
from ..database import SharedConnection
from ..documents import Documents
from ..errors import FilesError
from ..messages import Messages
from ..records import SessionRecord
from ..reports import ExportProgress, ExportReport
from ..sessions import Sessions
from ..store import Store
from ..tables import Session
from . import image, projects
from .directory import INDEX, PROJECTS, SESSIONS

OnProgress = Callable[[ExportProgress], None]


def export_directory(
    store: Store, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
) -> ExportReport:
    """Write the store's sessions and projects as a state directory that hermes-webui reads.

    Each session is written as it is at one moment; deleted ones are left out. One session at a time is in memory.

    Args:
        path: the state directory to make: ``sessions/*.json``, ``sessions/_index.json``, ``projects.json``.
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
        listed = store.projects.list()
        _write(root / PROJECTS, _text([projects.to_json(project) for project in listed]))
        index_rows: list[str] = []
        for record, data in _sessions(store):
            _write(folder / f"{record.session_id}.json", _text(data))
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
        projects=len(listed),
        seconds=time.monotonic() - started,
    )


def _prepare(root: Path) -> Path:
    folder = root / SESSIONS
    if (root / PROJECTS).exists() or any(folder.glob("*.json")):
        raise FilesError(f"{root} has sessions or projects already. Nothing was written; name an empty directory.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sessions(store: Store) -> Iterator[tuple[SessionRecord, dict[str, Any]]]:
    for row_id in _row_ids(store):
        with store._database.read() as connection:
            public_id = connection.execute(_public_id, {"row_id": row_id}).scalar()
            if public_id is None:
                continue  # deleted since it was listed
            unit = SharedConnection(connection)
            record = Sessions(unit).get(public_id)
            documents = Documents(unit).read(public_id)
            messages = Messages(unit).read(public_id)
        yield record, image.to_json(record, documents, list(messages))


def _row_ids(store: Store) -> list[int]:
    """Return what names the sessions whatever happens to them meanwhile, the last changed first, as in the index."""
    newest_first = (Session.updated_at.desc(), Session.id.desc())
    query = select(Session.id).where(Session.deleted_at.is_(None)).order_by(*newest_first)
    with store._database.read() as connection:
        return list(connection.execute(query).scalars())


_public_id: Final = select(Session.session_id).where(Session.id == bindparam("row_id"), Session.deleted_at.is_(None))


def _index_row(record: SessionRecord, data: dict[str, Any]) -> dict[str, Any]:
    row = {key: data.get(key) for key in image.INDEX_KEYS if key != "message_count"}
    return {**row, "message_count": record.message_count, "is_streaming": False}


def _text(value: Any) -> str:
    """Return a value as the WebUI writes it; with lone surrogates in it, all in ASCII, which it reads as well."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    except RecursionError:  # nested deeper than the standard library writes
        return payload.encode(value).decode("utf-8")
    return text


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
