"""The words of messages, titles and queries, in every language: pure functions that all databases' indexes share."""
