"""Calls with hostile values to what else is public than a store's verbs: the agent's bridge, files, opening, the WebUI.

Each surface yields calls. One is wrong if it raises anything but an error of this library's, if it leaves something
written after it was refused, or if what it stored is not read back equal.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermes_store import AgentBridge, HermesStoreError, Store, conversations, maintenance
from hermes_store.agent.bridge import degrade
from hermes_store.agent.combined_listing import list_combined
from hermes_store.files import (
    export_directory,
    import_directory,
    purge_deleted_with_files,
    remove_imported_files,
)
from hermes_store.quoting import number_of
from hermes_store.transcripts import json_codec
from hermes_store.webui import SessionStorage, WebUIModels, shared_store
from hermes_store.webui_format.session_json import COUNTS, SESSION_KEYS
from tests.support.agent.home import NAS, make_home
from tests.support.hostile_values import HOSTILE
from tests.support.state_dir import StateDir

#: Paths in the folder of a scene at which is no file that anybody can use.
NO_FILES = ("pipe", "directory", "file", "loop", "file/below")


@dataclass
class Call:
    """A call with one hostile value: what is called, with which value where, and what else it may raise."""

    name: str
    value_name: str
    run: Callable[[], object]
    allowed: tuple[type[Exception], ...] = ()
    #: Whether nothing may be written when it is refused; it looks at that itself if not.
    is_one_write: bool = True


@dataclass
class Scene:
    """A folder with a store, a home of the agent's, a state directory, and paths that are no files."""

    folder: Path
    store: Store
    #: A connection of its own to the store's file.
    outside: sqlite3.Connection

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator[Scene]:
        with tempfile.TemporaryDirectory() as name, Store.open(f"{name}/hermes.db", durability="normal") as store:
            folder = Path(name)
            make_home(folder / "home")
            StateDir(folder / "state").session("a", "hi")
            os.mkfifo(folder / "pipe")
            (folder / "directory").mkdir()
            (folder / "file").write_bytes(b"no database")
            (folder / "loop").symlink_to("loop")
            store.projects.create(name="P", project_id="p")
            store.sessions.create(session_id="s", title="Trip")
            store.messages.extend("s", [{"role": "user", "content": "hi"}])
            here = Path.cwd()
            os.chdir(folder)  # where a path that is taken for one is written
            try:
                with contextlib.closing(sqlite3.connect(folder / "hermes.db", isolation_level=None)) as outside:
                    outside.execute("PRAGMA foreign_keys = ON")
                    yield cls(folder, store, outside)
            finally:
                os.chdir(here)

    def paths(self) -> dict[str, Callable[[], Any]]:
        """Return hostile values for an argument that is a path."""
        return {**HOSTILE, **{name: lambda name=name: str(self.folder / name) for name in NO_FILES}}

    def clear(self) -> None:
        """Remove what calls left, so that the next one finds few rows."""
        self.outside.execute("BEGIN IMMEDIATE")
        self.outside.execute("DELETE FROM sessions WHERE session_id <> 's'")
        self.outside.execute("DELETE FROM projects WHERE project_id <> 'p'")
        self.outside.execute("DELETE FROM retired_ids")
        self.outside.execute("DELETE FROM import_items")
        self.outside.execute("COMMIT")

    @property
    def version(self) -> object:
        """What is another one once anything was committed by the store."""
        return self.outside.execute("PRAGMA data_version").fetchone()

    def is_usable(self) -> bool:
        """Whether the store goes on as before."""
        self.store.messages.append("s", "afterwards")
        self.store.messages.truncate("s", keep=1, expected_revision=self.store.sessions.get("s").revision)
        return self.store.messages.read("s") == [{"role": "user", "content": "hi"}]


Surface = Callable[[Scene], Iterator[Call]]


