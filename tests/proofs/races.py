"""Proof: two verbs at once on PostgreSQL leave the data right, at whatever statement one of them is paused.

After both have ended: no id of a purged session is that of a session, nothing is linked in a circle, across profiles or
to what is not there, every session has the messages it counts, and each verb returned or raised one of the library's
errors which is true. None was a deadlock.
"""

from __future__ import annotations

import functools
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from hermes_store import (
    DatabaseError,
    DatabaseLockedError,
    HermesStoreError,
    SessionExistsError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.maintenance import verify
from hermes_store.storage import unused_ids
from hermes_store.webui import SessionStorage, projects
from tests.proofs.result import Result
from tests.support.internals import reading, writing
from tests.support.paused import Pair
from tests.support.postgres import Databases, started_server
from tests.support.threads import together

Verb = Callable[[Store, str], object]


def _create_and_purge(store: Store, of: str) -> None:
    store.sessions.create(session_id=f"{of}-new")
    store.sessions.purge(f"{of}-new")


def _retire(store: Store, of: str) -> None:
    with store.database.write() as unit:
        unused_ids.retire(unit, [f"{of}-new"])


def _save_with_links(store: Store, of: str) -> None:
    storage = SessionStorage(store)
    values, token = storage.load(f"{of}-bottom")
    links = {"parent_session_id": f"{of}-other", "project_id": f"{of}-project", "messages": ["saved"]}
    storage.save(f"{of}-bottom", {**values, **links}, base=token)


def _save_projects(store: Store, of: str) -> None:
    database = store.database
    listed = projects.load(database)
    projects.save(database, [one for one in listed if one["project_id"] != f"{of}-project"], None)


#: By name, what is done to the sessions of `_scene`, whose ids begin with a text.
VERBS: Final[dict[str, Verb]] = {
    "create": lambda store, of: store.sessions.create(
        session_id=f"{of}-new", parent_id=f"{of}-middle", project_id=f"{of}-project"
    ),
    "create and purge": _create_and_purge,
    "retire": _retire,
    "fork": lambda store, of: store.sessions.fork(f"{of}-middle", new_id=f"{of}-new"),
    "fork of child": lambda store, of: store.sessions.fork(f"{of}-bottom", new_id=f"{of}-new"),
    "copy": lambda store, of: SessionStorage(store).copy_as(f"{of}-middle", f"{of}-new"),
    "link up": lambda store, of: store.sessions.update(f"{of}-top", parent_id=f"{of}-other"),
    "link other": lambda store, of: store.sessions.update(f"{of}-other", parent_id=f"{of}-bottom"),
    "link again": lambda store, of: store.sessions.update(f"{of}-bottom", parent_id=f"{of}-middle"),
    "unlink": lambda store, of: store.sessions.update(f"{of}-middle", parent_id=None, project_id=None),
    "move": lambda store, of: store.sessions.update(f"{of}-middle", profile="work"),
    "move top": lambda store, of: store.sessions.update(f"{of}-top", profile="work"),
    "purge": lambda store, of: store.sessions.purge(f"{of}-middle"),
    "purge bottom": lambda store, of: store.sessions.purge(f"{of}-bottom"),
    "purge deleted": lambda store, of: store.sessions.purge_deleted(older_than=0),
    "delete": lambda store, of: store.sessions.delete(f"{of}-middle"),
    "delete empty": lambda store, of: store.sessions.delete_empty(untitled_only=False, older_than=0),
    "delete inactive": lambda store, of: store.sessions.delete_inactive(older_than=0),
    "delete project": lambda store, of: store.projects.delete(f"{of}-project"),
    "into project": lambda store, of: store.sessions.update(f"{of}-bottom", project_id=f"{of}-project"),
    "rename": lambda store, of: store.sessions.change_id(f"{of}-middle", f"{of}-new"),
    "rename back": lambda store, of: store.sessions.change_id(f"{of}-top", f"{of}-before"),
    "save with links": _save_with_links,
    "save of projects": _save_projects,
    "append": lambda store, of: store.messages.append(f"{of}-middle", "one more"),
    "create project": lambda store, of: store.projects.create(name="New", project_id=f"{of}-project-2"),
    "create another project": lambda store, of: store.projects.create(name="New", project_id=f"{of}-project-3"),
    "reorder": lambda store, of: store.projects.reorder([one.project_id for one in store.projects.list().items][::-1]),
}


def _scene(store: Store, of: str) -> None:
    """Make a chain of sessions in a project, and one that is not linked."""
    with store.transaction() as tx:
        tx.projects.create(name="Trip", project_id=f"{of}-project")
        tx.sessions.create(session_id=f"{of}-before", title="Top")
        tx.sessions.change_id(f"{of}-before", f"{of}-top")
        tx.sessions.create(session_id=f"{of}-middle", parent_id=f"{of}-top", project_id=f"{of}-project", title="Middle")
        tx.messages.append(f"{of}-middle", "one")
        tx.sessions.create(session_id=f"{of}-bottom", parent_id=f"{of}-middle")
        tx.sessions.create(session_id=f"{of}-other", title="Other")
        tx.sessions.create(session_id=f"{of}-deleted", parent_id=f"{of}-middle")
        tx.sessions.delete(f"{of}-deleted")


#: What makes the sessions of `_scene`, each for itself.
PARTS: Final[dict[str, Verb]] = {
    "make project": lambda store, of: store.projects.create(name="Trip", project_id=f"{of}-project"),
    "make top": lambda store, of: store.sessions.create(session_id=f"{of}-top", title="Top"),
    "make middle": lambda store, of: store.sessions.create(
        session_id=f"{of}-middle", parent_id=f"{of}-top", project_id=f"{of}-project", title="Middle"
    ),
    "make bottom": lambda store, of: store.sessions.create(session_id=f"{of}-bottom", parent_id=f"{of}-middle"),
    "make other": lambda store, of: store.sessions.create(session_id=f"{of}-other", title="Other"),
}


#: Those that leave little for the others to do, and are tried more rarely.
RARE: Final = {
    *("create and purge", "retire", "move", "move top", "rename"),
    *(
        "save of projects",
        "purge",
        "purge bottom",
        "purge deleted",
        "delete",
        "delete empty",
        "delete inactive",
        "delete project",
    ),
}


def _remove(store: Store, of: str) -> None:
    with writing(store) as connection:
        for table, column in (("sessions", "session_id"), ("projects", "project_id"), ("retired_ids", "session_id")):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} LIKE '{of}-%'"))


