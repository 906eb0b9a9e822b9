"""Storages that take part in the project's transactions: a task appears if they commit."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

if TYPE_CHECKING:
    from huey.storage.base import BaseStorage
    from huey.storage.delivery import Outgoing

#: Parameters of Django's ``OPTIONS`` that are Django's own, not psycopg's.
_OF_DJANGO = frozenset(
    {"assume_role", "isolation_level", "pool", "server_side_binding", "transaction_mode"}
)


def transactional(kind: Callable[..., BaseStorage], alias: str, *, own: bool) -> Any:
    """Derive a storage class whose enqueueing belongs to the transaction of a database.

    Args:
        kind: the storage class.
        alias: which of ``DATABASES``.
        own: whether the queue lives in that very database. Then, where the storage can, messages
            are written on the project's own connection, atomically with its rows. Otherwise they
            are written right after the commit.

    Raises:
        TypeError: ``kind`` is no class, or has only the classic methods.
    """
    if not (isinstance(kind, type) and getattr(kind, "lossless", False)):
        raise TypeError(
            f'"transactional" needs a storage class with the lossless contract, got {kind!r}: '
            "use on_commit_task() instead."
        )
    joins = own and "connection" in inspect.signature(kind.enqueue_many).parameters  # type: ignore[attr-defined]
    mixin = _Joining if joins else _AfterCommit
    return type(f"Transactional{kind.__name__}", (mixin, kind), {"alias": alias})


class _Transactional:
    """What both ways share: they look whether the caller is inside of ``atomic()``."""

    alias: str
    #: Whether messages are part of the transaction itself, or follow its commit.
    joining: bool

    def _is_inside(self) -> bool:
        return bool(connections[self.alias].in_atomic_block)

    def enqueue(self: Any, data: bytes, priority: float | None = None) -> None:
        """Append a message."""
        from huey.storage.delivery import Outgoing

        self.enqueue_many([Outgoing(data, priority)])


class _Joining(_Transactional):
    """Writes messages on the project's connection: one transaction, nothing between."""

    joining = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepared: set[str] = set()
        self._preparing = threading.Lock()

    def _create_early(self) -> None:
        # Neither at import nor before the test runner has chosen its database.
        pass

    def enqueue_many(
        self: Any, messages: Sequence[Outgoing], *, connection: object = None
    ) -> list[str | None]:
        """Accept messages, as part of the caller's transaction if there is one."""
        if connection is None and messages and self._is_inside():
            self._prepare_tables()
            connection = connections[self.alias]
        found: list[str | None] = super().enqueue_many(messages, connection=connection)  # type: ignore[misc]
        return found

    def _prepare_tables(self: Any) -> None:
        """Create the tables before the first message: inside it would be too late to do it well."""
        name = str(connections[self.alias].settings_dict["NAME"])
        if name in self._prepared:
            return
        with self._preparing:
            if name not in self._prepared:
                self.initialize_schema()
                self._prepared.add(name)


class _AfterCommit(_Transactional):
    """Writes messages when the project's transaction has committed."""

    joining = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state = threading.local()

    def _is_inside(self) -> bool:
        # Test cases call what is to follow a commit inside of their own transaction.
        return not getattr(self._state, "writing", False) and super()._is_inside()

    def enqueue_many(self: Any, messages: Sequence[Outgoing], **kwargs: Any) -> list[str | None]:
        """Accept messages, after the commit if the caller is in a transaction."""
        if not self._is_inside():
            return self._write_now(super().enqueue_many, messages, **kwargs)  # type: ignore[misc,no-any-return]
        write = super().enqueue_many  # type: ignore[misc]
        later = functools.partial(self._write_now, write, tuple(messages), **kwargs)
        transaction.on_commit(later, using=self.alias)
        return [None] * len(messages)

    def enqueue(self: Any, data: bytes, priority: float | None = None) -> None:
        """Append a message, after the commit if the caller is in a transaction."""
        if self._is_inside():
            super().enqueue(data, priority)
        else:
            # Past our own method, which leads back here where a storage builds on this one.
            super(_Transactional, self).enqueue(data, priority)  # type: ignore[misc]

    def _write_now(
        self, write: Callable[..., list[str | None]], messages: Sequence[Outgoing], **kwargs: Any
    ) -> list[str | None]:
        before = getattr(self._state, "writing", False)
        self._state.writing = True
        try:
            return write(messages, **kwargs)
        finally:
            self._state.writing = before


# ── the project's database as the place of the queue ───────────────────────────────────────────


def postgres_opener(alias: str) -> Callable[[], Any]:
    """Give what opens a connection to the PostgreSQL database of the project."""

    def connect() -> Any:
        import psycopg

        # Looked up at each call: the test runner changes the name of the database.
        return psycopg.connect(**_psycopg_parameters(connections[alias].settings_dict))

    return connect


def sqlite_path(alias: str) -> str:
    """Give the file of an SQLite database of the project."""
    return str(connections[alias].settings_dict["NAME"])


def _psycopg_parameters(database: dict[str, Any]) -> dict[str, Any]:
    named = {
        "dbname": database.get("NAME"),
        "host": database.get("HOST"),
        "port": database.get("PORT"),
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
    }
    options = {k: v for k, v in database.get("OPTIONS", {}).items() if k not in _OF_DJANGO}
    return {**{key: value for key, value in named.items() if value}, **options}
