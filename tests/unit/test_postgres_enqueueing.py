"""How messages get into PostgreSQL, also within somebody else's transaction, and who is told."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from huey.exceptions import ConfigurationError, UnknownOutcome
from huey.storage.delivery import Claim, Outgoing, Reservation, Settled, Settlement
from huey.storage.sql.postgres import PostgresStorage

#: How long anything may take before a test fails, in seconds.
PATIENCE = 30.0

Make = Callable[..., PostgresStorage]


@pytest.fixture
def make(postgres_url: str) -> Iterator[Make]:
    """Make storages and close them after the test."""
    made: list[PostgresStorage] = []

    def make(name: str = "huey", **options: Any) -> PostgresStorage:
        if "dsn" not in options and "connection" not in options:
            options["dsn"] = postgres_url
        made.append(PostgresStorage(name, **options))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test itself."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


#: In a process of its own, since Django is configured once and for all.
_DJANGO = """
import json, sys
from django.conf import settings
settings.configure(DATABASES={"default": json.loads(sys.argv[1])})
from django.db import connection, transaction
from huey.storage.delivery import Outgoing
from huey.storage.sql.postgres import PostgresStorage
storage = PostgresStorage(dsn=sys.argv[2])
try:
    with transaction.atomic():
        storage.enqueue_many([Outgoing(b"a")], connection=connection)
        raise LookupError
except LookupError:
    pass
with transaction.atomic():
    storage.enqueue_many([Outgoing(b"b")], connection=connection)