def _each(  # noqa: PLR0917 - what is called, and how it is judged
    name: str,
    function: Callable[..., Any],
    fitting: dict[str, Any],
    values: Callable[[str], dict[str, Callable[[], Any]]],
    allowed: tuple[type[Exception], ...] = (),
    is_one_write: bool = True,
) -> Iterator[Call]:
    """Yield a call for each value in each argument; the other arguments fit."""
    for argument in fitting:
        for value_name, make in values(argument).items():

            def run(argument: str = argument, make: Callable[[], Any] = make) -> object:
                return function(**{**{key: one for key, one in fitting.items() if one is not ...}, argument: make()})

            yield Call(f"{name}({argument})", value_name, run, allowed, is_one_write)


def _plain(_: str) -> dict[str, Callable[[], Any]]:
    return HOSTILE


# ── The surfaces ──


def bridges(scene: Scene) -> Iterator[Call]:
    """Yield calls of `AgentBridge` itself, with the read that looks at its arguments."""

    def read(**arguments: Any) -> object:
        bridge = AgentBridge(**arguments)
        return bridge.path, bridge.sessions(limit=1)

    home = str(scene.folder / "home")
    fitting: dict[str, Any] = {"home": home, "profile": ..., "busy_timeout": ..., "deadline": ..., "foreign_owner": ...}
    fitting |= {"store": ..., "store_profile": ..., "path": ...}
    yield from _each("AgentBridge", read, fitting, lambda name: scene.paths() if name in ("path", "home") else HOSTILE)


def bridge_verbs(scene: Scene) -> Iterator[Call]:
    """Yield calls of every verb of a bridge."""
    bridge = AgentBridge(home=scene.folder / "home", store=scene.store)
    verbs = {name for name, _ in inspect.getmembers(AgentBridge, inspect.isfunction) if not name.startswith("_")}
    assert verbs == {*_BRIDGE_VERBS, "info"}, "a new verb: say what fits it"
    for verb, fitting in _BRIDGE_VERBS.items():
        yield from _each(f"AgentBridge.{verb}", getattr(bridge, verb), fitting, _plain)
    yield from _each("degrade", degrade, {"otherwise": None, "callback": list}, lambda _: {"None": lambda: list})
    combined = {"store": scene.store, "bridge": bridge, "limit": ..., "after": ..., "profile": ..., "source": ...}
    yield from _each("list_combined", list_combined, {**combined, "include_empty": ...}, _plain)


_BRIDGE_VERBS: dict[str, dict[str, Any]] = {
    "sessions": {"limit": 1, "after": ..., "source": ..., "include": ..., "since": ..., "until": ...},
    "find": {"prefix": NAS, "limit": ...},
    "session": {"session_id": NAS},
    "get_many": {"session_ids": [NAS]},
    "messages": {"session_id": NAS, "after": ..., "limit": 1, "include_rewound": ..., "lineage": ...},
    "import_session": {"session_id": NAS},
    "import_sessions": {"source": "nowhere", "include": ..., "on_progress": ...},
    "delete_session": {"session_id": NAS, "dry_run": True, "force": ...},
}


def files(scene: Scene) -> Iterator[Call]:
    """Yield calls of the imports and exports."""

    def values(name: str) -> dict[str, Callable[[], Any]]:
        return scene.paths() if name == "path" else HOSTILE

    incoming = {"store": scene.store, "path": str(scene.folder / "state"), "prefer": ..., "dry_run": ...}
    yield from _each(
        "import_directory", import_directory, {**incoming, "max_file_size": ..., "on_progress": ...}, values
    )
    target = scene.folder / "out"

    def export(**arguments: Any) -> object:
        shutil.rmtree(target, ignore_errors=True)
        return export_directory(**arguments)

    yield from _each(
        "export_directory", export, {"store": scene.store, "path": str(target), "on_progress": ...}, values
    )
    purging = {"store": scene.store, "older_than": 1e9, "profile": ..., "limit": ..., "sessions_folder": ...}
    yield from _each("purge_deleted_with_files", purge_deleted_with_files, purging, lambda _: HOSTILE)
    removing = {"store": scene.store, "session_id": "s", "sessions_folder": ...}
    yield from _each(
        "remove_imported_files",
        remove_imported_files,
        removing,
        lambda name: scene.paths() if name == "sessions_folder" else HOSTILE,
    )


