"""Taking one session file in: what the store has of it, what follows, and doing that."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from .. import rows
from ..database import SharedConnection
from ..documents import Documents
from ..messages import Messages
from ..sessions import Sessions
from ..tables import ImportItem as ItemRow
from ..tables import RetiredId, Session, SessionDocument
from . import image
from .directory import Entry
from .image import SessionImage
from .ledger import remember
from .projects import ProjectImport
from .report import ImportItem, Outcome

KIND: Final = "webui-session"

Prefer = Literal["store", "files"]


@dataclass(frozen=True, kw_only=True)
class KnownItem:
    """What the store remembers of a file."""

    item: str
    session_id: int | None
    digest: bytes
    size: int | None
    mtime_ns: int | None
    revision: int | None
    imported_at: float
    public_id: str | None
    deleted_at: float | None

    def is_of(self, entry: Entry, racy_ns: int) -> bool:
        """Whether the file stands still since it was imported, as far as its size and time can tell."""
        settled = entry.mtime_ns + racy_ns < self.imported_at * 1e9
        return settled and (self.size, self.mtime_ns) == (entry.size, entry.mtime_ns)

    def unchanged(self, entry: Entry) -> ImportItem:
        """Say how a file ends that stands still."""
        if self.session_id is None:
            return _skipped(entry, entry.stem, "it was purged from the store")
        if self.deleted_at is not None:
            return _skipped(entry, self.public_id, "it is deleted in the store")
        return ImportItem(path=entry.name, outcome=Outcome.UNCHANGED, id=self.public_id)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A session file that was read."""

    entry: Entry
    session_id: str
    digest: bytes
    #: What is wrong with the file; None for a whole one.
    damage: str | None
    image: SessionImage

    @property
    def size(self) -> int:
        return self.entry.size

    def item(self, outcome: Outcome, reason: str = "", session_id: str | None = None) -> ImportItem:
        return ImportItem(
            path=self.entry.name,
            outcome=outcome,
            id=session_id or self.session_id,
            reason=reason,
            notes=self.image.notes,
            messages=len(self.image.messages),
        )


