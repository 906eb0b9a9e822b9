"""PostgreSQL goes away in every way that it can; nothing is lost, and nothing done twice."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from huey.exceptions import StorageError, UnknownOutcome
from huey.storage.delivery import (
    Claim,
    LosslessStorage,
    Outgoing,
    Reservation,
    Settled,
    Settlement,
)
from huey.storage.sql.postgres import PostgresStorage
from tests.faults.postgres_wire import Wire
from tests.services import Service

#: How long anything may take before a test fails, in seconds.
PATIENCE = 60.0
#: With the end of the text, since "READ COMMITTED" is sent, too.
COMMIT = b"COMMIT\0"

Make = Callable[..., PostgresStorage]


@pytest.fixture
def make(postgres_url: str) -> Iterator[Make]:
    """Make storages and close them after the test."""
    made: list[PostgresStorage] = []

    def make(dsn: str = postgres_url, **options: Any) -> PostgresStorage:
        made.append(PostgresStorage(dsn=dsn, **options))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    """A proxy before the server."""
    with Wire(postgres_url) as wire:
        yield wire


def claim(storage: LosslessStorage, *messages: bytes) -> list[Claim]:
    """Enqueue messages and claim them as "c"."""
    storage.sign_on("c", {})
    storage.enqueue_many([Outgoing(data) for data in messages])
    return storage.claim("c", len(messages))


class TestALostReply:
    def test_to_an_enqueue_raises_that_the_outcome_is_unknown(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        storage.enqueue(b"before")
        wire.lose_reply_to = b"INSERT INTO huey_task"
        storage.close()  # so that the statement is sent in full, and not by the name of its plan

        with pytest.raises(UnknownOutcome, match="may or may not be in queue huey"):
            storage.enqueue(b"m")

        assert storage.enqueued_items() == [b"before", b"m"]

    def test_to_an_enqueue_with_a_reservation_is_found_out(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        wire.lose_reply_to = COMMIT

        replies = storage.enqueue_many([Outgoing(b"m", reservation=Reservation("k", "id-1"))])

        assert wire.lost.is_set()
        assert replies == [None]
        assert storage.enqueued_items() == [b"m"]

    def test_to_a_claim_costs_nothing(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b"), Outgoing(b"c")])
        (first,) = storage.claim("c", 1)
        wire.lose_reply_to = b"FOR KEY SHARE"
        storage.close()

        claims = storage.claim("c", 1)

        assert wire.lost.is_set()
        assert [one.data for one in claims] == [b"b"]
        assert storage.settle([Settlement(first), Settlement(claims[0])]) == [Settled.DONE] * 2
        assert [one.data for one in storage.claim("c", 5)] == [b"c"]

    def test_to_a_settlement_is_found_out(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        claims = claim(storage, b"a", b"b")
        wire.lose_reply_to = COMMIT

        answers = storage.settle(
            [Settlement(claims[0], outgoing=(Outgoing(b"next"),)), Settlement(claims[1])]
        )

        assert wire.lost.is_set()
        assert answers == [Settled.DONE, Settled.DONE]
        assert storage.enqueued_items() == [b"next"]

    def test_to_a_settlement_without_claims_does_not_write_it_twice(
        self, make: Make, wire: Wire
    ) -> None:
        storage = make(wire.url)
        wire.lose_reply_to = COMMIT

        assert storage.settle([Settlement(outgoing=(Outgoing(b"next"),))]) == [Settled.DONE]

        assert wire.lost.is_set()
        assert storage.enqueued_items() == [b"next"]

    def test_is_told_from_a_settlement_that_never_arrived(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        claims = claim(storage, b"a")
        wire.lose_request = COMMIT

        assert storage.settle([Settlement(claims[0])]) == [Settled.DONE]

        assert wire.lost.is_set()

    def test_to_a_settlement_is_found_out_later_if_nobody_can_be_asked_now(
        self, make: Make, wire: Wire, postgres_url: str
    ) -> None:
        storage = make(wire.url)
        claims = claim(storage, b"a", b"b")
        settlements = [Settlement(one) for one in claims]
        wire.lose_reply_to = COMMIT
        wire.is_shut_after_loss = True

        with pytest.raises(UnknownOutcome):
            storage.settle(settlements)
        wire.is_shut_after_loss = False

        assert storage.settle(settlements) == [Settled.DONE, Settled.DONE]
        assert storage.settle(settlements) == [Settled.LOST, Settled.LOST]

    def test_to_a_lock_does_not_lock_the_owner_out(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        wire.lose_reply_to = COMMIT

        assert storage.lock("k", b"mine") is True

        assert wire.lost.is_set()
        assert storage.lock("k", b"other") is False

    def test_to_a_tick_does_not_swallow_it(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        wire.lose_reply_to = COMMIT

        assert storage.tick("t", 1.0, Outgoing(b"m")) is True

        assert wire.lost.is_set()
        assert storage.enqueued_items() == [b"m"]


class TestACutConnection:
    def test_that_was_idle_is_not_noticed_by_the_caller(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        storage.enqueue(b"a")

        wire.cut()
        storage.enqueue(b"b")

        assert storage.enqueued_items() == [b"a", b"b"]

    def test_does_not_end_the_waiting_for_messages(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        storage.sign_on("c", {})
        got: list[Claim] = []
        waiting = threading.Thread(target=lambda: got.extend(storage.claim("c", 1, PATIENCE)))
        waiting.start()
        _wait_until_listening(wire)

        wire.cut()
        make().enqueue(b"m")

        waiting.join(PATIENCE)
        assert [one.data for one in got] == [b"m"]

    def test_does_not_end_the_waiting_for_results(self, make: Make, wire: Wire) -> None:
        storage = make(wire.url)
        got: list[bool] = []
        waiting = threading.Thread(target=lambda: got.append(storage.wait_result("k", PATIENCE)))
        waiting.start()
        _wait_until_listening(wire)

        wire.cut()
        make().put_data("k", b"v")

        waiting.join(PATIENCE)
        assert got == [True]


class TestAPooler:
    def test_is_noticed_and_nothing_is_tied_to_a_session(self, make: Make, wire: Wire) -> None:
        wire.acts_as_pooler = True
        storage = make(wire.url)
        storage.sign_on("c", {})

        for number in range(10):
            storage.enqueue(b"%d" % number)
            assert storage.claim("c", 1, block=0.01) != []
        assert storage.claim("c", 1, block=0.01) == []

        assert b"LISTEN" not in wire.sent
        assert b"_pg3_" not in wire.sent  # what psycopg calls a statement that it has prepared

    def test_does_not_keep_a_message_from_who_waits(self, make: Make, wire: Wire) -> None:
        wire.acts_as_pooler = True
        storage = make(wire.url)
        storage.sign_on("c", {})
        got: list[Claim] = []
        waiting = threading.Thread(target=lambda: got.extend(storage.claim("c", 1, PATIENCE)))
        waiting.start()

        make().enqueue(b"m")

        waiting.join(PATIENCE)
        assert [one.data for one in got] == [b"m"]


def _wait_until_listening(wire: Wire) -> None:
    done = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if b"INSERT INTO huey_waiter" in wire.sent:
            return
        done.wait(0.01)
    raise AssertionError("nobody began to wait")


class Traffic:
    """A producer and two consumers that go on whatever happens; counts what it knows to be so."""

    def __init__(self, make: Make) -> None:
        self.accepted: set[bytes] = set()
        self.unknown: set[bytes] = set()
        self.settled: list[bytes] = []
        self.errors: list[StorageError] = []
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self._threads = [
            threading.Thread(target=self._produce, args=(make(),)),
            *(
                threading.Thread(target=self._consume, args=(make(), f"c{number}"))
                for number in range(2)
            ),
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int) -> None:
        """Wait until so many more tasks have been settled."""
        with self._moved:
            wanted = len(self.settled) + more
            assert self._moved.wait_for(lambda: len(self.settled) >= wanted, PATIENCE), self.errors

    def end(self) -> None:
        """Stop producing, and wait until all is consumed."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _produce(self, storage: PostgresStorage) -> None:
        number = 0
        while not self._stop.is_set():
            data = b"%06d" % number
            number += 1
            try:
                storage.enqueue(data)
                self.accepted.add(data)
            except UnknownOutcome:
                self.unknown.add(data)
            except StorageError as error:
                self._note(error)

    def _consume(self, storage: PostgresStorage, name: str) -> None:
        self._persist(lambda: storage.sign_on(name, {}))
        while True:
            claims: list[Claim] = self._persist(lambda: storage.claim(name, 20, 0.2))
            if not claims and self._stop.is_set() and self._persist(storage.queue_size) == 0:
                return
            settlements = [
                Settlement(one, results=((one.data.decode(), b"done"),)) for one in claims
            ]
            answers = self._persist(partial(storage.settle, settlements))
            with self._moved:
                self.settled += [
                    one.data
                    for one, answer in zip(claims, answers, strict=True)
                    if answer is Settled.DONE
                ]
                self._moved.notify_all()

    def _persist(self, function: Callable[[], Any]) -> Any:
        while True:
            try:
                return function()
            except StorageError as error:
                self._note(error)

    def _note(self, error: StorageError) -> None:
        self.errors.append(error)
        self._stop.wait(0.02)


