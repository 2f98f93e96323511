"""What saving and listing cost, in statements and in instructions of SQLite's virtual machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.encodings import encoded_by
from tests.support.internals import store_of
from tests.support.statements import executed, rows_written, vm_steps
from tests.support.webui.sessions import said, stored

pytestmark = pytest.mark.slow

FEW, MANY = 10, 2000
Make = Callable[[int], WebUIModels]


@pytest.fixture(scope="module")
def among(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Give the functions over a store with so many sessions."""
    folder, made = tmp_path_factory.mktemp("costs"), dict[int, WebUIModels]()
    with ExitStack() as stack:

        def make(count: int) -> WebUIModels:
            if count not in made:
                path = shutil.copy(sqlite_template, folder / f"{count}.db")
                store = stack.enter_context(Store.open(path, durability="normal"))
                made[count] = WebUIModels(store, last_workspace=lambda: "/srv")
                with store.transaction() as tx:
                    for number in range(count):
                        tx.sessions.create(session_id=f"s{number}", title=f"Session {number}")
                        tx.messages.extend(f"s{number}", said("hello", "hi"))
            return made[count]

        yield make


def append_one(models: WebUIModels, session_id: str) -> Callable[[], None]:
    """Return what appends a message to a session of twenty, and saves it."""
    session = models.get_session(stored(models, session_id, *map(str, range(20)), tool_calls=[1]))

    def work() -> None:
        session.messages.append({"role": "user", "content": "one more"})
        session.save()

    return work


def rename(models: WebUIModels, session_id: str) -> Callable[[], None]:
    """Return what renames a session of which only the metadata was read."""
    session = models.Session.load_metadata_only(stored(models, session_id, *map(str, range(20))))
    names = iter(["One", "Two", "Six"])
    assert session is not None

    def work() -> None:
        session.title = next(names)
        session.save()

    return work


@pytest.mark.parametrize("what", [append_one, rename])
def test_a_save_costs_the_same_among_many_sessions(
    among: Make, what: Callable[[WebUIModels, str], Callable[[], None]]
) -> None:
    def cost(count: int) -> tuple[list[str], int]:
        models = among(count)
        work = what(models, what.__name__)
        statements = [text for text, _ in executed(store_of(models), work)]
        return statements, vm_steps(store_of(models), work)

    assert cost(FEW) == cost(MANY)


def test_appended_message_costs_the_same_in_any_session(among: Make) -> None:
    """But for the pass over its messages that finds what changed, which the database has no part in."""
    models = among(FEW)

    def steps(session_id: str, length: int) -> tuple[list[str], int]:
        session = models.get_session(stored(models, session_id, *map(str, range(length))))

        def work() -> None:
            session.messages.append({"role": "user", "content": "one more"})
            session.save()

        return [text for text, _ in executed(store_of(models), work)], vm_steps(store_of(models), work)

    assert steps("short", 20) == steps("long", 3000)


@pytest.mark.parametrize("change", ["append", "rename", "edit"])
def test_messages_that_did_not_change_are_not_encoded(among: Make, change: str) -> None:
    models = among(FEW)
    session = models.get_session(stored(models, f"long-{change}", *map(str, range(1000)), tool_calls=[1]))
    for message in session.messages:
        message["timestamp"] = 1.7e9
    session.save()
    changes: dict[str, Callable[[], object]] = {
        "append": lambda: session.messages.append({"role": "user", "content": "one more"}),
        "rename": lambda: setattr(session, "title", f"not {session.title}"),
        "edit": lambda: session.messages[-1].update(content=f"not {session.title}"),
    }
    for _ in range(3):
        changes[change]()
        assert len(encoded_by(session.save)) < 40
    assert encoded_by(session.is_dirty)
    assert not [data for data in encoded_by(session.is_dirty) if b"content" in data]


def test_a_rename_touches_no_message(among: Make) -> None:
    models = among(FEW)
    work = rename(models, "renamed")
    statements = executed(store_of(models), work)
    assert not [text for text, _ in statements if "messages" in text or "message_blobs" in text]
    assert rows_written(store_of(models), work) == 1
    assert store_of(models).messages.count("renamed") == 20


def test_appending_a_message_writes_three_rows(among: Make) -> None:
    models = among(FEW)
    assert rows_written(store_of(models), append_one(models, "appended")) == 3  # its body is a row of its own


def test_saving_only_a_new_time_writes_one_row(among: Make) -> None:
    models = among(FEW)
    session = models.get_session(stored(models, "same", "hello", tool_calls=[1], x_more={"a": 1}))
    assert rows_written(store_of(models), session.save) == 1
    assert rows_written(store_of(models), lambda: session.save(touch_updated_at=False)) == 0


@pytest.mark.parametrize("cached", [False, True])
def test_listing_executes_the_same_statements_among_many_sessions(among: Make, cached: bool) -> None:
    def statements(count: int) -> list[str]:
        models = among(count)
        for number in range(5 if cached else 0):
            models.get_session(f"s{number}")
        models.all_sessions()
        unchanged = [text for text, _ in executed(store_of(models), models.all_sessions)]
        models.Session.load("s7").save()
        return [*unchanged, "", *(text for text, _ in executed(store_of(models), models.all_sessions))]

    assert statements(FEW) == statements(MANY)
    # The numbers of changes in three, what is gone, and what changed; then the rows of these in two.
    assert statements(MANY).index("") == 5
    assert len(statements(MANY)) == 5 + 1 + 7


def test_a_first_list_is_six_statements(among: Make) -> None:
    first = WebUIModels(store_of(among(MANY)))
    assert len(executed(store_of(first), first.all_sessions)) == 6


def test_looking_at_a_cached_session_is_one_statement(among: Make) -> None:
    models = among(MANY)
    models.get_session("s1")
    assert len(executed(store_of(models), lambda: models.get_session("s1"))) == 1


def test_metadata_is_one_row(among: Make) -> None:
    models = among(MANY)
    assert len(executed(store_of(models), lambda: models.Session.load_metadata_only("s7"))) == 1