def tools(scene: Scene) -> Iterator[Call]:
    """Yield calls of the tools for those who look after a database."""
    names = {name for name in maintenance.__all__ if name[0].islower()}
    known = {"backup", "compact", "copy", "doctor", "reindex", "repair", "restore_backup", "salvage", "verify"}
    assert names == known, "a new tool: say what fits it"
    backing_up = {"store": scene.store, "target": str(scene.folder / "directory"), "keep": 1, "on_progress": ...}
    yield from _each(
        "backup", maintenance.backup, backing_up, lambda name: scene.paths() if name == "target" else HOSTILE
    )
    verifying = {"store": scene.store, "on_progress": ...}
    yield from _each("verify", maintenance.verify, verifying, _plain)
    yield from _each("reindex", maintenance.reindex, verifying, _plain)
    maintenance.backup(scene.store, scene.folder / "backup")
    restoring = {"backup": str(scene.folder / "backup"), "target": str(scene.folder / "new.db"), "on_progress": ...}
    restoring["dry_run"] = ...

    def values(name: str) -> dict[str, Callable[[], Any]]:
        return HOSTILE if name in ("on_progress", "dry_run") else scene.paths()

    yield from _each("restore_backup", maintenance.restore_backup, restoring, values)
    examining = {"target": str(scene.folder / "hermes.db"), "home": str(scene.folder / "state"), "on_progress": ...}
    yield from _each("doctor", maintenance.doctor, examining, values)
    repairing = {"target": str(scene.folder / "backup"), "dry_run": ..., "on_progress": ...}
    yield from _each("repair", maintenance.repair, repairing, values)
    copying = {"source": str(scene.folder / "backup"), "target": str(scene.folder / "copy.db"), "on_progress": ...}
    yield from _each("copy", maintenance.copy, copying, values)
    salvaging = {"damaged": str(scene.folder / "backup"), "new": str(scene.folder / "salvaged.db"), "on_progress": ...}
    yield from _each("salvage", maintenance.salvage, salvaging, values)
    yield from _each("compact", maintenance.compact, {"store": scene.store, "on_progress": ...}, _plain)


def pages(scene: Scene) -> Iterator[Call]:
    """Yield calls of what writes conversations, with a hostile session, and with a hostile value in each place."""
    assert set(conversations.__all__) == {"to_html", "to_markdown"}, "a new function: say what fits it"
    for write in (conversations.to_html, conversations.to_markdown):
        yield from _each(write.__name__, write, {"session": ...}, _plain)
        for name in ("title", "model", "created_at", "messages"):
            use = functools.partial(lambda write, name, value: write({name: value}), write, name)
            yield from _each(f"{write.__name__} of {name}", use, {"value": ...}, _plain)
        for name in ("role", "content", "timestamp", "tool_calls", "attachments", "reasoning", "name"):
            use = functools.partial(lambda write, name, value: write({"messages": [{name: value}]}), write, name)
            yield from _each(f"{write.__name__} of a message's {name}", use, {"value": ...}, _plain)


def opening(scene: Scene) -> Iterator[Call]:
    """Yield calls of `Store.open`, with each of its keywords, and of `shared_store`."""
    fitting = dict.fromkeys(inspect.signature(Store.open).parameters, ...)

    def open_and_use(**arguments: Any) -> None:
        with Store.open(**{"target": ":memory:", **arguments}) as store:
            store.sessions.list()

    def values(name: str) -> dict[str, Callable[[], Any]]:
        return scene.paths() if name == "target" else HOSTILE

    yield from _each("Store.open", open_and_use, fitting, values)
    yield from _each("shared_store", lambda target: shared_store(target).close(), {"target": ...}, values)
    yield from _each("Store.profile", scene.store.profile, {"name": ...}, values)


