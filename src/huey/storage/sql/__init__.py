"""Storages in SQL databases: SQLite and PostgreSQL."""
