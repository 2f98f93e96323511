"""The check after a kill: what is in the database, and in the files, is what the process acknowledged."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Final

from hermes_store import DatabaseMissingError, SchemaError, SessionDeletedError, SessionNotFoundError, Store
from hermes_store.files import import_directory
from hermes_store.maintenance import copy, verify
from hermes_store.storage.migrations import HEAD
from tests.proofs.operations import SHARED, Model, Op, Session, apply, imported, visible
from tests.proofs.worker import import_folder
from tests.support.first_release import canonical

#: The verbs that make files.
_FILES: Final = ("export", "backup", "migrate", "copy")


class StoreCheck:
    """Compares what is in a store with what was acknowledged.

    Args:
        where: for messages.
    """

    def __init__(self, where: str) -> None:
        self.problems: list[str] = []
        self._where = where

    def compare(self, store: Store, models: list[Model], begun: list[Op | None]) -> list[Model]:
        """Check the sessions, and return what is there.

        Args:
            store: an open store.
            models: what each thread's sessions have to be.
            begun: the operation of each that was begun, and may be done or not.
        """
        self._require_sound(store)
        found = [self._check_thread(store, model, op) for model, op in zip(models, begun, strict=True)]
        self._check_shared(store, found, begun)
        return found

    def _add(self, problem: str) -> None:
        self.problems.append(f"{self._where}: {problem}")

    def _require_sound(self, store: Store) -> None:
        report = verify(store)
        for finding in report.findings:
            self._add(f"verify found in {report.target}: {finding.session_id} {finding.kind} {finding.problem}")

    # ── Sessions ──

    def _check_thread(self, store: Store, model: Model, op: Op | None) -> Model:
        """Compare a thread's sessions with what they were before and after the operation under way."""
        differences = self._differences(store, model)
        if not differences:
            return model
        if op is None:
            self._add(f"acknowledged and not there: {differences}")
            return self._as_found(store, model)
        after = apply(model, op)
        differences_after = self._differences(store, after)
        if differences_after:
            self._add(f"neither before nor after {op}: {differences}; {differences_after}")
            return self._as_found(store, after)
        return after

    def _differences(self, store: Store, model: Model) -> list[str]:
        differences = []
        with store.snapshot() as view:
            for session_id, session in model.sessions.items():
                found, expected = found_in(view, session_id), visible(session)
                if found != expected:
                    differences.append(f"{session_id} {_difference(found, expected)}")
            differences += [f"{one} is there again" for one in model.purged if found_in(view, one) is not None]
        return differences

    @staticmethod
    def _as_found(store: Store, model: Model) -> Model:
        """Return a model of what is there, so that one problem is reported once."""
        after = model.copy()
        with store.snapshot() as view:
            found = {one: found_in(view, one) for one in model.sessions}
        after.sessions = {one: session for one, session in found.items() if session is not None}
        return after

    def _check_shared(self, store: Store, models: list[Model], begun: list[Op | None]) -> None:
        found = list(store.messages.read(SHARED))
        for index, (model, op) in enumerate(zip(models, begun, strict=True)):
            own = [one for one in found if one["by"] == str(index)]
            if own != model.shared and op is not None and op["verb"] == "share":
                models[index] = apply(model, op)
            if own != models[index].shared:
                self._add(f"thread {index} has {len(own)} messages in the shared session, not {len(model.shared)}")
                models[index].shared = own
        # What one call wrote stands together.
        runs = [key for key, _ in itertools.groupby(found, lambda one: one["of"].split("/")[0])]
        if len(runs) != len(set(runs)):
            self._add("the messages of one call are apart")


