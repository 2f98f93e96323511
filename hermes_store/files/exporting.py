"""Export of the store's sessions, projects and shares as the files that hermes-webui reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..arguments import check_callable, check_instance
from ..errors import DatabaseCorruptError, FilesError
from ..paths import path_of
from ..records import ProjectRecord
from ..reports import ExportProblem, ExportProgress, ExportReport
from ..storage import (
    document_reading,
    message_reading,
    session_ids,
    session_keys,
    session_records,
)
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import DRIVER_ERRORS, UnitOfWork
from ..store import Store
from ..validation import is_id
from ..webui_format import project_json, session_json
from .directory import AGENT_FILE, INCOMPLETE, INDEX, PROJECTS, SESSIONS, SHARES, file_name
from .json_text import json_text
from .open_folder import PrivateFolder
from .share_exporting import write_shares

OnProgress = Callable[[ExportProgress], None]


def export_directory(
    store: Store, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
) -> ExportReport:
    """Write the store's sessions, projects and shares as a state directory that hermes-webui reads.

    Each session is read in a transaction of its own, and only one is in memory at a time. Deleted ones are left out.
    What is damaged in the database is left out as well, and reported; everything else is written. The files are
    readable for you only. While an export is not finished, there is a file ``.incomplete`` in ``sessions``; then it can
    be repeated, and writes all files again.

    Args:
        store: what to export.
        path: the state directory to create: ``sessions/*.json``, ``sessions/_index.json``, ``projects.json``, and
            ``shares/*.json`` if there are any. A session's file is named after its id; where that is the name of a file
            of the WebUI's own (``_index``), its first character is written as ``%5F``, and the id inside the file
            counts.
        on_progress: called after each session.

    Raises:
        FilesError: there are sessions, projects or shares at `path` already, or it is a Hermes home, or it cannot be
            written.
        InvalidInputError: an argument is not valid.
    """
    check_instance("store", store, Store)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    root = path_of(path, "directory")
    started = time.monotonic()
    try:
        _require_free(root)
        with PrivateFolder(Path(os.path.realpath(root))) as top, PrivateFolder(root / SESSIONS) as folder:
            report = _Export(store, top, folder, on_progress).run(str(root))
    except OSError as error:
        raise FilesError(
            f"{error.filename or root} cannot be written: {error.strerror}. The store is as it was."
        ) from error
    return report.model_copy(update={"seconds": time.monotonic() - started})


def _require_free(root: Path) -> None:
    folder = root / SESSIONS
    if (folder / INCOMPLETE).exists():
        return  # an export that was not finished
    if (root / AGENT_FILE).exists():
        raise FilesError(
            f"{root} is a Hermes home: the folder {SESSIONS} in it is for the agent's files. Nothing was written; name "
            "an empty directory."
        )
    if (root / PROJECTS).exists() or any(folder.glob("*.json")) or any((root / SHARES).glob("*.json")):
        raise FilesError(
            f"{root} has sessions, projects or shares already. Nothing was written; name an empty directory."
        )


class _Export:
    """One export."""

    def __init__(self, store: Store, top: PrivateFolder, folder: PrivateFolder, on_progress: OnProgress | None) -> None:
        self._store = store
        self._top = top
        self._folder = folder
        self._on_progress = on_progress
        self._index: list[str] = []
        self._written: set[str] = set()
        self._messages = 0
        self._problems: list[ExportProblem] = []

    def run(self, target: str) -> ExportReport:
        self._folder.write(INCOMPLETE, "An export to this folder was not finished. Repeat it.\n")
        self._folder.sync()
        projects = self._write_projects()
        with self._store.database.read() as unit:
            # Row ids, because sessions may be renamed or written to before it is their turn.
            row_ids = session_ids.live_rows(unit)
        for row_id in row_ids:
            session_id = self._write_session(row_id)
            if session_id is not None and self._on_progress is not None:
                progress = ExportProgress(done=len(self._index), total=len(row_ids), session_id=session_id)
                self._on_progress(progress)
        self._folder.write(INDEX, "[\n" + ",\n".join(self._index) + "\n]")
        self._report_left_over()
        shares, problems = write_shares(self._store, Path(target) / SHARES)
        self._problems += problems
        self._folder.sync()
        self._top.sync()
        self._folder.remove(INCOMPLETE)
        self._folder.sync()
        return ExportReport(
            target=target,
            sessions=len(self._index),
            messages=self._messages,
            projects=projects,
            shares=shares,
            seconds=0.0,
            problems=self._problems,
        )

    def _write_projects(self) -> int:
        """Write all projects by position, which is the order of the file that they were imported from."""
        projects: list[ProjectRecord] = []
        after: str | None = None
        try:
            while True:
                page = self._store.projects.list(after=after)
                projects += page.items
                after = page.next
                if after is None:
                    break
        except DatabaseCorruptError as error:
            self._problems.append(ExportProblem(session_id=None, reason=f"not all projects can be read: {error}"))
        projects.sort(key=lambda project: project.position)
        self._top.write(PROJECTS, json_text([project_json.to_json(project) for project in projects]))
        return len(projects)

    def _write_session(self, row_id: int) -> str | None:
        """Write a session's file, and return its id; None if it cannot be read, or was deleted since it was listed."""
        key = None
        try:
            with self._store.database.read() as unit:
                key = session_keys.find_row(unit, row_id)
                if key is None or key.deleted_at is not None:
                    return None
                record = session_records.get(unit, key.session_id)
                documents, problems = _documents(unit, key)
                messages, damage = _messages(unit, key)
        except DatabaseCorruptError as error:
            session_id = f"(row {row_id})" if key is None else key.session_id
            self._problems.append(ExportProblem(session_id=session_id, reason=str(error)))
            return None
        session_id = key.session_id
        if record is None or not is_id(session_id):
            self._problems.append(ExportProblem(session_id=session_id, reason="its id is damaged, and names no file"))
            return None
        data = session_json.to_json(record, documents, messages)
        self._folder.write(file_name(session_id), json_text(data))
        self._index.append(json_text(_index_row(len(messages), data)))
        self._written.add(file_name(session_id))
        self._messages += len(messages)
        self._problems += (ExportProblem(session_id=session_id, reason=reason) for reason in problems)
        self._problems += (
            ExportProblem(session_id=session_id, position=position, reason=reason) for position, reason in damage
        )
        return session_id

    def _report_left_over(self) -> None:
        """Report the files of an earlier, unfinished export whose sessions are not in the store any more."""
        for name in sorted(self._folder.names()):
            if name.endswith(".json") and name != INDEX and name not in self._written:
                reason = f"{name} is of an earlier export and was not written by this one"
                self._problems.append(ExportProblem(session_id=name.removesuffix(".json"), reason=reason))


def _documents(unit: UnitOfWork, key: SessionKey) -> tuple[dict[str, Any], list[str]]:
    try:
        return document_reading.read(unit, key.id, key.session_id), []
    except (*DRIVER_ERRORS, DatabaseCorruptError):
        return document_reading.salvage(unit, key.id, key.session_id)


def _messages(unit: UnitOfWork, key: SessionKey) -> tuple[list[Any], list[message_reading.Damage]]:
    count = key.message_count
    try:
        rows = message_reading.fetch(unit, key.id, key.session_id, start=0, stop=count, count=count)
        return message_reading.decode(key.session_id, rows, 0), []
    except (*DRIVER_ERRORS, DatabaseCorruptError):
        return message_reading.salvage(unit, key.id, key.session_id, count)


def _index_row(count: int, data: dict[str, Any]) -> dict[str, Any]:
    row = {key: data.get(key) for key in session_json.INDEX_KEYS if key != "message_count"}
    return {**row, "message_count": count, "is_streaming": False}
