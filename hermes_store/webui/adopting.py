"""What a live session gets back from its save: what others wrote, and what was made of both sides' changes.

Other threads may have changed the session while it was saved. What they changed stays; where it cannot be joined with
what is adopted, the base keeps its former value, so that the next save compares all three again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InvalidPayloadError
from ..transcripts import encoding
from ..transcripts.merge import merge
from . import field_policy
from .merged_fields import Joined
from .saving import Saved
from .state import digest_of
from .versions import Local


def adopt_fields(values: dict[str, Any], put: Callable[[str, Any], None], local: Local, saved: Saved) -> None:
    """Make the fields that a save merged the live session's.

    Args:
        values: the live session's values.
        put: sets one of them.
    """
    for key, value in saved.fields.adopted.items():
        if key in saved.fields.joined and _join(values.get(key), local.values.get(key), saved.fields.joined[key]):
            continue
        if _is_as_saved(key, values, local):
            put(key, value)
        elif (total := _total(local.copies.get(key), values.get(key), value, key)) is not None:
            put(key, total)
        else:
            _keep(saved, key)
    for key in saved.fields.gone:
        if _is_as_saved(key, values, local):
            values.pop(key, None)
        else:
            _keep(saved, key)


def adopt_messages(live: list[Any], local: Local, saved: Saved) -> None:
    """Make the transcript that a save merged the live session's.

    Args:
        live: its list, which other threads may have changed since: what they appended, removed or edited stays so.
    """
    if saved.transcript is None or saved.transcript.messages is None or local.messages is None:
        return
    before, after = local.messages, saved.transcript.messages
    for place, at in saved.transcript.replaced.items():
        if not _is_message_as_saved(local, at):
            after[place] = before[at]
            _keep_message(saved, place)
    start = live[: len(before)]
    if len(start) == len(before) and all(now is then for now, then in zip(start, before, strict=True)):
        live[: len(before)] = after
        return
    versions = {"local": list(live), "remote": after}
    merged = merge(*([id(message) for message in version] for version in (before, versions["local"], after)))
    for conflict in merged.conflicts:
        after[conflict.remote] = versions["local"][conflict.local]
        _keep_message(saved, conflict.remote)
    live[:] = [versions[source.side][source.position] for source in merged.sources]


def _is_message_as_saved(local: Local, at: int) -> bool:
    try:
        message = encoding.encode_one((local.messages or [])[at])
    except InvalidPayloadError:  # which was not saved
        return False
    return local.encoded is not None and message.digest == local.encoded.digests[at]


def _keep_message(saved: Saved, place: int) -> None:
    """Leave a message that was changed during the save as it is, over one that nobody read."""
    if saved.base.messages is not None and saved.former is not None:
        saved.base.messages[place] = b""
        saved.base.revision = saved.former.revision


def _keep(saved: Saved, key: str) -> None:
    """Leave a value that was changed during the save as it is, over what it was changed from."""
    if saved.former is not None:
        saved.base.restore(key, saved.former)
        saved.base.revision = saved.former.revision


def _is_as_saved(key: str, values: dict[str, Any], local: Local) -> bool:
    """Whether a value is the one that was saved, in all its parts."""
    if key not in values or key not in local.values:
        return key not in values and key not in local.values
    try:
        return digest_of(key, values[key]) == local.digests[key]
    except InvalidPayloadError:  # which was not saved
        return False


def _total(saved: Any, live: Any, adopted: Any, key: str) -> field_policy.Number | None:
    """Return a counter with what was counted during the save; None if the key is not a counter's."""
    return field_policy.add_up(saved, live, adopted) if key in field_policy.COUNTERS else None


def _join(live: Any, saved: Any, joined: Joined) -> bool:
    """Change a list as it was changed in the store, and return whether that is possible."""
    if live is not saved or not isinstance(live, list) or len(live) < joined.length:
        return False
    if joined.places is not None:
        for record in live[joined.start :]:
            joined.places.move_in_place(record)
    live[joined.start : joined.start] = joined.added
    return True
