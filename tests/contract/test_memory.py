"""The memory storage keeps the contract."""

from typing import Any

import pytest

from huey.storage.memory import MemoryStorage
from huey.testing.storage_contract import MakeStorage, StorageContract


class TestMemoryStorage(StorageContract):
    shares_data = False

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        def make(name: str = "huey", **kwargs: Any) -> MemoryStorage:
            return MemoryStorage(name, **kwargs)

        return make
