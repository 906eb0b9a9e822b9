"""The process that makes the calls."""
