"""A stand-in of the part of the WebUI that `WebUIModels` asks: its settings, streams, and table of live sessions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.webui import WebUIModels


@dataclass
class WebUI:
    """What the WebUI knows, changeable while `models` exists."""

    store: Store
    home: Path
    session_dir: Path | None = None
    homes: dict[str, Path] = field(default_factory=dict)
    cache: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    cache_size: int = 100
    streams: set[str] = field(default_factory=set)
    model: str = "openai/gpt-5"
    default_workspace: str = "/srv/default"
    last_workspace: str = "/srv/last"
    profile: str | None = "default"

    def models(self) -> WebUIModels:
        """Return the functions over the store, as a process of the WebUI has them."""
        return WebUIModels(
            lambda: self.store,
            cache=self.cache,
            lock=self.lock,
            cache_size=lambda: self.cache_size,
            active_streams=lambda: self.streams,
            default_model=lambda: self.model,
            default_workspace=lambda: self.default_workspace,
            last_workspace=lambda: self.last_workspace,
            active_profile=lambda: self.profile,
            hermes_home=lambda: self.home,
            profile_homes=lambda: self.homes,
            session_dir=lambda: self.session_dir,
            import_wait=60.0,
        )
