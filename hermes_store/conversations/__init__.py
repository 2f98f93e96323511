"""One conversation to read or to share, as a page or as Markdown.

from hermes_store.conversations import to_html, to_markdown
"""

from .html import to_html
from .markdown import to_markdown

__all__ = ["to_html", "to_markdown"]
