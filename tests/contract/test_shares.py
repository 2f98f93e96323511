"""Shares: frozen copies of conversations, each under its token."""

from __future__ import annotations

import re

import pytest

from hermes_store import (
    DatabaseCorruptError,
    InvalidCursorError,
    InvalidIdError,
    InvalidInputError,
    InvalidPayloadError,
    SessionDeletedError,
    SessionNotFoundError,
    ShareExistsError,
    ShareNotFoundError,
    ShareRevokedError,
    Store,
)
from tests.support.internals import writing
from tests.support.tables import all_rows

COPY = {"title": "Trip", "messages": [{"role": "user", "content": "half \ud83d\x00"}], "message_count": 1, "z": None}


def test_a_share_has_the_copy_that_was_given(store: Store, session_id: str) -> None:
    made = store.shares.create(session_id, {**COPY, "token": "other", "source_session_id": "x", "revoked_at": 1})
    assert (made.session_id, made.revoked_at) == (session_id, None)
    assert made.created_at == made.updated_at > 0
    share = store.shares.get(made.token)
    assert share.payload == COPY
    assert [*share.payload] == [*COPY]
    assert share.model_dump(exclude={"payload"}) == made.model_dump()


def test_tokens_cannot_be_guessed(store: Store, session_id: str) -> None:
    tokens = {store.shares.create(session_id, {}).token for _ in range(20)}
    assert len(tokens) == 20
    # Letters and digits only: a command line takes a token that begins with "-" for an option.
    assert all(re.fullmatch(r"[0-9a-f]{36}", token) for token in tokens)


def test_a_copy_is_frozen_and_has_only_text(store: Store, session_id: str) -> None:
    store.messages.extend(
        session_id,
        [
            {"role": "user", "content": " hi ", "timestamp": 5.0, "attachments": ["/home/u/a.png"]},
            {"role": "system", "content": "secret"},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "input": "secret"}]},
            {"role": "assistant", "content": {"secret": 1}, "reasoning": "secret"},
            {"role": "tool", "content": "secret"},
            "secret",
        ],
    )
    token = store.shares.create(session_id).token
    store.messages.append(session_id, {"role": "user", "content": "later"})
    store.sessions.update(session_id, title="Later")
    messages = [{"role": "user", "content": "hi", "timestamp": 5.0}, {"role": "assistant", "content": "a"}]
    assert store.shares.get(token).payload == {"title": "Trip", "messages": messages, "message_count": 2}
    refreshed = store.shares.refresh(token)
    assert refreshed.updated_at >= refreshed.created_at
    payload = store.shares.get(token).payload
    assert (payload["title"], payload["message_count"]) == ("Later", 3)
    store.shares.refresh(token, COPY)
    assert store.shares.get(token).payload == COPY


def test_a_revoked_share_stays_revoked(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    revoked = store.shares.revoke(token)
    assert revoked.revoked_at is not None
    assert store.shares.revoke(token) == revoked
    with pytest.raises(ShareRevokedError, match="is revoked"):
        store.shares.get(token)
    with pytest.raises(ShareRevokedError):
        store.shares.refresh(token)
    assert store.shares.list().items == [revoked]


def test_shares_of_a_deleted_session_are_not_served(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    store.sessions.delete(session_id)
    for verb in (store.shares.get, store.shares.refresh):
        with pytest.raises(SessionDeletedError):
            verb(token)
    assert store.shares.list().items == []
    store.sessions.restore(session_id)
    assert store.shares.get(token).payload == COPY
    store.sessions.delete(session_id)
    store.shares.revoke(token)
    store.sessions.restore(session_id)
    with pytest.raises(ShareRevokedError):
        store.shares.get(token)


def test_purging_a_session_removes_its_shares(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    store.sessions.purge(session_id)
    with pytest.raises(ShareNotFoundError):
        store.shares.get(token)
    rows = all_rows(store)
    assert (rows["shares"], rows["share_payloads"]) == ([], [])


def test_a_deleted_share_is_gone(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    store.shares.delete(token)
    assert all_rows(store)["share_payloads"] == []
    for verb in (store.shares.get, store.shares.refresh, store.shares.revoke, store.shares.delete):
        with pytest.raises(ShareNotFoundError, match=f"no share '{token}'"):
            verb(token)


def test_a_taken_token_is_refused(store: Store, session_id: str) -> None:
    store.shares.create(session_id, COPY, token="t")
    before = all_rows(store)
    with pytest.raises(ShareExistsError):
        store.shares.create(session_id, {}, token="t")
    with pytest.raises(ShareExistsError):
        store.profile("work").shares.create(
            store.sessions.create(session_id="w", profile="work").session_id, {}, token="t"
        )
    store.sessions.purge("w")
    assert all_rows(store)["shares"] == before["shares"]
    assert store.shares.get("t").payload == COPY


def test_wrong_arguments_of_shares_are_refused(store: Store, session_id: str) -> None:
    before = all_rows(store)
    with pytest.raises(InvalidIdError, match="share token"):
        store.shares.create(session_id, {}, token="../evil")
    with pytest.raises(InvalidIdError):
        store.shares.get("")
    with pytest.raises(InvalidInputError):
        store.shares.create(session_id, [1])  # type: ignore[arg-type]
    with pytest.raises(InvalidPayloadError, match=r"copy\.a\[0\]"):
        store.shares.create(session_id, {"a": [{1}]})
    with pytest.raises(SessionNotFoundError):
        store.shares.create("nobody", {})
    with pytest.raises(SessionNotFoundError):
        store.shares.list(session_id="nobody")
    with pytest.raises(InvalidCursorError):
        store.shares.list(after="x")
    assert all_rows(store) == before


def test_lists_of_shares_are_in_pages(store: Store, session_id: str) -> None:
    other = store.sessions.create(session_id="other", profile="work").session_id
    made = [store.shares.create(other if n % 2 else session_id, {}) for n in range(5)]
    newest = sorted(made, key=lambda one: (one.created_at, one.token), reverse=True)
    first = store.shares.list(limit=3)
    second = store.shares.list(limit=3, after=first.next)
    assert [*first.items, *second.items] == newest
    assert second.next is None
    assert store.shares.list(session_id=other).items == [one for one in newest if one.session_id == other]
    assert store.shares.list(profile="work").items == store.profile("work").shares.list().items
    assert {one.session_id for one in store.shares.list(profile="work").items} == {other}


def test_a_share_follows_a_renamed_session(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    store.sessions.change_id(session_id, "renamed")
    assert store.shares.get(token).session_id == "renamed"


def test_damaged_copies_are_reported_and_can_be_replaced(store: Store, session_id: str) -> None:
    token = store.shares.create(session_id, COPY).token
    with writing(store) as connection:
        connection.exec_driver_sql("DELETE FROM share_payloads")
    with pytest.raises(DatabaseCorruptError, match="is missing"):
        store.shares.get(token)
    assert len(store.shares.list().items) == 1
    store.shares.refresh(token, COPY)
    with writing(store) as connection:
        connection.exec_driver_sql("UPDATE shares SET digest = share_payloads.payload FROM share_payloads")
    with pytest.raises(DatabaseCorruptError, match="not what was written"):
        store.shares.get(token)
    store.shares.delete(token)
