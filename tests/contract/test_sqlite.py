"""The SQLite storage keeps the contract: in a file, in memory, and through cysqlite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huey.storage.sql.sqlite import CySqliteStorage, SqliteStorage
from huey.testing.storage_contract import MakeStorage, StorageContract


class TestSqliteStorage(StorageContract):
    zero_means_no_limit = False

    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Iterator[MakeStorage]:
        made: list[SqliteStorage] = []

        def make(name: str = "huey", **kwargs: Any) -> SqliteStorage:
            # What is synced to the disk is tested elsewhere; here it would only take time.
            options = {"fsync": False, **kwargs}
            made.append(SqliteStorage(name, tmp_path / "huey.db", **options))
            return made[-1]

        yield make
        for storage in made:
            storage.close()


class TestSqliteStorageInMemory(StorageContract):
    zero_means_no_limit = False
    shares_data = False

    @pytest.fixture
    def make_storage(self) -> Iterator[MakeStorage]:
        made: list[SqliteStorage] = []

        def make(name: str = "huey", **kwargs: Any) -> SqliteStorage:
            made.append(SqliteStorage(name, ":memory:", **kwargs))
            return made[-1]

        yield make
        for storage in made:
            storage.close()


class TestCySqliteStorage(StorageContract):
    zero_means_no_limit = False
    machine_runs = 20

    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Iterator[MakeStorage]:
        made: list[CySqliteStorage] = []

        def make(name: str = "huey", **kwargs: Any) -> CySqliteStorage:
            made.append(CySqliteStorage(name, tmp_path / "huey.db", fsync=False, **kwargs))
            return made[-1]

        yield make
        for storage in made:
            storage.close()
