"""The kinds of workers."""
