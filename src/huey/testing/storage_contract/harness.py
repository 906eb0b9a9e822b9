"""What the tests of the contract share: flags, fixtures, and how to wait without guessing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import pytest

from huey.storage.delivery import Claim, LosslessStorage, Outgoing

T = TypeVar("T")

#: How long anything may take before the test fails, in seconds. Nothing waits that long unless it
#: is broken.
PATIENCE = 30.0


class MakeStorage(Protocol):
    """The fixture that a subclass provides."""

    def __call__(self, name: str = "huey", **kwargs: Any) -> Any:
        """Return a new client of the data that belong to this test."""


class Harness:
    """Flags that a subclass may set, and fixtures."""

    #: Messages may have priorities.
    supports_priority = True
    #: A message that is given back returns to its place by arrival; False: to the very front.
    gives_back_in_place = True
    #: A second client, from a second call of ``make_storage``, sees the data of the first.
    shares_data = True
    #: Queues with different names do not see each other's data.
    isolates_names = True
    #: ``pop_data`` removes what it returns; False for storages whose results expire instead.
    reads_results_once = True
    #: ``put_if_empty`` takes a ``ttl``.
    expires_data = True
    #: What ``enqueued_items(limit=0)`` means: True for no limit, False for no items.
    zero_means_no_limit = True
    #: How many runs of the state machine, and how many steps in each.
    machine_runs = 100
    machine_steps = 25

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        """Return what makes clients; a subclass must override this fixture."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture make_storage: see "
            "huey.testing.storage_contract for an example."
        )

    @pytest.fixture
    def storage(self, make_storage: MakeStorage) -> Any:
        """Return the client that most tests use."""
        return make_storage()

    @pytest.fixture
    def other(self, make_storage: MakeStorage, storage: Any) -> Any:
        """Return a second client of the same data, or the first one if data cannot be shared."""
        return make_storage() if self.shares_data else storage

    @pytest.fixture
    def aside(self) -> Iterator[Callable[..., Future[Any]]]:
        """Run a function in a thread; the future must be asked with a timeout."""
        threads: list[threading.Thread] = []

        def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()

            def fulfil() -> None:
                try:
                    future.set_result(function(*args, **kwargs))
                except BaseException as exc:  # whoever asks the future gets it
                    future.set_exception(exc)

            thread = threading.Thread(target=fulfil, daemon=True)
            thread.start()
            threads.append(thread)
            return future

        yield run
        for thread in threads:
            thread.join(PATIENCE)


def race(count: int, function: Callable[[int], T]) -> list[T]:
    """Call a function in several threads that start together; returns what each returned."""
    barrier = threading.Barrier(count)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(index: int) -> None:
        barrier.wait(PATIENCE)
        try:
            results[index] = function(index)
        except BaseException as exc:  # raised again in the test's own thread
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if errors:
        raise errors[0]
    return [results[index] for index in range(count)]


def fill(storage: LosslessStorage, *data: bytes) -> None:
    """Enqueue messages without priority, in order."""
    storage.enqueue_many([Outgoing(item) for item in data])


def hired(storage: LosslessStorage, *names: str) -> None:
    """Sign on consumers."""
    for name in names:
        storage.sign_on(name, {"pid": 1})


def payloads(claims: Sequence[Claim]) -> list[bytes]:
    """Reduce claims to their messages."""
    return [claim.data for claim in claims]


def claim_all(storage: LosslessStorage, consumer: str) -> list[Claim]:
    """Claim until nothing is ready; a storage may return less than asked for at once."""
    claims: list[Claim] = []
    while more := storage.claim(consumer, 500):
        claims += more
    return claims


def held(storage: LosslessStorage) -> dict[str, int]:
    """Tell how many claims each consumer holds."""
    return {record.id: record.claims for record in storage.consumers()}