class TestTheServerUnderLoad:
    @pytest.mark.parametrize("how", ["restart", "kill", "pause"])
    def test_loses_nothing_and_does_nothing_twice(
        self, how: str, make: Make, postgres_server: Service
    ) -> None:
        traffic = Traffic(make)
        traffic.wait_for(100)

        _break(postgres_server, how)
        traffic.wait_for(100)
        traffic.end()

        settled = set(traffic.settled)
        assert len(settled) == len(traffic.settled)
        assert traffic.accepted <= settled <= traffic.accepted | traffic.unknown
        results = make().result_items()
        assert set(results) == {data.decode() for data in settled}


def _break(server: Service, how: str) -> None:
    match how:
        case "restart":
            server.restart()
        case "kill":
            server.kill()
            server.start()
        case "pause":
            server.pause()
            threading.Event().wait(0.5)
            server.resume()


_FIRST_START = """
import sys, psycopg
from huey.storage.sql.postgres import PostgresStorage
print("ready", flush=True)
sys.stdin.readline()
storage = PostgresStorage(dsn=sys.argv[1])
storage.enqueue(b"m")
storage.close()
"""


class TestTheFirstStart:
    def test_of_six_processes_at_one_time_succeeds_for_all(
        self, make: Make, postgres_url: str
    ) -> None:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _FIRST_START, postgres_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for _ in range(6)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"

        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=PATIENCE)

        assert [process.returncode for process in processes] == [0] * 6
        assert make().queue_size() == 6

    def test_does_not_need_a_server(self, make: Make, postgres_server: Service) -> None:
        postgres_server.stop()
        try:
            storage = make()
            with pytest.raises(StorageError, match="cannot be reached"):
                storage.enqueue(b"m")
        finally:
            postgres_server.start()

        storage.enqueue(b"m")

        assert storage.enqueued_items() == [b"m"]
