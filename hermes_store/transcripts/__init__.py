"""Messages and transcripts as values: their JSON, their digests, and the difference between two versions.

Pure functions; nothing here knows of a database.
"""
