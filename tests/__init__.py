"""The tests of hermes_store. Their helpers are in `tests.support`, imported by that name."""
