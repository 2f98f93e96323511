"""Export of shares as the files that hermes-webui serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DatabaseCorruptError
from ..records import ShareRecord
from ..reports import ExportProblem
from ..storage import share_rows
from ..store import Store
from ..webui_format import share_json
from .directory import SHARES
from .json_text import json_text
from .open_folder import PrivateFolder
from .share_parsing import SUFFIX


def write_shares(store: Store, path: Path) -> tuple[int, list[ExportProblem]]:
    """Write the shares of sessions that are not deleted; make no folder if there are none.

    Args:
        path: the folder of shares.

    Returns:
        How many were written, and what could not be.
    """
    shares, problems = _shares(store)
    if not shares and not path.exists():
        return 0, problems
    written: set[str] = set()
    with PrivateFolder(path) as folder:
        for share in shares:
            name = f"{share.token}{SUFFIX}"
            try:
                data = _read(store, share.token)
            except DatabaseCorruptError as error:
                problems.append(ExportProblem(session_id=share.session_id, reason=str(error)))
                continue
            if data is not None:
                folder.write(name, json_text(data))
                written.add(name)
        for name in sorted(set(folder.names()) - written):
            if name.endswith(SUFFIX):
                reason = f"{SHARES}/{name} is of an earlier export and was not written by this one"
                problems.append(ExportProblem(session_id=None, reason=reason))
        folder.sync()
    return len(written), problems


def _shares(store: Store) -> tuple[list[ShareRecord], list[ExportProblem]]:
    shares: list[ShareRecord] = []
    after: str | None = None
    try:
        while True:
            page = store.shares.list(limit=1000, after=after)
            shares += page.items
            after = page.next
            if after is None:
                return shares, []
    except DatabaseCorruptError as error:
        return shares, [ExportProblem(session_id=None, reason=f"not all shares can be read: {error}")]


def _read(store: Store, token: str) -> dict[str, Any] | None:
    """Return the object of a share's file; None if the share is gone by now, or its session deleted."""
    with store.database.read() as unit:
        share = share_rows.find(unit, token)
        if share is None or share.deleted_at is not None:
            return None
        data = share_rows.read(unit, share)
    return share_json.to_file(data, share.token, share.session_id, share.revoked_at)
