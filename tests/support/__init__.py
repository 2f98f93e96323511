"""The helpers of the tests: everything that more than one test module uses, but for fixtures."""
