"""The database: every statement on the library's tables, and nothing else touches them.

`engine` opens a database and gives units of work. Each table has its writers, such as `session_rows`, `message_rows`
and `import_log`; `session_listing` reads lists, `session_contents` sessions with their values, and `sidebar_rows`
hermes-webui's sidebar. What differs between SQLite and PostgreSQL is a method of a dialect in `dialects`.
docs/architecture.md has a map of all modules.
"""
