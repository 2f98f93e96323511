"""Every kind of row that the first release could make, for `make_0001.py`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from odd_values import DLE, HALF, LARGE, LINES, MESSAGES, NUL, ODD_KEYS, QUOTES, SCRIPTS, SIZED, VALUES

import hermes_store
from hermes_store import Store
from hermes_store.files import import_directory

EXAMPLE_HOME = Path(hermes_store.__file__).parents[1] / "examples" / "hermes-home"
#: Names of profiles are any text.
ODD_PROFILE = f"odd {HALF} {NUL} {DLE}"
TIMES = {"created_at": 1778458282.125, "updated_at": 1778459001.5}


def fill(store: Store, folder: Path) -> None:
    """Fill an empty store; what is imported is copied to `folder` first."""
    _projects(store)
    _sessions(store)
    _messages(store)
    _documents(store)
    _imports(store, folder)
    _ids(store)


def _projects(store: Store) -> None:
    for number, name in enumerate(("Plain", HALF, NUL, DLE, LINES, QUOTES, SCRIPTS, "n" * 128, "\ud83d" * 128)):
        colour = None if number % 2 else "#7aa2f7"
        store.projects.create(name=name, color=colour, project_id=f"project-{number}", created_at=1778458000.0 + number)
    for profile in ("work", ODD_PROFILE):
        store.projects.create(name=f"Of {profile}", profile=profile, project_id=f"of-{len(profile)}", color="#abcdef12")
    store.projects.create(name="Gone", project_id="project-gone")
    store.projects.reorder([f"project-{n}" for n in (3, 1, 2, 0, 4, 5, 6, 7, 8)] + ["project-gone"])


def _sessions(store: Store) -> None:
    create = store.sessions.create
    create(session_id="blank", **TIMES)
    create(session_id="blank-archived", archived=True, **TIMES)
    create(session_id="blank-deleted", **TIMES)
    create(session_id="streaming", active_stream_id="stream-1", pending_started_at=1778459000.25, **TIMES)
    create(session_id="titled-empty", title="No messages", **TIMES)
    create(session_id="without-title", title="", **TIMES)
    create(session_id="pinned", title="Pinned", pinned=True, project_id="project-0", **TIMES)
    create(session_id="archived", title="Archived", archived=True, project_id="project-1", **TIMES)
    create(session_id="both", title="Pinned and archived", pinned=True, archived=True, **TIMES)
    create(session_id="deleted", title="Deleted", project_id="project-0", **TIMES)
    create(session_id="project-gone", title="Its project is gone", project_id="project-gone", **TIMES)
    create(
        session_id="every-field",
        title="\ud83d" * 500,
        workspace=f"/home/ada/{HALF}",
        model=NUL,
        personality=DLE,
        profile="work",
        project_id="of-4",
        input_tokens=2**63 - 1,
        output_tokens=-(2**63),
        estimated_cost=0.1 + 0.2,
        compression_anchor_visible_idx=2**53 + 1,
        compression_anchor_message_key={"role": HALF, "ts": 1778458282, "deep": [[[]]]},
        active_stream_id=QUOTES,
        pending_started_at=-1.5,
        source=SCRIPTS,
        forked_at=0,
        **TIMES,
    )
    create(session_id="same-times-1", title="Same times", profile=ODD_PROFILE, source="cli", **TIMES)
    create(session_id="same-times-2", title="Same times", profile=ODD_PROFILE, source="cli", **TIMES)
    create(session_id="telegram", title="From elsewhere", source="telegram", archived=True, **TIMES)
    create(session_id="falsy-anchor", title=LINES, compression_anchor_message_key=0, estimated_cost=0.0, **TIMES)
    for name in ("parent", "parent-deleted", "parent-purged"):
        create(session_id=name, title=name, **TIMES)
        create(session_id=f"fork-of-{name}", title="Fork", parent_id=name, forked_at=2, **TIMES)
    create(session_id="fork-of-fork", title="Fork", parent_id="fork-of-parent", forked_at=1, **TIMES)
    create(session_id="moved", title="Moved", parent_id="parent", project_id="project-2", **TIMES)
    store.sessions.update("moved", profile="work")
    store.projects.delete("project-gone")
    # The sequences have gaps at their ends, too.
    store.projects.create(name="Last", project_id="project-last", profile="work")
    store.projects.delete("project-last")


def _messages(store: Store) -> None:
    append, read, sessions = store.messages.append, store.messages.read, ("parent", "pinned", "archived", "deleted")
    for session in sessions:
        append(session, [{"role": "user", "content": f"{n}", "timestamp": 1778458282 + n} for n in range(4)])
    store.sessions.create(session_id="all-messages", title="Messages of all kinds", **TIMES)
    append("all-messages", MESSAGES)
    for name in ("edited", "truncated", "emptied", "replaced"):
        store.sessions.create(session_id=name, title=name, **TIMES)
        append(name, [{"role": "user", "content": f"{name} {n}", "timestamp": 1778458282 + n} for n in range(8)])
    store.messages.update("edited", 3, [HALF, -0.0], expected_revision=read("edited").revision)
    store.messages.update("edited", 7, {"content": "edited"}, expected_revision=read("edited").revision)
    store.messages.truncate("truncated", keep=5)
    append("truncated", {"role": "assistant", "content": NUL})
    store.messages.truncate("emptied", keep=0)
    transcript = read("replaced")
    revision = transcript.revision
    parts = [transcript[6], "inserted", *transcript[1:4], {"role": "user", "content": "new"}, transcript[0], None]
    store.messages.replace("replaced", parts, expected_revision=revision)


def _documents(store: Store) -> None:
    for name, values in {
        "documents-sized": SIZED,
        "documents-large": LARGE,
        "documents-small": {f"small_{n:02}": {"n": n, "text": "é" * n} for n in range(60)},
        "documents-small-but-much": {f"bulk_{n:02}": f"{n:02}" * 900 for n in range(24)},
        "documents-odd-keys": ODD_KEYS,
        "documents-values": VALUES,
        "documents-mixed": {"small": 1, "large": "x" * 5000},
        "documents-removed": {"small": 1, "large": "x" * 5000},
        "documents-one-null": {"nothing": None},
        "documents-deleted": {**SIZED, "small": HALF},
    }.items():
        store.sessions.create(session_id=name, title=name, **TIMES)
        store.documents.put(name, values)
    store.documents.put("documents-mixed", {"small": "now large " + "x" * 3000, "large": "now small"})
    store.documents.remove("documents-removed", "small", "large")
    store.documents.put("pinned", {"composer_draft": {"text": SCRIPTS, "files": []}})
    store.documents.put("blank", {"composer_draft": {"text": "of a blank one", "files": []}})
    # A document under the name of a field, as an import leaves it: it goes when the field is set.
    originals: dict[str, Any] = {"title": 7, "estimated_cost": float("nan"), "source_tag": None, "message_count": -1}
    store.documents.put("parent", originals)
    store.documents.put("archived", {**originals, "parent_session_id": "nobody", "project_id": {"no": "id"}})
    store.sessions.update("archived", title="Archived, and named again")


def _imports(store: Store, folder: Path) -> None:
    home, files = folder / "hermes-home", folder / "json-files"
    import_directory(store, files)
    import_directory(store, home)
    # A file that the store knows by another id, and is looked at again.
    import_directory(store, home)
    store.agent(home / "state.db").import_sessions()
    store.agent(home / "state.db", store_profile="work").import_sessions(source="cron", include=["cron"])
    store.sessions.update("0dd000000012", title="Changed here")
    store.messages.append("0dd000000012", {"role": "user", "content": "said here"})
    copies = [one.session_id for one in store.sessions.iterate() if store.documents.read(one.session_id, "_cli_origin")]
    changed, deleted, purged = sorted(copies)[:3]
    store.messages.append(changed, {"role": "user", "content": "said here"})
    store.sessions.delete(deleted)
    store.sessions.purge(purged)
    store.projects.delete("0dd0000000ee")


def _ids(store: Store) -> None:
    for name in ("blank-deleted", "deleted", "parent-deleted", "documents-deleted", "0dd000000011"):
        store.sessions.delete(name)
    store.sessions.purge("parent-purged")
    store.sessions.purge("0dd000000010")
    store.sessions.create(session_id="renamed-1", title="Renamed twice", **TIMES)
    store.sessions.change_id("renamed-1", "renamed-2")
    store.sessions.change_id("renamed-2", "renamed-3")
    store.sessions.create(session_id="there-1", title="Renamed there and back", **TIMES)
    store.sessions.change_id("there-1", "there-2")
    store.sessions.change_id("there-2", "there-1")
    store.sessions.create(session_id="renamed-then-purged", title="Gone", **TIMES)
    store.sessions.change_id("renamed-then-purged", "purged-under-this")
    store.sessions.purge("purged-under-this")
    store.sessions.change_id("0dd000000004", "0dd000000004-renamed")
    store.sessions.create(session_id="restored", title="Deleted and restored", **TIMES)
    store.sessions.delete("restored")
    store.sessions.restore("restored")
    store.sessions.create(session_id="last", title="The highest row id is of no row")
    store.messages.append("last", [1, 2, 3])
    store.sessions.purge("last")


def copy_sources(folder: Path, json_files: Path) -> None:
    """Copy what is imported to `folder`."""
    shutil.copytree(EXAMPLE_HOME, folder / "hermes-home")
    shutil.copytree(json_files, folder / "json-files")
