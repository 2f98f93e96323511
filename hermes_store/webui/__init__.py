"""A web user interface's sessions over a store.

`SessionStorage` loads and saves sessions as dicts, for any program. `WebUIModels` has the functions of hermes-webui's
``api/models.py``.
"""

from .models import WebUIModels, shared_store
from .session import LiveSession
from .session_storage import SessionStorage
from .tokens import Adopted, Token

__all__ = ["Adopted", "LiveSession", "SessionStorage", "Token", "WebUIModels", "shared_store"]
