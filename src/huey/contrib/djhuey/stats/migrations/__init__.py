"""The history of the permissions."""