#: What must not be there, by what it is: queries that find it.
WRONG: Final = {
    "a purged id lives": "SELECT session_id FROM sessions JOIN retired_ids USING (session_id)",
    "a link leads to another profile": """
        SELECT child.session_id FROM sessions child JOIN sessions parent ON child.parent_id = parent.id
        WHERE child.profile <> parent.profile""",
    "a project is another profile's": """
        SELECT session_id FROM sessions JOIN projects ON sessions.project_id = projects.id
        WHERE sessions.profile <> projects.profile""",
    "links make a circle": """
        WITH RECURSIVE line AS (SELECT id, parent_id FROM sessions
            UNION SELECT line.id, sessions.parent_id FROM line JOIN sessions ON sessions.id = line.parent_id)
        SELECT id FROM line WHERE id = parent_id""",
    "a count is wrong": """
        SELECT session_id FROM sessions
        WHERE message_count <> (SELECT count(*) FROM messages WHERE messages.session_id = sessions.id)
        OR user_message_count <> (
            SELECT count(*) FROM messages WHERE messages.session_id = sessions.id AND role = 'user')""",
    "an id is gone and found": """
        SELECT gone.public_id FROM gone_ids gone
        JOIN sessions found ON found.session_id = gone.public_id AND found.profile = gone.profile
        WHERE gone.kind = 'session' UNION
        SELECT gone.public_id FROM gone_ids gone
        JOIN projects found ON found.project_id = gone.public_id AND found.profile = gone.profile
        WHERE gone.kind = 'project'""",
    "two projects have one position": """
        SELECT position FROM projects GROUP BY profile, position HAVING count(*) > 1""",
}


_USED: Final = "SELECT session_id FROM sessions UNION SELECT session_id FROM retired_ids"


