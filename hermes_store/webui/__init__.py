"""The functions of hermes-webui's ``api/models.py``, over a store.

from hermes_store.webui import WebUIModels, shared_store
"""

from .models import WebUIModels, shared_store
from .session import LiveSession

__all__ = ["LiveSession", "WebUIModels", "shared_store"]
