"""The suite that every storage passes; run it against your own.

Needs pytest and hypothesis. Subclass `StorageContract` (or `ClassicContract`, for a storage without
the lossless methods) in a test module, and give it a fixture::

    import pytest
    from huey.testing.storage_contract import StorageContract

    class TestMyStorage(StorageContract):
        supports_priority = False

        @pytest.fixture
        def make_storage(self, tmp_path):
            made = []

            def make(name="huey", **kwargs):
                made.append(MyStorage(name, path=tmp_path, **kwargs))
                return made[-1]

            yield make
            for storage in made:
                storage.close()

``make_storage()`` returns a new client of the same, at first empty, data each time it is called
within one test; another name reaches another queue beside it. What a storage cannot do, it declares
with the flags of `harness.Harness`; nothing is skipped otherwise. One test states one rule of
``storage/base.py`` or ``storage/delivery.py``, and the state machine checks them in concert.
"""

import pytest

_MODULES = (
    "classic",
    "claims",
    "clockwork",
    "guards",
    "harness",
    "letters",
    "machine",
    "producing",
    "recovering",
    "settling",
    "waiting",
)
# Else a failing assert would only say that it failed: pytest rewrites test modules, not libraries.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from huey.testing.storage_contract.claims import ClaimContract  # noqa: E402 - after the rewriting
from huey.testing.storage_contract.classic import ClassicContract  # noqa: E402
from huey.testing.storage_contract.clockwork import ClockContract  # noqa: E402
from huey.testing.storage_contract.guards import GuardContract  # noqa: E402
from huey.testing.storage_contract.harness import Harness, MakeStorage  # noqa: E402
from huey.testing.storage_contract.letters import LetterContract  # noqa: E402
from huey.testing.storage_contract.machine import MachineContract, StorageMachine  # noqa: E402
from huey.testing.storage_contract.producing import ProducerContract  # noqa: E402
from huey.testing.storage_contract.recovering import RecoveryContract  # noqa: E402
from huey.testing.storage_contract.settling import SettlingContract  # noqa: E402
from huey.testing.storage_contract.waiting import WaitingContract  # noqa: E402

__all__ = [
    "ClassicContract",
    "ClaimContract",
    "ClockContract",
    "DeliveryContract",
    "GuardContract",
    "Harness",
    "LetterContract",
    "MachineContract",
    "MakeStorage",
    "ProducerContract",
    "RecoveryContract",
    "SettlingContract",
    "StorageContract",
    "StorageMachine",
    "WaitingContract",
]


class DeliveryContract(
    ProducerContract,
    ClaimContract,
    RecoveryContract,
    SettlingContract,
    ClockContract,
    GuardContract,
    LetterContract,
    WaitingContract,
    MachineContract,
):
    """All of ``storage/delivery.py``."""


class StorageContract(ClassicContract, DeliveryContract):
    """All that a lossless storage promises."""