class Check(StoreCheck):
    """Compares a database file, and the files of imports, exports, backups and upgrades, with what was acknowledged.

    Args:
        path: the database.
        upgraded: the contents of an upgraded database of the first release.
        where: for messages.
    """

    def __init__(self, path: Path, upgraded: dict[str, str], where: str) -> None:
        super().__init__(where)
        self._path = path
        self._folder = path.parent
        self._upgraded = upgraded
        self._done: list[tuple[Op, Model]] = []

    def add_done(self, op: Op, model: Model) -> None:
        """Note an operation that was acknowledged, and what its thread's sessions were then."""
        if op["verb"] in _FILES:
            self._done.append((op, model))

    def run(self, models: list[Model], begun: list[Op | None]) -> list[Model]:
        """Check everything, and return what is there.

        Args:
            models: what each thread's sessions have to be.
            begun: the operation of each that was begun and not acknowledged.
        """
        with Store.open(self._path) as store:
            for op in begun:
                if op is not None and op["verb"] == "import":
                    self._require_sound(store)
                    self._check_import(store, op)
            found = self.compare(store, models, begun)
            self._require_sound(store)
            for op, model in self._done:
                getattr(self, f"_check_{op['verb']}")(op, model)
            for op in begun:
                if op is not None and op["verb"] in _FILES:
                    getattr(self, f"_check_{op['verb']}")(op, None)
        if self._path.with_name(f"{self._path.name}-wal").exists():
            self._add("a log was left")
        return found

    def _check_import(self, store: Store, op: Op) -> None:
        """Each session is there as a whole or not at all, and an import that is repeated brings the others."""
        with store.snapshot() as view:
            for session_id, content in imported(op).items():
                if found_in(view, session_id) not in (None, Session(f"Session {session_id}", content)):
                    self._add(f"{session_id} is half imported")
        report = import_directory(store, import_folder(self._folder, op))
        if report.failed:
            self._add(f"an import that is repeated fails: {report}")

    # ── Files ──

    def _check_export(self, op: Op, model: Model | None) -> None:
        folder = self._folder / f"export-{op['key']}" / "sessions"
        written = {}
        for file in folder.glob("*.json"):
            try:
                content = json.loads(file.read_bytes())
            except ValueError:
                self._add(f"{file.name} of an export is half written")
                continue
            if file.name != "_index.json":
                written[file.stem] = content["messages"]
        if model is not None:
            expected = {one: found.messages for one, found in model.sessions.items() if not found.is_deleted}
            if any(written.get(one) != content for one, content in expected.items()):
                self._add("an export lacks what was there")

    def _check_backup(self, op: Op, model: Model | None) -> None:
        path = self._folder / f"backup-{op['key']}.db"
        if model is None and not path.exists():
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)
            return
        with Store.open(path, read_only=True) as store:
            self._require_sound(store)
            if model is not None and (differences := self._differences(store, model)):
                self._add(f"a backup lacks what was there: {differences}")

    def _check_copy(self, op: Op, model: Model | None) -> None:
        """A copy that was interrupted is no store, and goes on, with what is there now."""
        path = self._folder / f"copy-{op['key']}.db"
        if model is None and not _is_copied(path):
            copy(self._path, path)
        with Store.open(path, migrate=False) as store:
            self._require_sound(store)
            if model is not None and (differences := self._differences(store, model)):
                self._add(f"a copy lacks what was there: {differences}")

    def _check_migrate(self, op: Op, model: Model | None) -> None:
        path = self._folder / f"old-{op['key']}.db"
        with Store.open(path, migrate=model is None) as store:
            if store.info().schema_revision != HEAD or everything(store) != self._upgraded:
                self._add("an upgraded database is not what it was")
            self._require_sound(store)


def _is_copied(path: Path) -> bool:
    """Whether a copy was whole before it was acknowledged."""
    try:
        with Store.open(path, read_only=True) as store:
            return store.sessions.exists(SHARED)
    except (DatabaseMissingError, SchemaError):
        return False


def everything(store: Store) -> dict[str, str]:
    """Return all that is in a store, as text."""
    found = {"projects": repr(store.projects.list().items)}
    for record in store.sessions.iterate(include_empty=True):
        session_id = record.session_id
        values = [record.model_dump(), store.documents.read(session_id), store.messages.read(session_id)]
        found[session_id] = canonical(values)
    return found


def found_in(view: Any, session_id: str) -> Session | None:
    """Return what is in a session; None if there is none."""
    try:
        record = view.sessions.get(session_id)
    except SessionDeletedError:
        return Session(is_deleted=True)
    except SessionNotFoundError:
        return None
    messages, documents = list(view.messages.read(session_id)), dict(view.documents.read(session_id))
    return Session(record.title, messages, documents, tokens=record.input_tokens)


def _difference(found: Session | None, expected: Session | None) -> str:
    if found is None:
        return "is not there"
    if expected is None:
        return "is there"
    names = [
        name
        for name in ("title", "documents", "is_deleted", "tokens")
        if getattr(found, name) != getattr(expected, name)
    ]
    if found.messages != expected.messages:
        same = [one == other for one, other in zip(found.messages, expected.messages, strict=False)]
        at = same.index(False) if False in same else len(same)
        names.append(f"messages ({len(found.messages)}, not {len(expected.messages)}; they differ at {at})")
    return "differs in " + ", ".join(names)