def problems_of(store: Store, outcomes: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong in a database, and with what verbs returned or raised, which are by their names."""
    with reading(store) as connection:
        for problem, query in WRONG.items():
            if connection.execute(sa.text(query)).first() is not None:
                yield problem
        used = set(connection.execute(sa.text(_USED)).scalars())
    for name, outcome in outcomes.items():
        if not isinstance(outcome, Exception):
            continue
        if not isinstance(outcome, HermesStoreError) or type(outcome) is DatabaseError:
            yield f"{name} raised {outcome!r}"
        elif isinstance(outcome, DatabaseLockedError):
            yield f"{name} waited in vain: {outcome}"
        elif isinstance(outcome, SessionExistsError) and outcome.session_id not in used:
            yield f"{name} raised a false {outcome!r}"


def pairs(url: str, names: list[tuple[str, str]], chance: float = 1.0, seed: int = 0) -> Result:
    """Run pairs of verbs, the first of each paused before its first statement, its second, and so on.

    Args:
        url: a migrated database with nothing in it.
        chance: of each statement to be one that is tried.
        seed: of the choice.
    """
    result = Result()
    choice = random.Random(seed)
    numbers = itertools.count()
    pair = Pair(url)
    try:
        for paused, other in names:
            for before in itertools.count(1):
                if choice.random() >= chance:
                    if before > 40:
                        break
                    continue
                of = f"s{next(numbers)}"
                _scene(pair.store, of)
                outcomes = pair.run(
                    lambda store, of=of, verb=VERBS[paused]: verb(store, of),
                    lambda store, of=of, verb=VERBS[other]: verb(store, of),
                    before,
                )
                if outcomes is not None:
                    result.count("runs")
                    named = {paused: outcomes[0], f"{other} meanwhile": outcomes[1]}
                    for problem in problems_of(pair.store, named):
                        result.problems.append(f"{paused} before its statement {before}, {other} meanwhile: {problem}")
                _remove(pair.store, of)
                if outcomes is None:
                    break
    finally:
        pair.close()
    return result


def mix(url: str, *, seconds: float, threads: int, seed: int = 0) -> Result:
    """Let threads run verbs that are chosen at random, on the same few sessions, for some seconds.

    Args:
        url: a migrated database with nothing in it.
        seconds: how long.
        threads: how many.
        seed: of the choices.
    """
    result = Result()
    outcomes: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    numbers = itertools.count()
    names = [*VERBS, *PARTS]
    weights = [1 if name in RARE else 30 if name in PARTS else 10 for name in names]

    with Store.open(url, busy_timeout=60) as store:

        def run(number: int) -> None:
            choice = random.Random(f"{seed} {number}")
            while time.monotonic() < ends:
                turn = next(numbers)
                of = f"m{max(0, turn // 50 - choice.randrange(3))}"
                [name] = choice.choices(names, weights)
                try:
                    {**VERBS, **PARTS}[name](store, of)
                    outcomes[f"{name}: done"] += 1
                except (DatabaseLockedError, UnsupportedDatabaseError) as error:
                    result.problems.append(f"{name}: {error}")
                except HermesStoreError as error:
                    outcomes[f"{name}: refused"] += 1
                    if type(error) is DatabaseError:
                        result.problems.append(f"{name}: {error}")
                except Exception as error:  # whatever it is, it is none of the library's
                    result.problems.append(f"{name}: {error!r}")

        together(*(functools.partial(run, number) for number in range(threads)), seconds=seconds + 120)
        result.problems += problems_of(store, {})
        result.problems += [f"verify: {finding.kind} {finding.problem}" for finding in verify(store).findings]
    result.figures["verbs done"] = sum(count for name, count in outcomes.items() if name.endswith("done"))
    result.figures["verbs refused"] = sum(outcomes.values()) - result.figures["verbs done"]
    result.figures["threads"] = threads
    if not result.figures["verbs done"]:
        result.problems.append("no verb was done")
    never = [name for name in VERBS if not outcomes[f"{name}: done"]]
    result.figures["never done"] = ", ".join(never) or "none"
    return result


@contextmanager
def database() -> Iterator[str]:
    """Give the URL of a new database."""
    with started_server() as server:
        databases = Databases(server)
        try:
            yield databases.make()
        finally:
            databases.close()


def prove(*, seconds: int, seed: int = 0) -> Result:
    """Run all pairs of verbs, and then a mix of them in 16 threads.

    Args:
        seconds: how long the mix takes.
        seed: of the choices.
    """
    with database() as url:
        result = pairs(url, list(itertools.product(VERBS, VERBS)), seed=seed)
    result.figures["pairs"] = len(VERBS) ** 2
    with database() as url:
        result.add(mix(url, seconds=seconds, threads=16, seed=seed))
    return result
