"""Shares: copies of conversations that others can read with a token."""

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

#: Random bytes in a token, as many as hermes-webui uses.
_TOKEN_BYTES: Final = 18
_NOUN: Final = "share token"


class Shares(Collection):
    """Copies of conversations for people who have a link.

    Later changes of the conversation do not change the copy. While the session is deleted, the copy cannot be read. A
    purge of the session removes it.
    """

    def create(
        self, session_id: str, payload: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> ShareRecord:
        """Create a share of a session, and return it.

        Secrets in the text are not removed. A server that publishes shares has to remove them and pass the result as
        `payload`.

        Args:
            session_id: the session.
            payload: the copy, as a JSON object: `title`, `messages`, `message_count`, and other values for readers. The
                keys `token`, `source_session_id`, `created_at`, `updated_at` and `revoked_at` in it are ignored. When
                None, the copy is the session's title and the text of the messages with the role "user" or "assistant".
            token: the text in the link: 1 to 128 letters, digits, ``_`` and ``-``. 36 random hexadecimal
                digits when None.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            ShareExistsError: the token is in use.
            InvalidIdError: the token is not valid.
            InvalidInputError: `payload` is no mapping.
            InvalidPayloadError: a value in it is not a JSON value.
            DatabaseCorruptError: the session's messages are damaged. No share was created.
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
        """Replace the copy of a share by a new copy of its session, and return the share.

        Args:
            token: the token of the share.
            payload: as in `create`.

        Raises:
            ShareNotFoundError: no share has this token (in this profile).
            ShareRevokedError: the share is revoked.
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
        """Return a share with its copy.

        Raises:
            ShareNotFoundError: no share has this token (in this profile), or its session was purged.
            ShareRevokedError: the share is revoked.
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
        """Return a page of shares without their copies, the newest first.

        Revoked shares are included. Shares of deleted sessions are not.

        Args:
            session_id: only shares of this session; of all when None.
            profile: only shares of sessions of this profile; of all when None.
            limit: the largest number of shares to return, 1 to 1000.
            after: `Page.next` of the previous page.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError, InvalidInputError: an argument is not valid.
        """
        profile = self._own_profile(profile)
        with self._transactions.read() as unit:
            session = None if session_id is None else self._find(unit, session_id).id
            return share_rows.page(unit, profile, session, limit, after)

    def revoke(self, token: str) -> ShareRecord:
        """Revoke a share, and return it. Its copy cannot be read any more. A revoked share is not changed.

        Raises:
            ShareNotFoundError: no share has this token (in this profile).
        """
        token = check_id(token, _NOUN)
        with self._transactions.write() as unit:
            share = self._share(unit, token, lock=True)
            if share.revoked_at is None:
                share_rows.revoke(unit, share.id, time.time())
            return self._share(unit, token).record

    def delete(self, token: str) -> None:
        """Remove a share and its copy permanently. Imports do not create it again.

        Raises:
            ShareNotFoundError: no share has this token (in this profile).
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
