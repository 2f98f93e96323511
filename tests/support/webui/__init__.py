"""hermes-webui: stand-ins for its parts, its sessions, and other processes of it."""
