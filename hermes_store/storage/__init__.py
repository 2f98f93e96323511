"""The database: every statement on the library's tables, and nothing else touches them.

`engine` opens a database and gives units of work; `session_rows`, `message_rows`, `document_rows`, `project_rows` and
`import_log` each own one group of tables; `session_listing` reads lists, `session_contents` sessions with their values,
and `sidebar_rows` hermes-webui's sidebar. What differs between SQLite and PostgreSQL is a method of a dialect in
`dialects`.
"""
