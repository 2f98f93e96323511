"""Documents: other values of a session by key, each written only when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .arguments import check_flag, mapping_of
from .collection import UNCHECKED, Collection, Unchecked, require_current
from .errors import InvalidInputError
from .quoting import quoted, text_of
from .results import WriteResult
from .storage import document_reading, document_rows, session_rows
from .transcripts import json_codec
from .validation import KEY_LIMIT, check_revision
from .webui_format.session_json import DRAFT_KEYS


class Documents(Collection):
    """The documents of sessions: values that are neither fields nor messages, such as ``tool_calls`` and drafts."""

    def read(self, session_id: str, *keys: str) -> dict[str, Any]:
        """Return the values of some keys, or of all keys when none is given. Missing keys are left out.

        Args:
            session_id: the session.
            *keys: text of at most 500 characters each.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidInputError: a key is not valid.
            DatabaseCorruptError: a value is damaged. The error names its key.
        """
        checked = [_checked(name) for name in keys]
        with self._transactions.read() as unit:
            key = self._find(unit, session_id)
            return document_reading.read(unit, key.id, key.session_id, checked or None)

    def put(
        self,
        session_id: str,
        values: Mapping[str, Any],
        *,
        expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED,
        touch: bool = True,
    ) -> WriteResult:
        """Set the values of some keys. Only values that differ, or are damaged in the database, are written.

        The small documents of a session are one row. If this row is damaged, it is replaced by the small ones among
        `values`, and the other small documents are lost.

        Args:
            session_id: the session.
            values: JSON values by key.
            expected_revision: the revision at which the documents were read. Nothing is written if fields or documents
                changed after it.
            touch: set `updated_at` to now, which moves the session to the front of lists.

        Raises:
            InvalidInputError: `values` is not a mapping, or a key is not text of at most 500 characters.
            InvalidPayloadError: a value is not a JSON value.
            StaleSessionError: fields or documents changed after `expected_revision`.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        checked = mapping_of(values, "The values")
        payloads = {(name := _checked(key)): json_codec.encode(value, name) for key, value in checked.items()}
        return self._write(session_id, payloads, (), expected_revision, touch, written=checked)

    def remove(
        self,
        session_id: str,
        *keys: str,
        expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED,
        touch: bool = True,
    ) -> WriteResult:
        """Remove the values of some keys. Keys without a value are ignored.

        Args:
            session_id: the session.
            *keys: text of at most 500 characters each.
            expected_revision, touch: as in `put`.

        Raises:
            DatabaseCorruptError: the small documents are damaged. Nothing was removed.
            StaleSessionError, SessionNotFoundError, SessionDeletedError: as `put`.
        """
        return self._write(session_id, {}, tuple(map(_checked, keys)), expected_revision, touch, written={})

    def _write(
        self,
        session_id: str,
        payloads: Mapping[str, bytes],
        removed: tuple[str, ...],
        expected: int | Literal[Unchecked.UNCHECKED],
        touch: bool,
        *,
        written: Mapping[str, Any],
    ) -> WriteResult:
        check_flag("touch", touch)
        if expected is not UNCHECKED:
            check_revision(expected)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            if expected is not UNCHECKED:
                require_current(key, expected, key.fields_revision, "its fields or documents")
            changed = document_rows.write(unit, key.id, key.session_id, payloads, removed)
            if removed and not changed:  # because there is no such document, or because it cannot be read
                document_reading.read(unit, key.id, key.session_id, removed)
            columns: dict[str, Any] = {}
            if changed and not DRAFT_KEYS.isdisjoint({*payloads, *removed}):
                columns["has_draft"] = document_reading.has_draft(unit, key.id, key.session_id, written)
            revision = session_rows.change(unit, key, columns, fields=True, touch=touch) if changed else key.revision
            return WriteResult(changed=changed, revision=revision)


def _checked(key: Any) -> str:
    plain = text_of(key)
    if plain is not None and len(plain) <= KEY_LIMIT:
        return plain
    raise InvalidInputError(
        f"The key of a session's document must be text of at most {KEY_LIMIT} characters, not {quoted(key)}. "
        "Nothing was written."
    )
