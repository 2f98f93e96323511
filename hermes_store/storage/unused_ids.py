"""The ids that no session has or had: retiring them, so that no session gets them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

from ..errors import SessionExistsError
from . import retired_ids, session_rows
from .row_locks import Reserved
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork


def retire(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Retire those of some ids that no session has or had, as if it was purged; return them.

    So an import of a session that was deleted elsewhere does not bring it here.
    """
    unit.reserve(Reserved.SESSIONS)
    retired = retired_ids.unused_among(unit, session_ids)
    now = time.time()
    for session_id in sorted(retired):
        # Another process may retire it, or create a session of that id, at this moment: then that is how it is.
        with contextlib.suppress(SessionExistsError, *INTEGRITY_ERRORS), unit.savepoint():
            # A session of the id, for a moment: then nobody else is creating one.
            session_rows.remove_row(unit, session_rows.add(unit, session_id, {"created_at": now, "updated_at": now}))
            retired_ids.retire(unit, session_id, successor=None)
    return retired
