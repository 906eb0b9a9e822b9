"""PostgresStorage keeps both contracts, on a real server."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from huey.storage.sql.postgres import PostgresStorage
from huey.testing.storage_contract import MakeStorage, StorageContract


class TestPostgresStorage(StorageContract):
    zero_means_no_limit = False

    #: Keyword arguments that a variant adds.
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def make_storage(self, postgres_url: str) -> Iterator[MakeStorage]:
        made: list[PostgresStorage] = []

        def make(name: str = "huey", **kwargs: Any) -> PostgresStorage:
            made.append(PostgresStorage(name, dsn=postgres_url, **self.options, **kwargs))
            return made[-1]

        yield make
        for storage in made:
            storage.close()


class TestPostgresStorageThatPolls(TestPostgresStorage):
    """As it works behind a pooler: nothing is announced, and nothing is tied to a session."""

    options: ClassVar[dict[str, Any]] = {"blocking": False, "prepare_threshold": None}