@dataclass(frozen=True, kw_only=True)
class SessionIntake:
    """Brings the store up to session files, one by one."""

    projects: ProjectImport
    origin: str
    prefer: Prefer
    dry_run: bool

    def take_in(self, connection: Connection, candidate: Candidate) -> ImportItem:
        """Bring the store up to a session file, as far as that is right, and say how it ended."""
        known = _known(connection, candidate.entry, self.origin)
        if known is not None and known.session_id is None:
            return _skipped(candidate.entry, candidate.session_id, "it was purged from the store")
        session = self._find(connection, candidate, known)
        if session is None:
            if _was_purged(connection, candidate.session_id):
                return _skipped(candidate.entry, candidate.session_id, "it was purged from the store")
            if not self.dry_run:
                self._create(connection, candidate)
            return candidate.item(Outcome.RECOVERED if candidate.damage else Outcome.IMPORTED, candidate.damage or "")
        if session.deleted_at is not None:
            return _skipped(candidate.entry, session.session_id, "it is deleted in the store")
        if known is not None and known.digest == candidate.digest:
            self._remember(connection, candidate, session.id, known.revision)
            return candidate.item(Outcome.UNCHANGED, session_id=session.session_id)
        return self._reconcile(connection, candidate, session, known)

    def _reconcile(
        self, connection: Connection, candidate: Candidate, session: Row[*tuple[Any, ...]], known: KnownItem | None
    ) -> ImportItem:
        """Decide between a file and the store's session that are not known to be the same."""
        if _stored_image(connection, session.session_id).same_content(candidate.image):
            self._remember(connection, candidate, session.id, session.revision)
            return candidate.item(Outcome.UNCHANGED, session_id=session.session_id)
        if candidate.damage is not None:
            reason = f"{candidate.damage}; the store's copy was kept"
            return candidate.item(Outcome.CONFLICT, reason, session.session_id)
        untouched = known is not None and known.revision == session.revision
        if not untouched and self.prefer == "store":
            why = "both were changed since the last import" if known else "the store's session is not from this file"
            return candidate.item(Outcome.CONFLICT, f"{why}; the store's copy was kept", session.session_id)
        if not self.dry_run:
            self._overwrite(connection, candidate, session)
        return candidate.item(Outcome.UPDATED, session_id=session.session_id)

    def _find(
        self, connection: Connection, candidate: Candidate, known: KnownItem | None
    ) -> Row[*tuple[Any, ...]] | None:
        """Return the store's session for a file: the one it became, whatever that is called now."""
        query = select(Session.id, Session.session_id, Session.revision, Session.deleted_at)
        if known is not None:
            query = query.where(Session.id == known.session_id)
        else:
            successor = select(RetiredId.successor_id).where(RetiredId.session_id == candidate.session_id)
            query = query.where(
                (Session.session_id == candidate.session_id) | (Session.id == successor.scalar_subquery())
            )
        # A dry run may not lock rows, and need not.
        return connection.execute(query if self.dry_run else query.with_for_update()).one_or_none()

    def _create(self, connection: Connection, candidate: Candidate) -> None:
        made = candidate.image
        project = self.projects.link(connection, made)
        columns = {**made.columns, "session_id": candidate.session_id, "project_id": project}
        session = connection.execute(insert(Session).values(columns).returning(Session.id)).scalar_one()
        rows.insert_messages(connection, session, dict(enumerate(made.messages)))
        rows.write_documents(connection, session, made.documents)
        self._remember(connection, candidate, session, revision=1)

    def _overwrite(self, connection: Connection, candidate: Candidate, session: Row[*tuple[Any, ...]]) -> None:
        made = candidate.image
        project = self.projects.link(connection, made)
        values = {**made.columns, "project_id": project, "parent_id": None, "revision": session.revision + 1}
        connection.execute(update(Session).where(Session.id == session.id).values(values))
        rows.write_transcript(connection, session.id, made.messages)
        gone = SessionDocument.key.not_in(list(made.documents))
        connection.execute(delete(SessionDocument).where(SessionDocument.session_id == session.id, gone))
        rows.write_documents(connection, session.id, made.documents)
        self._remember(connection, candidate, session.id, session.revision + 1)

    def _remember(self, connection: Connection, candidate: Candidate, session: int, revision: int | None) -> None:
        """Note what was taken in, and at which revision of the session."""
        if self.dry_run:
            return
        entry = candidate.entry
        values: dict[str, Any] = {
            "session_id": session,
            "digest": candidate.digest,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "revision": revision,
            "imported_at": time.time(),
            "notes": candidate.image.notes or None,
        }
        this = {"kind": KIND, "origin": self.origin, "item": entry.path.name}
        remember(connection, this, values)


def _skipped(entry: Entry, session_id: str | None, reason: str) -> ImportItem:
    return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=session_id, reason=reason)


def _known(connection: Connection, entry: Entry, origin: str) -> KnownItem | None:
    return known_items(connection, origin, [entry]).get(entry.path.name)


def known_items(connection: Connection, origin: str, entries: Sequence[Entry]) -> dict[str, KnownItem]:
    """Return what the store remembers of some files, by their names."""
    query = (
        select(
            ItemRow.item,
            ItemRow.session_id,
            ItemRow.digest,
            ItemRow.size,
            ItemRow.mtime_ns,
            ItemRow.revision,
            ItemRow.imported_at,
            Session.session_id.label("public_id"),
            Session.deleted_at,
        )
        .outerjoin(Session, ItemRow.session_id == Session.id)
        .where(
            ItemRow.kind == KIND,
            ItemRow.origin == origin,
            ItemRow.item.in_([entry.path.name for entry in entries]),
        )
    )
    return {row.item: KnownItem(**row._mapping) for row in connection.execute(query)}


def _was_purged(connection: Connection, session_id: str) -> bool:
    query = select(RetiredId.session_id).where(RetiredId.session_id == session_id, RetiredId.successor_id.is_(None))
    return connection.execute(query).first() is not None


def _stored_image(connection: Connection, session_id: str) -> SessionImage:
    """Return the store's session as its own export would be imported."""
    unit = SharedConnection(connection)
    record = Sessions(unit).get(session_id)
    documents = Documents(unit).read(session_id)
    data = image.to_json(record, documents, list(Messages(unit).read(session_id)))
    return image.from_json(data, written_at=0.0)
