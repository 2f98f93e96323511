"""Taking one session file in: what the store has of it, what follows, and doing that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from .. import rows, transcript
from ..database import SharedConnection
from ..documents import Documents
from ..ledger import remember
from ..messages import Messages
from ..reports import ImportItem, Outcome
from ..sessions import Sessions
from ..tables import ImportItem as ItemRow
from ..tables import RetiredId, Session, SessionDocument
from . import image
from .directory import Entry
from .image import SessionImage
from .projects import ProjectImport

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
    #: When it was read.
    read_at: float
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


class SessionIntake:
    """Brings the store up to session files, one by one."""

    def __init__(self, *, projects: ProjectImport, origin: str, prefer: Prefer, dry_run: bool) -> None:
        self._projects = projects
        self._origin = origin
        self._prefer = prefer
        self._dry_run = dry_run
        #: What a dry run would have made so far.
        self._would_be: dict[str, SessionImage] = {}

    def take_in(self, connection: Connection, candidate: Candidate, known: KnownItem | None) -> ImportItem:
        """Bring the store up to a session file, as far as that is right, and say how it ended.

        Args:
            known: what the store remembers of the file.
        """
        if known is not None and known.session_id is None:
            return _skipped(candidate.entry, candidate.session_id, "it was purged from the store")
        session = self._find(connection, candidate, known)
        if session is None:
            return self._new(connection, candidate)
        if session.deleted_at is not None:
            return _skipped(candidate.entry, session.session_id, "it is deleted in the store")
        if known is not None and known.digest == candidate.digest:
            self._remember(connection, candidate, session.id, known.revision, new=False)
            return candidate.item(Outcome.UNCHANGED, session_id=session.session_id)
        return self._reconcile(connection, candidate, session, known)

    def _new(self, connection: Connection, candidate: Candidate) -> ImportItem:
        if _was_purged(connection, candidate.session_id):
            return _skipped(candidate.entry, candidate.session_id, "it was purged from the store")
        rival = self._would_be.get(candidate.session_id)
        if rival is not None:
            return self._against(candidate, rival, candidate.session_id)
        project = self._projects.link(connection, candidate.image)
        if self._dry_run:
            self._would_be[candidate.session_id] = candidate.image
        else:
            self._create(connection, candidate, project)
        return candidate.item(Outcome.RECOVERED if candidate.damage else Outcome.IMPORTED, candidate.damage or "")

    def _against(self, candidate: Candidate, other: SessionImage, session_id: str) -> ImportItem:
        """Say how a file ends whose session is in the store, and not from this file."""
        if other.same_content(candidate.image):
            return candidate.item(Outcome.UNCHANGED, session_id=session_id)
        if candidate.damage is not None:
            return candidate.item(Outcome.CONFLICT, f"{candidate.damage}; the store's copy was kept", session_id)
        if self._prefer == "files":
            return candidate.item(Outcome.UPDATED, session_id=session_id)
        reason = "the store's session is not from this file; the store's copy was kept"
        return candidate.item(Outcome.CONFLICT, reason, session_id)

    def _reconcile(
        self,
        connection: Connection,
        candidate: Candidate,
        session: Row[*tuple[Any, ...]],
        known: KnownItem | None,
    ) -> ImportItem:
        """Decide between a file and the store's session that are not known to be the same."""
        ends = self._against(candidate, _stored_image(connection, session.session_id), session.session_id)
        if ends.outcome is Outcome.UNCHANGED:
            self._remember(connection, candidate, session.id, session.revision, new=known is None)
            return ends
        if candidate.damage is not None:
            return ends
        untouched = known is not None and known.revision == session.revision
        if not untouched and self._prefer == "store":
            if known is None:
                return ends
            reason = "both were changed since the last import; the store's copy was kept"
            return candidate.item(Outcome.CONFLICT, reason, session.session_id)
        project = self._projects.link(connection, candidate.image)
        if not self._dry_run:
            self._overwrite(connection, candidate, session, project, new=known is None)
        return candidate.item(Outcome.UPDATED, session_id=session.session_id)

    def _find(
        self, connection: Connection, candidate: Candidate, known: KnownItem | None
    ) -> Row[*tuple[Any, ...]] | None:
        """Return the store's session for a file: the one it became, whatever that is called now."""
        query = _by_public_id if known is None else _by_row_id
        key = candidate.session_id if known is None else known.session_id
        # A dry run may not lock rows, and need not.
        return connection.execute(query if self._dry_run else query.with_for_update(), {"key": key}).one_or_none()

    def _create(self, connection: Connection, candidate: Candidate, project: int | None) -> None:
        made = candidate.image
        columns = {**made.columns, "session_id": candidate.session_id, "project_id": project}
        session = connection.execute(_insert_session, columns).scalar_one()
        rows.insert_messages(connection, session, dict(enumerate(made.messages)))
        rows.insert_documents(connection, session, made.documents)
        self._remember(connection, candidate, session, revision=1, new=True)

    def _overwrite(
        self,
        connection: Connection,
        candidate: Candidate,
        session: Row[*tuple[Any, ...]],
        project: int | None,
        *,
        new: bool,
    ) -> None:
        made = candidate.image
        values = {**made.columns, "project_id": project, "parent_id": None, "revision": session.revision + 1}
        connection.execute(update(Session).where(Session.id == session.id).values(values))
        rows.write_transcript(connection, session.id, made.messages)
        gone = SessionDocument.key.not_in(list(made.documents))
        connection.execute(delete(SessionDocument).where(SessionDocument.session_id == session.id, gone))
        rows.write_documents(connection, session.id, made.documents)
        self._remember(connection, candidate, session.id, session.revision + 1, new=new)

    def _remember(
        self, connection: Connection, candidate: Candidate, session: int, revision: int | None, *, new: bool
    ) -> None:
        """Note what was taken in, and at which revision of the session."""
        if self._dry_run:
            return
        entry = candidate.entry
        remember(
            connection,
            KIND,
            self._origin,
            entry.path.name,
            new=new,
            session_id=session,
            digest=candidate.digest,
            size=entry.size,
            mtime_ns=entry.mtime_ns,
            revision=revision,
            imported_at=candidate.read_at,
            notes=candidate.image.notes,
        )