def models(scene: Scene) -> Iterator[Call]:
    """Yield calls of `WebUIModels` itself, with uses that look at its arguments."""

    def use(**arguments: Any) -> None:
        made = WebUIModels(**{"store": scene.store, **arguments})
        live = made.new_session()
        made.get_session(live.session_id)
        made.all_sessions()
        made.load_projects()
        made.get_cli_sessions()
        made.cleanup_sessions()
        made.discard_session(live.session_id)

    parameters = inspect.signature(WebUIModels.__init__).parameters
    fitting = {name: ... for name in parameters if name != "self"}
    yield from _each("WebUIModels", use, fitting, _plain, is_one_write=False)
    called = set(fitting) - {"store", "cache", "lock"}
    for name in sorted(called):  # what is called each time it is needed
        for value_name, make in (scene.paths() if name in ("session_dir", "hermes_home") else HOSTILE).items():
            call = functools.partial(use, **{name: make})
            yield Call(f"WebUIModels({name} returns)", value_name, call, is_one_write=False)


_MODEL_VERBS: dict[str, dict[str, Any]] = {
    "get_session": {"sid": "s", "metadata_only": ...},
    "new_session": {"workspace": ..., "model": ..., "profile": ...},
    "save_projects": {"projects_": ...},
    "import_cli_session": {
        "session_id": "cli",
        "title": "T",
        "messages": [],
        "model": ...,
        "profile": ...,
        "created_at": ...,
        "updated_at": ...,
    },
    "get_cli_sessions": {"source_filter": ..., "all_profiles": ...},
    "get_cli_session_messages": {"sid": NAS, "profile": ..., "details": ...},
    "delete_cli_session": {"sid": "nobody", "profile": ...},
    "delete_session": {"sid": "nobody"},
    "discard_session": {"sid": "nobody"},
    "cleanup_sessions": {"zero_only": ...},
    "unassign_project": {"project_id": "p"},
    "rotate_session_id": {"old": "nobody", "new": "new"},
    "title_from": {"messages": [], "fallback": ...},
}
#: Those without an argument, and those for what is inside.
_OTHERS = {"all_sessions", "load_projects", "import_status"}
_INSIDE = {"database", "session_dir", "import_new_files", "wait_for_import", "save_failed", "save_succeeded"}


def model_verbs(scene: Scene) -> Iterator[Call]:
    """Yield calls of every function of `WebUIModels`, and of its class of live sessions."""
    cache: OrderedDict[str, Any] = OrderedDict()
    made = WebUIModels(scene.store, cache=cache, hermes_home=lambda: scene.folder / "home")
    verbs = {name for name, _ in inspect.getmembers(made, callable) if not name.startswith("_")}
    assert verbs - {"Session", "default_model", "default_workspace"} == {*_MODEL_VERBS, *_OTHERS, *_INSIDE}
    for verb, fitting in _MODEL_VERBS.items():
        # (hermes-webui's own error of `get_session` for what is not there)
        allowed = (KeyError,) if verb == "get_session" else ()
        yield from _each(f"WebUIModels.{verb}", _listing(made, cache, getattr(made, verb)), fitting, _plain, allowed)
    yield from _each("Session.load", _listing(made, cache, made.Session.load), {"sid": "s"}, _plain)
    yield from _each("Session.load_metadata_only", made.Session.load_metadata_only, {"sid": "s"}, _plain)
    names = [name for name in inspect.signature(made.Session.__init__).parameters if name not in ("self", "others")]

    def save(**arguments: Any) -> None:
        session = made.Session(**arguments)
        session.save()
        require_equal(made, session, arguments)
        scene.store.sessions.purge(session.session_id)

    yield from _each("Session", save, {**dict.fromkeys(names, ...), "custom": ...}, _plain)

    def save_some(**arguments: Any) -> None:
        session = made.Session.load("s")
        assert session is not None
        session.save(**arguments)

    yield from _each("Session.save", save_some, {"only": ...}, _plain)


