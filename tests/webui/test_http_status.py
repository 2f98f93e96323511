"""The HTTP status of each error, in the program and on the page that shows them."""

from __future__ import annotations

import inspect
import re

import pytest

from hermes_store import DatabaseFullError, SessionDeletedError, SessionNotFoundError, StaleSessionError, Store, errors
from hermes_store.webui import http_status
from hermes_store.webui.statuses import STATUSES
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "adopting-in-hermes-webui.md").read_text(encoding="utf-8")
CLASSES = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HermesStoreError)}


def test_every_error_has_a_considered_status() -> None:
    assert set(STATUSES) == CLASSES
    assert set(STATUSES.values()) == {400, 404, 409, 410, 423, 500, 503, 507}


def test_the_page_shows_the_status_of_every_error() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", PAGE, re.MULTILINE)
    shown = {name: int(status) for status, names in rows for name in re.findall(r"`(\w+)`", names)}
    # Those that are not shown are 500, as the page says.
    assert shown == {kind.__name__: status for kind, status in STATUSES.items() if status != 500}


def test_errors_of_calls_become_their_status(sqlite_store: Store) -> None:
    session_id = sqlite_store.sessions.create(title="Trip").session_id
    with pytest.raises(StaleSessionError) as stale:
        sqlite_store.messages.replace(session_id, [], expected_revision=9)
    sqlite_store.sessions.delete(session_id)
    with pytest.raises(SessionDeletedError) as deleted:
        sqlite_store.sessions.get(session_id)
    with pytest.raises(SessionNotFoundError) as missing:
        sqlite_store.sessions.get("nobody")
    assert [http_status(one.value) for one in (stale, deleted, missing)] == [409, 410, 404]


def test_other_errors_are_those_of_the_server() -> None:
    class OurError(DatabaseFullError):
        """A subclass of the caller's."""

    assert http_status(OurError("full")) == 507
    for error in (KeyError("x"), ValueError("x"), KeyboardInterrupt(), Exception()):
        assert http_status(error) == 500
