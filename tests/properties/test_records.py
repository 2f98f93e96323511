"""Records that are built without validation are the same as those that Pydantic builds."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hermes_store import AppendResult, MessagePage, Page, ProjectRecord, SessionRecord, Store
from hermes_store.record_base import Record
from tests.support.json_values import any_text, json_values

KINDS: list[type[Record]] = [SessionRecord, ProjectRecord, Page[SessionRecord], MessagePage, AppendResult]
values_of = {
    kind: st.fixed_dictionaries({name: st.one_of(st.none(), any_text, json_values) for name in kind.model_fields})
    for kind in KINDS
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_trusted_record_is_what_pydantic_constructs(kind: type[Record], data: st.DataObject) -> None:
    drawn = data.draw(values_of[kind])
    values: dict[str, Any] = {
        name: drawn[name] for name in kind.model_fields
    }  # in their order, as the library passes them
    trusted, constructed = kind.from_trusted(dict(values)), kind.model_construct(**values)
    assert repr(trusted) == repr(constructed)
    if "nan" not in repr(values):  # which differs from itself
        assert trusted == constructed
        assert constructed == trusted
        assert trusted.model_dump(warnings=False) == constructed.model_dump(warnings=False) == values
        assert copy.deepcopy(trusted) == trusted
        assert pickle.loads(pickle.dumps(trusted)) == constructed
    assert trusted.model_fields_set == constructed.model_fields_set
    assert (trusted.model_extra, trusted.__pydantic_private__) == (constructed.model_extra, None)


def _page(**changes: Any) -> Page[int]:
    return Page[int].from_trusted({"items": [1, 2], "next": None, "total": None, **changes})


def test_trusted_records_are_frozen_and_can_be_copied() -> None:
    page = _page()
    with pytest.raises(ValidationError, match="frozen"):
        page.next = "cursor"
    changed = page.model_copy(update={"total": 5})
    assert (changed.total, page.total) == (5, None)
    assert changed == _page(total=5)
    assert page != changed
    assert copy.copy(page) == page


def test_a_trusted_record_hashes_as_a_constructed_one() -> None:
    values: dict[str, Any] = {"first_position": 0, "last_position": 1, "message_count": 2, "revision": 3}
    trusted, constructed = AppendResult.from_trusted(dict(values)), AppendResult.model_construct(**values)
    assert hash(trusted) == hash(constructed) == hash(AppendResult(**values))
    assert {trusted, constructed} == {AppendResult(**values)}
    with pytest.raises(TypeError, match="unhashable"):
        hash(_page())


def test_a_stores_records_keep_the_declared_field_order(store: Store) -> None:
    project = store.projects.create(name="Work")
    session = store.sessions.create(title="Trip")
    result = store.messages.append(session.session_id, "hi")
    records: list[Record] = [
        *(project, session, result),
        *(store.sessions.list(), store.projects.list(), store.sessions.list_deleted()),
        store.messages.tail(session.session_id),
    ]
    assert [list(record.__dict__) for record in records] == [list(type(record).model_fields) for record in records]


def test_trusted_records_share_nothing_that_can_be_changed() -> None:
    one, other = _page(), _page()
    one.model_fields_set.clear()
    assert other.model_fields_set == {"items", "next", "total"}


def test_records_of_rows_are_those_of_their_values() -> None:
    rows: list[tuple[Any, ...]] = [(0, 1, 2, 3, "more"), (4, 5, 6, 7, "more")]
    values = [dict(zip(AppendResult.model_fields, row, strict=False)) for row in rows]
    records = AppendResult.from_rows(rows)
    assert records == [AppendResult(**one) for one in values]
    assert [record.model_dump(exclude_unset=True) for record in records] == values
    assert (records[0].model_extra, records[0].model_copy(update={"revision": 9}).revision) == (None, 9)