connection.close()
storage.close()
"""


class TestTransactionsOfTheCaller:
    @pytest.fixture
    def storage(self, make: Make) -> PostgresStorage:
        return make()

    def test_that_are_rolled_back_enqueue_nothing(
        self, storage: PostgresStorage, postgres_url: str
    ) -> None:
        with psycopg.connect(postgres_url) as mine:
            storage.enqueue_many([Outgoing(b"m"), Outgoing(b"later", due=9e9)], connection=mine)
            assert storage.queue_size() == 0
            mine.rollback()

        assert storage.queue_size() == 0
        assert storage.schedule_size() == 0

    def test_enqueue_when_they_are_committed_and_wake_who_waits(
        self, storage: PostgresStorage, postgres_url: str
    ) -> None:
        storage.sign_on("c", {})
        got: list[Claim] = []
        waiting = threading.Thread(target=lambda: got.extend(storage.claim("c", 1, PATIENCE)))
        waiting.start()

        with psycopg.connect(postgres_url) as mine:
            mine.execute("SELECT 1")
            storage.enqueue_many([Outgoing(b"m", attempt=3)], connection=mine)

        waiting.join(PATIENCE)
        assert [(claim.data, claim.attempt) for claim in got] == [(b"m", 3)]

    def test_take_reservations_with_them(self, storage: PostgresStorage, postgres_url: str) -> None:
        wish = Outgoing(b"m", reservation=Reservation("k", "id-1"))
        with psycopg.connect(postgres_url, row_factory=dict_row) as mine:
            storage.enqueue_many([wish], connection=mine)
            mine.rollback()
            other = Outgoing(b"n", reservation=Reservation("k", "id-2"))
            assert storage.enqueue_many([other], connection=mine) == [None]
            assert storage.enqueue_many([wish], connection=mine) == ["id-2"]

        assert storage.enqueued_items() == [b"n"]

    def test_are_begun_and_ended_for_a_connection_in_autocommit(
        self, storage: PostgresStorage, postgres_url: str
    ) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as mine:
            storage.enqueue_many([Outgoing(b"m"), Outgoing(b"n", due=9e9)], connection=mine)

            assert (storage.queue_size(), storage.schedule_size()) == (1, 1)

    def test_of_sqlalchemy_are_joined(self, storage: PostgresStorage, postgres_url: str) -> None:
        sqlalchemy = pytest.importorskip("sqlalchemy")
        orm = pytest.importorskip("sqlalchemy.orm")
        engine = sqlalchemy.create_engine(
            postgres_url.replace("postgresql:", "postgresql+psycopg:")
        )
        with engine.connect() as connection:
            storage.enqueue_many([Outgoing(b"a")], connection=connection)
            connection.rollback()
            storage.enqueue_many([Outgoing(b"b")], connection=connection)
            connection.commit()
        with orm.Session(engine) as session:
            storage.enqueue_many([Outgoing(b"c")], connection=session)
            session.rollback()
            storage.enqueue_many([Outgoing(b"d")], connection=session)
            session.commit()
        engine.dispose()

        assert storage.enqueued_items() == [b"b", b"d"]

    def test_of_django_are_joined(self, storage: PostgresStorage, postgres_url: str) -> None:
        pytest.importorskip("django")
        known = psycopg.conninfo.conninfo_to_dict(postgres_url)
        settings = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": known["dbname"],
            "USER": known["user"],
            "HOST": known["host"],
        }

        done = subprocess.run(
            [sys.executable, "-c", _DJANGO, json.dumps(settings), postgres_url],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

        assert done.returncode == 0, done.stderr
        assert storage.enqueued_items() == [b"b"]

    def test_need_a_connection_to_postgresql(self, storage: PostgresStorage) -> None:
        with pytest.raises(ConfigurationError, match="got SimpleNamespace"):
            storage.enqueue_many([Outgoing(b"m")], connection=SimpleNamespace())


def notes_until_now(database: psycopg.Connection[Any]) -> list[str]:
    """What was announced before, in the order of commits, a note of our own."""
    database.execute("NOTIFY \"huey.q.huey\", 'end'")
    notes: list[str] = []
    for note in database.notifies(timeout=PATIENCE):
        if note.payload == "end":
            return notes
        notes.append(note.payload)
    raise AssertionError("our own note did not come")


class TestNotifications:
    def test_are_few_while_nobody_waits(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        database.execute('LISTEN "huey.q.huey"')

        for _ in range(100):
            storage.enqueue(b"m")

        notes = notes_until_now(database)
        assert 1 <= len(notes) < 50

    def test_name_one_waiting_consumer_for_one_message(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        database.execute('LISTEN "huey.q.huey"')
        for name in ("c", "d"):
            storage.sign_on(name, {})
        waiting = [
            threading.Thread(target=storage.claim, args=(name, 1, PATIENCE)) for name in ("c", "d")
        ]
        for thread in waiting:
            thread.start()
        while storage.sql("SELECT count(*) FROM huey_waiter", results=True) != [(2,)]:
            """They are about to wait."""

        storage.enqueue(b"m")
        first = [note for note in notes_until_now(database) if note != "-"]
        storage.enqueue(b"n")

        for thread in waiting:
            thread.join(PATIENCE)
        assert len(first) == 1
        assert not any(thread.is_alive() for thread in waiting)

    def test_reach_a_blocked_dequeue(self, make: Make) -> None:
        storage = make(read_timeout=2 * PATIENCE)
        got: list[bytes | None] = []
        waiting = threading.Thread(target=lambda: got.append(storage.dequeue()))
        waiting.start()
        while storage.sql("SELECT count(*) FROM huey_waiter", results=True) != [(1,)]:
            """It is about to wait."""

        storage.enqueue(b"m")

        waiting.join(PATIENCE)
        assert got == [b"m"]

    def test_from_huey_wake_everybody(self, make: Make, database: psycopg.Connection[Any]) -> None:
        storage = make()
        storage.sign_on("c", {})
        got: list[Claim] = []
        waiting = threading.Thread(target=lambda: got.extend(storage.claim("c", 1, 2 * PATIENCE)))
        waiting.start()
        while storage.sql("SELECT count(*) FROM huey_waiter", results=True) != [(1,)]:
            """It is about to wait."""

        with database.transaction():
            database.execute("INSERT INTO huey_task (queue, data) VALUES ('huey', 'm')")
            database.execute("SELECT pg_notify('huey.q.huey', '')")

        waiting.join(PATIENCE)
        assert [claim.data for claim in got] == [b"m"]

    def test_one_connection_serves_all_who_wait_for_results(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        keys = [f"key-{number}" for number in range(1000)]
        got: list[set[str]] = []
        waiters = [
            threading.Thread(
                target=lambda: got.append(storage.result_waiter().wait(keys, PATIENCE))
            )
            for _ in range(8)
        ]
        for thread in waiters:
            thread.start()
        while storage.sql("SELECT count(*) FROM huey_waiter", results=True) != [(1,)]:
            """They are about to wait."""
        listening = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO huey_waiter%'"
        ).fetchone()

        make().settle([Settlement(results=tuple((key, b"1") for key in keys[:500]))])

        for thread in waiters:
            thread.join(PATIENCE)
        assert listening is not None
        assert len(got) == 8
        assert all(found and found <= set(keys[:500]) for found in got)


class TestAFailedAnnouncement:
    """The bell cannot be rung; what it was to announce has been written all the same."""

    @pytest.fixture
    def storage(self, make: Make, database: psycopg.Connection[Any]) -> PostgresStorage:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b")])
        database.execute("ALTER TABLE huey_waiter RENAME TO huey_gone")
        return storage

    def test_leaves_a_settlement_done(self, storage: PostgresStorage, make: Make) -> None:
        storage.sql("ALTER TABLE huey_gone RENAME TO huey_waiter")
        claims = storage.claim("c", 1)
        storage.sql("ALTER TABLE huey_waiter RENAME TO huey_gone")

        answers = storage.settle([Settlement(claims[0], outgoing=(Outgoing(b"next"),))])

        assert answers == [Settled.DONE]
        assert storage.enqueued_items() == [b"b", b"next"]

    def test_of_an_enqueue_is_no_refusal(self, storage: PostgresStorage) -> None:
        with pytest.raises(UnknownOutcome):
            storage.enqueue(b"c")
        with pytest.raises(UnknownOutcome):
            storage.enqueue_many([Outgoing(b"d", attempt=2)])

        assert storage.enqueued_items() == [b"a", b"b", b"c", b"d"]


def test_a_batch_that_no_buffer_can_hold_arrives(make: Make) -> None:
    """In a pipeline, client and server could wait for each other for ever."""
    storage = make()
    storage.sign_on("c", {})
    large = os.urandom(200_000)
    wish = Reservation("k", "id-1")

    storage.enqueue_many([Outgoing(large) for _ in range(50)])
    storage.enqueue_many([Outgoing(large, due=9e9, attempt=2), Outgoing(large, reservation=wish)])
    claims = storage.claim("c", 100)
    answers = storage.settle(
        [
            Settlement(
                claim,
                results=((f"key-{number}", large),),
                outgoing=(Outgoing(large, due=9e9, reservation=wish),),
            )
            for number, claim in enumerate(claims)
        ]
    )

    assert answers == [Settled.DONE] * 51
    assert storage.schedule_size() == 52
    assert storage.peek_data("key-50") == large
