"""The test suite; a regular package, so that no other installed `tests` package can hide it."""