_insert_session: Final = insert(Session).returning(Session.id)
_key_columns: Final = (Session.id, Session.session_id, Session.revision, Session.deleted_at)
_by_row_id: Final = select(*_key_columns).where(Session.id == bindparam("key"))
_former: Final = select(RetiredId.successor_id).where(RetiredId.session_id == bindparam("key")).scalar_subquery()
_by_public_id: Final = select(*_key_columns).where((Session.session_id == bindparam("key")) | (Session.id == _former))
_purged: Final = select(RetiredId.session_id).where(
    RetiredId.session_id == bindparam("key"), RetiredId.successor_id.is_(None)
)


def _skipped(entry: Entry, session_id: str | None, reason: str) -> ImportItem:
    return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=session_id, reason=reason)


_known_items: Final = (
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
        ItemRow.origin == bindparam("origin"),
        ItemRow.item.in_(bindparam("names", expanding=True)),
    )
)


def known_items(connection: Connection, origin: str, entries: Sequence[Entry]) -> dict[str, KnownItem]:
    """Return what the store remembers of some files, by their names."""
    names = [entry.path.name for entry in entries]
    found = connection.execute(_known_items, {"origin": origin, "names": names})
    return {row.item: KnownItem(**row._mapping) for row in found}


def _was_purged(connection: Connection, session_id: str) -> bool:
    return connection.execute(_purged, {"key": session_id}).first() is not None


def _stored_image(connection: Connection, session_id: str) -> SessionImage:
    """Return the store's session as its own export would be imported."""
    unit = SharedConnection(connection)
    record = Sessions(unit).get(session_id)
    data = image.to_json(record, Documents(unit).read(session_id), [])
    messages = transcript.encode_and_release(Messages(unit).read(session_id))
    del data["messages"]
    return image.from_json(data, messages, written_at=0.0)
