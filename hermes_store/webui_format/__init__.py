"""hermes-webui's session JSON, to and from columns, extras and documents: pure functions."""
