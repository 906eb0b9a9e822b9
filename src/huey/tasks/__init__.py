"""A task, and what it can be combined to."""
