"""Programs of other projects' users, each run in a process of its own: see `tests/compat`."""