_STORAGE_VERBS: dict[str, dict[str, Any]] = {
    "load": {"session_id": "s"},
    "load_metadata": {"session_id": "s"},
    "exists": {"session_id": "s"},
    "is_deleted": {"session_id": "s"},
    "ids": {"profile": ...},
    "revision": {"session_id": "s"},
    "revisions": {"session_ids": ["s"]},
    "rows": {"keys": ["title"], "where": ..., "order": ..., "profile": ...},
    "contents": {"session_ids": ["s"], "first": ...},
    "search": {"words": "a", "profile": ..., "limit": ...},
    "children": {"session_id": "s"},
    "save": {"session_id": "s", "values": {}, "messages": ..., "base": ..., "only": {"x"}, "touch": ...},
    "append": {"session_id": "s", "messages": [], "base": ..., "touch": ...},
    "copy_as": {"session_id": "s", "new_id": "copy"},
    "fork": {"session_id": "s", "at": ..., "title": ..., "new_id": "fork"},
    "rename_id": {"session_id": "nobody", "new_id": "new"},
    "delete": {"session_id": "nobody"},
    "discard": {"session_id": "nobody"},
    "import_folder": {"folder": "nowhere"},
}


def storage(scene: Scene) -> Iterator[Call]:
    """Yield calls of every verb of `SessionStorage`, and saves of every value, which are read again."""
    made = SessionStorage(scene.store)
    verbs = {name for name, _ in inspect.getmembers(made, inspect.ismethod) if not name.startswith("_")}
    assert verbs == _STORAGE_VERBS.keys(), "a new verb: say what fits it"

    def call(verb: str, **arguments: Any) -> object:
        with scene.store.snapshot() as before:
            messages = before.messages.read("s")
        if verb in ("save", "append"):
            arguments = {"base": made.load("s")[1], **arguments}
        try:
            return getattr(made, verb)(**arguments)
        finally:
            if scene.store.messages.read("s") != messages:
                revision = scene.store.sessions.get("s").revision
                scene.store.messages.replace("s", messages, expected_revision=revision)

    for verb, fitting in _STORAGE_VERBS.items():
        values = {"folder": scene.paths()}
        use = functools.partial(call, verb)
        writes = verb not in ("save", "append", "copy_as", "fork")
        yield from _each(
            f"SessionStorage.{verb}", use, fitting, lambda name, own=values: own.get(name, HOSTILE), (), writes
        )
    yield from _each("SessionStorage", lambda store: SessionStorage(store).ids(), {"store": ...}, _plain)

    def save(**values: Any) -> None:
        made.save("new", values, base=None)
        try:
            loaded, token = made.load("new")
            (row,) = made.rows(list(values), where={"session_id": "new"})
            for name, value in values.items():
                for stored in (loaded[name], row[name]):
                    if stored != number_of(value) and json_codec.encode(stored) != json_codec.encode(value):
                        raise AssertionError(f"another value was stored: {stored!r:.100}")
            made.save("new", loaded, base=token, touch=False)
            if made.revision("new") != token.revision:
                raise AssertionError("something was written that was not changed")
        finally:
            scene.store.sessions.purge("new")
            scene.clear()

    names = [
        name
        for name in SESSION_KEYS
        if name not in ("session_id", "messages", "created_at", "updated_at", "profile", "project_id")
    ]
    yield from _each("SessionStorage.save of", save, dict.fromkeys([*names, "custom"], ...), _plain)


