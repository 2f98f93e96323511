"""Database targets in messages: what `Store.open` was given, without passwords. Nothing else writes a URL."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .quoting import quoted, text_of

_SCHEME: Final = re.compile(r"([A-Za-z][\w+]*)://")
#: What hosts (several, with commas), users and databases consist of; a part of a password may have anything in it.
_PLAIN: Final = re.compile(r"[\w.,:/\\ \[\]%-]*")


def shown(target: Any) -> str:
    """Return a path, or a URL without its password and its parameters, for a message.

    A URL of which it is not clear where the password ends (it has an ``@`` in it, or cannot be parsed) is shown as its
    scheme alone.
    """
    if isinstance(target, URL):
        return _shown_url(target)
    text = text_of(target)
    if text is not None and "://" in text:
        return _shown_text(text)
    if isinstance(target, str | bytes | os.PathLike):
        try:
            return os.fsdecode(target)
        except Exception:  # whatever the path object raises
            return quoted(target)
    return quoted(target)


def _shown_text(target: str) -> str:
    scheme = _SCHEME.match(target)
    if scheme is None:
        return "…"
    if target.count("@") <= 1:
        # One that cannot be parsed (the port is no number, for example) is shown without what may be a password.
        with contextlib.suppress(ArgumentError, ValueError):
            return _shown_url(make_url(target))
    return f"{scheme[1]}://…"


def _shown_url(url: URL) -> str:
    hosts = url.query.get("host", ())
    host = url.host or ",".join(one for one in ((hosts,) if isinstance(hosts, str) else hosts) if "/" not in one)
    database = url.database or ""
    if not (_PLAIN.fullmatch(host) and _PLAIN.fullmatch(database)):
        return f"{url.drivername}://…"
    user = f"{url.username}@" if url.username and re.fullmatch(r"[\w.-]+", url.username) else ""
    port = "" if url.port is None else f":{url.port}"
    if url.host and ":" in url.host:
        host = f"[{host}]"
    return f"{url.drivername}://{user}{host}{port}/{database}"
