"""The agent's state.db: files of every release, what is in them, and processes that write to them."""