def _listing(made: WebUIModels, cache: OrderedDict[str, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that lists the sessions after each call: what was stored breaks no list."""

    def call(**arguments: Any) -> Any:
        try:
            result = function(**arguments)
            made.all_sessions()
            return result
        finally:
            cache.clear()

    return call


def attributes(scene: Scene) -> Iterator[Call]:
    """Yield assignments to the attributes of live sessions, with a list before and after the save, and a reload."""
    cache: OrderedDict[str, Any] = OrderedDict()
    made = WebUIModels(scene.store, cache=cache)
    for name in [*SESSION_KEYS, "custom", "parent_session_id", "source_tag", *COUNTS]:
        for value_name, make in HOSTILE.items():
            call = functools.partial(_assign, scene, made, cache, name, make)
            yield Call(f"Session.{name} =", value_name, call, is_one_write=False)


def _assign(scene: Scene, made: WebUIModels, cache: OrderedDict[str, Any], name: str, make: Callable[[], Any]) -> None:
    """Assign a value to a new live session, list it, save it, list it again, and read it."""
    live = made.new_session()
    session_id, value = live.session_id, make()
    try:
        setattr(live, name, value)
        made.all_sessions()
        live.compact()
        try:
            live.save()
        except HermesStoreError as error:
            if scene.store.sessions.get(session_id).revision != 1:
                raise AssertionError("half written") from error
        else:
            made.all_sessions()
            require_equal(made, live, {name: value})
        cache.clear()
        made.all_sessions()
    finally:
        cache.clear()
        scene.store.sessions.purge(session_id)
        with contextlib.suppress(HermesStoreError):
            if type(live.session_id) is str and live.session_id != session_id:
                scene.store.sessions.purge(live.session_id)


def require_equal(made: WebUIModels, session: Any, values: dict[str, Any]) -> None:
    """Require that a session has these values when it is read again."""
    again = made.Session.load(session.session_id)
    for name, value in values.items():
        if name in ("updated_at", *COUNTS, "workspace") or _is_left_out(name, value):
            continue
        stored = getattr(again, name)
        if stored != number_of(value) and json_codec.encode(stored) != json_codec.encode(value):
            raise AssertionError(f"another value was stored: {stored!r:.100}")


def _is_left_out(name: str, value: Any) -> bool:
    """Whether a new session has something else for such a value, as in hermes-webui."""
    try:
        empty = not value
    except RuntimeError:
        return False
    defaults = ("session_id", "messages", "tool_calls", "project_id", "input_tokens", "output_tokens")
    flags = ("pinned", "archived", "created_at", "pending_attachments", "profile", "parent_session_id")
    return (empty and name in (*defaults, *flags)) or name in ("pinned", "archived")


SURFACES: dict[str, Surface] = {
    "AgentBridge": bridges,
    "verbs of AgentBridge": bridge_verbs,
    "files": files,
    "maintenance": tools,
    "conversations": pages,
    "Store.open": opening,
    "SessionStorage": storage,
    "WebUIModels": models,
    "functions of WebUIModels": model_verbs,
    "attributes of live sessions": attributes,
}


def problems(
    surface: str, tried: Callable[[str], Collection[str]] | None = None
) -> tuple[int, dict[tuple[str, str], str]]:
    """Make all calls of a surface; return how many there were, and what was wrong.

    Args:
        tried: the names of the values that are tried in a place, which it is given; by default all are.
    """
    count, found = 0, {}
    with Scene.made() as scene:
        for call in SURFACES[surface](scene):
            if tried is not None and call.value_name not in tried(call.name):
                continue
            count += 1
            before = scene.version
            problem = _problem(scene, call)
            if scene.version != before:
                scene.clear()
            if problem:
                found[call.name, call.value_name] = problem
        if not scene.is_usable():
            found["afterwards", ""] = "the store is not usable"
    return count, found


def _problem(scene: Scene, call: Call) -> str:
    before = scene.version
    try:
        call.run()
    except (HermesStoreError, *call.allowed):
        if call.is_one_write and scene.version != before:
            return "half written"
    except Exception as error:  # the subject
        if _is_the_callers(call, error):
            return ""
        return f"{type(error).__name__}: {str(error)[:100]}"
    return ""


def _is_the_callers(call: Call, error: Exception) -> bool:
    """Whether the error was raised by the caller's own generator or function."""
    of_function = call.value_name in ("function", "type") and isinstance(error, TypeError)
    return of_function or (call.value_name == "raising generator" and "no more of it" in str(error))


if __name__ == "__main__":  # python -m tests.support.hostile_surfaces [SURFACE …]
    for name in sys.argv[1:] or SURFACES:
        calls, wrong = problems(name)
        print(f"{name}: {calls} calls, {len(wrong)} wrong")
        kinds = Counter((where, what) for (where, _), what in wrong.items())
        for (where, what), number in kinds.items():
            values = [value for (one, value), problem in wrong.items() if (one, problem) == (where, what)]
            print(f"  {where}: {what} ({number}: {', '.join(values)})")
