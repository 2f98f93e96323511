"""The tests of `hermes_store.files`. A package, so that its modules may be called as those of other tests are."""
