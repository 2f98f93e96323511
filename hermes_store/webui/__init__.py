"""A web user interface's sessions over a store.

`SessionStorage` loads and saves sessions as dicts, for any program. `WebUIModels` has the functions of hermes-webui's
``api/models.py``. `http_status` is the answer to a request that ended in an error of this library.
"""

from .background_import import ImportStatus
from .models import WebUIModels
from .session import LiveSession
from .session_storage import SessionStorage
from .shared_stores import shared_store
from .statuses import http_status
from .tokens import Adopted, Token

__all__ = [
    "Adopted",
    "ImportStatus",
    "LiveSession",
    "SessionStorage",
    "Token",
    "WebUIModels",
    "http_status",
    "shared_store",
]
