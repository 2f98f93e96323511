"""Shares: frozen copies of conversations, which others read by a token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from .arguments import mapping_of
from .collection import Collection
from .errors import SessionDeletedError, ShareNotFoundError, ShareRevokedError
from .records import Page, Share, ShareRecord
from .storage import message_reading, session_records, share_rows
from .storage.session_keys import SessionKey
from .storage.share_rows import ShareRow
from .storage.unit_of_work import UnitOfWork
from .validation import check_id
from .webui_format import share_json

#: Bytes of chance in a token, as hermes-webui has them.
_TOKEN_BYTES: Final = 18
_NOUN: Final = "share token"


class Shares(Collection):
    """Copies of conversations for people who have a link.

    A copy is frozen: no later change of the conversation changes it. It is gone when its session is purged, and is not
    served while its session is deleted.
    """

    def create(
        self, session_id: str, payload: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> ShareRecord:
        """Create a share of a session, and return it.

        The store does not look for secrets in the text. A server that makes shares public passes a copy from which they
        are removed.

        Args:
            session_id: the session.
            payload: the copy, as a JSON object: `title`, `messages`, `message_count`, and what else readers need. Its
                keys `token`, `source_session_id`, `created_at`, `updated_at` and `revoked_at` do not count. When None,
                it is the session's title and the text of the messages of "user" and "assistant".
            token: what is in the link: 1 to 128 letters, digits, ``_`` and ``-``. When None, one that nobody can guess.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            ShareExistsError: the token is taken.
            InvalidIdError: it cannot be a token.
            InvalidInputError: `payload` is no mapping.
            InvalidPayloadError: a value in it is not a JSON value.
            DatabaseCorruptError: the session's messages are damaged, and no copy was made of them.
        """
        copy = _encoded(payload)
        token = secrets.token_hex(_TOKEN_BYTES) if token is None else check_id(token, _NOUN)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            now = time.time()
            data = share_json.to_json(token, key.session_id, copy or _copy(unit, key), created_at=now, updated_at=now)
            share_rows.add(unit, token, key.id, data, created_at=now, updated_at=now)
            return self._share(unit, token).record

    def refresh(self, token: str, payload: Mapping[str, Any] | None = None) -> ShareRecord:
        """Replace the copy of a share by one of now, under the same token; `payload` as in `create`.

        Raises:
            ShareNotFoundError: there is no such share.
            ShareRevokedError: it is revoked, and stays so.
            SessionDeletedError: its session is deleted.
            InvalidIdError, InvalidInputError, InvalidPayloadError, DatabaseCorruptError: as `create`.
        """
        token, copy = check_id(token, _NOUN), _encoded(payload)
        with self._transactions.write() as unit:
            share = _served(self._share(unit, token, lock=True))
            now = max(time.time(), share.updated_at)  # the clock may have been set back
            times = {"created_at": share.created_at, "updated_at": now}
            copy = copy or _copy(unit, self._find(unit, share.session_id))
            data = share_json.to_json(token, share.session_id, copy, **times)
            share_rows.replace(unit, share.id, data, updated_at=now)
            return self._share(unit, token).record

    def get(self, token: str) -> Share:
        """Return a share with its copy, to be served.

        Raises:
            ShareNotFoundError: there is no such share, or its session was purged.
            ShareRevokedError: it is revoked.
            SessionDeletedError: its session is deleted.
            DatabaseCorruptError: the copy is damaged.
        """
        token = check_id(token, _NOUN)
        with self._transactions.read() as unit:
            share = _served(self._share(unit, token))
            payload = share_json.copy_in(share_rows.read(unit, share))
        return Share.from_trusted({**share.record.__dict__, "payload": payload})

    def list(
        self,
        session_id: str | None = None,
        *,
        profile: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[ShareRecord]:
        """Return a page of shares without their copies, the newest first. Revoked ones are among them.

        Those of deleted sessions are left out.

        Args:
            session_id: only those of this session.
            profile: only those of this profile's sessions; of all when None.
            limit: how many at most, 1 to 1000.
            after: `Page.next` of the page before.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError, InvalidInputError: an argument is not valid.
        """
        profile = self._own_profile(profile)
        with self._transactions.read() as unit:
            session = None if session_id is None else self._find(unit, session_id).id
            return share_rows.page(unit, profile, session, limit, after)

    def revoke(self, token: str) -> ShareRecord:
        """Revoke a share, and return it: it is served no more. One that is revoked already is not changed.

        Raises:
            ShareNotFoundError: there is no such share.
        """
        token = check_id(token, _NOUN)
        with self._transactions.write() as unit:
            share = self._share(unit, token, lock=True)
            if share.revoked_at is None:
                share_rows.revoke(unit, share.id, time.time())
            return self._share(unit, token).record

    def delete(self, token: str) -> None:
        """Remove a share for good, with its copy. An import does not bring it back.

        Raises:
            ShareNotFoundError: there is no such share.
        """
        token = check_id(token, _NOUN)
        with self._transactions.write() as unit:
            share_rows.remove(unit, self._share(unit, token, lock=True).id)
            unit.erase()

    def _share(self, unit: UnitOfWork, token: str, *, lock: bool = False) -> ShareRow:
        share = share_rows.find(unit, token, lock=lock)
        if share is None or self._scope not in (None, share.profile):
            raise ShareNotFoundError(token)
        return share


def _served(share: ShareRow) -> ShareRow:
    if share.revoked_at is not None:
        raise ShareRevokedError(share.token)
    if share.deleted_at is not None:
        raise SessionDeletedError(share.session_id)
    return share


def _encoded(payload: Any) -> bytes | None:
    return None if payload is None else share_json.encode_copy(mapping_of(payload, "The values of a copy"))


def _copy(unit: UnitOfWork, key: SessionKey) -> bytes:
    """Return the JSON of the copy that is made of a session when none is given."""
    count = key.message_count
    rows = message_reading.fetch(unit, key.id, key.session_id, start=0, stop=count, count=count)
    title = session_records.get_existing(unit, key.session_id).title
    return share_json.encode_copy(share_json.snapshot(title, message_reading.decode(key.session_id, rows, 0)))
