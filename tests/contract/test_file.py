"""FileStorage keeps both contracts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from huey.storage.file import FileStorage
from huey.testing.storage_contract import MakeStorage, StorageContract


class TestFileStorage(StorageContract):
    zero_means_no_limit = False
    isolates_names = False

    #: Keyword arguments that a variant adds.
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Iterator[MakeStorage]:
        made: list[FileStorage] = []

        def make(name: str = "huey", **kwargs: Any) -> FileStorage:
            made.append(FileStorage(name, path=tmp_path / "huey", **self.options, **kwargs))
            return made[-1]

        yield make
        for storage in made:
            storage.close()


class TestFileStorageWithoutSyncing(TestFileStorage):
    options: ClassVar[dict[str, Any]] = {"fsync": False, "levels": 0}


class TestFileStorageWithThreadLock(TestFileStorage):
    shares_data = False
    options: ClassVar[dict[str, Any]] = {"use_thread_lock": True, "fsync": False}
