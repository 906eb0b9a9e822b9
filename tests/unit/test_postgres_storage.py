"""What PostgresStorage does beyond the contract: connections, tables, notifications, plans."""

import gc
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

from huey.exceptions import ConfigurationError, StorageError, UnknownOutcome
from huey.storage.delivery import (
    Claim,
    DeadLetter,
    Move,
    Outgoing,
    Reservation,
    Settled,
    Settlement,
)
from huey.storage.sql.postgres import PostgresStorage
from huey.storage.sql.postgres.claims import CLAIM, LOCK_CLAIMS
from huey.storage.sql.postgres.queueing import POP

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


def tables_in(database: psycopg.Connection[Any]) -> set[str]:
    rows = database.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    ).fetchall()
    return {name for (name,) in rows}


class TestTheDriver:
    def test_is_asked_for_by_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)

        with pytest.raises(ConfigurationError, match=r"huey\[postgres\]"):
            PostgresStorage()

    def test_has_to_be_recent_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", SimpleNamespace(__version__="3.1.20"))

        with pytest.raises(ConfigurationError, match=r"3\.2 or later, found 3\.1\.20"):
            PostgresStorage()


class TestTheConnection:
    def test_may_be_made_by_a_callable(self, make: Make, postgres_url: str) -> None:
        storage = make(connection=lambda: psycopg.connect(postgres_url, row_factory=dict_row))

        storage.enqueue(b"m")

        assert storage.enqueued_items() == [b"m"]

    def test_may_be_described_by_parameters(self, make: Make, postgres_url: str) -> None:
        known = psycopg.conninfo.conninfo_to_dict(postgres_url)
        storage = make(dsn=None, **known)

        storage.enqueue(b"m")

        assert storage.enqueued_items() == [b"m"]

    def test_must_be_one_of_psycopg(self) -> None:
        storage = PostgresStorage(connection=object, create_tables=False)  # type: ignore[arg-type]

        with pytest.raises(ConfigurationError, match=r"psycopg\.Connection .*got object"):
            storage.queue_size()

    @pytest.mark.parametrize(
        "options",
        [
            {"dsn": "postgresql://u:s3cret@/x?host=/nonexistent"},
            {"host": "/nonexistent", "password": "s3cret"},
            {"dsn": "host=/nonexistent password=s3cret junk"},
            {"dsn": "postgresql://u:s3cret@/x?nonsense=1"},
        ],
    )
    def test_never_shows_its_password(self, options: dict[str, Any]) -> None:
        storage = PostgresStorage(create_tables=False, **options)

        with pytest.raises((StorageError, ConfigurationError)) as caught:
            storage.queue_size()

        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_is_closed_and_opened_again_when_needed(self, make: Make) -> None:
        storage = make()
        storage.enqueue(b"m")

        assert storage.close() is True
        assert storage.close() is False
        assert storage.queue_size() == 1

    def test_is_not_shared_with_a_forked_child(self, make: Make) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue(b"parent")
        storage.claim("c", 1, block=0.01)

        child = _fork(lambda: storage.enqueue(b"child"))

        assert os.waitpid(child, 0)[1] == 0
        assert storage.enqueued_items() == [b"child"]

    def test_that_listens_goes_when_its_thread_ends(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make(read_timeout=0.01)
        for _ in range(3):
            thread = threading.Thread(target=storage.dequeue)
            thread.start()
            thread.join(PATIENCE)
        gc.collect()

        rows = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        ).fetchone()

        # The server may need a moment to notice; more than one would be a leak.
        assert rows is not None
        assert rows[0] <= 1

    def test_for_statements_of_ones_own(self, make: Make) -> None:
        storage = make()

        assert storage.sql("SELECT %s::int", (5,), results=True) == [(5,)]
        with storage.db(commit=True) as cursor:
            cursor.execute("INSERT INTO huey_counter VALUES ('huey', 'k', 3)")

        assert storage.incr("k") == 4
        assert storage.conn is storage.conn


def _fork(function: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        function()
        code = 0
    finally:
        os._exit(code)


class TestTheTables:
    def test_are_those_of_huey_and_ours(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        make(table_prefix="my-App")

        ours = ["consumer", "mark", "tick", "dead", "lease", "place", "window", "waiter", "writer"]
        theirs = ["kv", "schedule", "task", "counter"]
        assert tables_in(database) == {f"myapp_{name}" for name in ours + theirs}

    def test_are_not_touched_when_not_wanted(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make(create_tables=False)

        with pytest.raises(ConfigurationError, match="initialize_schema"):
            storage.enqueue(b"m")
        assert tables_in(database) == set()

        storage.initialize_schema()
        storage.enqueue(b"m")
        assert storage.queue_size() == 1

    def test_are_created_beside_those_that_huey_left(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        make()
        database.execute("DROP TABLE huey_consumer, huey_mark")

        make().sign_on("c", {})

        assert {"huey_consumer", "huey_mark"} <= tables_in(database)

    def test_need_no_right_to_create_once_they_are_there(
        self, make: Make, database: psycopg.Connection[Any], postgres_url: str
    ) -> None:
        make()
        database.execute("DROP ROLE IF EXISTS plain")
        database.execute("CREATE ROLE plain LOGIN")
        database.execute("GRANT USAGE ON SCHEMA public TO plain")
        database.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
        database.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain")
        try:
            storage = make(dsn=postgres_url.replace("postgres@", "plain@"))
            storage.enqueue(b"m")
            assert storage.queue_size() == 1
        finally:
            storage.close()
            database.execute("DROP OWNED BY plain")
            database.execute("DROP ROLE plain")

    def test_hold_queues_with_long_names(self, make: Make) -> None:
        storage = make("n" * 80)
        storage.sign_on("c", {})

        storage.enqueue(b"m")

        # What Huey 3.5.4 calls it, too.
        assert (
            storage.channel == "huey.q.5b6c4abfd73b7d2b80ee4bf9a5e3cf81"
            or len(storage.channel) == len("huey.q.") + 32
        )
        assert [claim.data for claim in storage.claim("c", 1, PATIENCE)] == [b"m"]


class TestPlans:
    @pytest.fixture
    def storage(self, make: Make, database: psycopg.Connection[Any]) -> PostgresStorage:
        """A storage whose table has grown since the planner looked at it."""
        storage = make()
        database.execute("ANALYZE")
        storage.enqueue_many([Outgoing(b"x" * 100)] * 3000)
        storage.sign_on("c", {})
        return storage

    @pytest.mark.parametrize(
        ("statement", "parameters"),
        [
            (CLAIM, {"consumer": "c", "limit": 200, "held": "held"}),
            (LOCK_CLAIMS, {"id": list(range(200)), "held": ["held"]}),
            (POP, {}),
        ],
    )
    def test_never_read_the_whole_queue(
        self, statement: str, parameters: dict[str, Any], storage: PostgresStorage
    ) -> None:
        plan = storage._all(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}", **parameters)

        text = "\n".join(line for (line,) in plan)
        assert "Seq Scan on huey_task" not in text
        assert "rows=3000" not in text


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


class TestNotifications:
    def test_are_few_while_nobody_waits(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        database.execute('LISTEN "huey.q.huey"')

        for _ in range(100):
            storage.enqueue(b"m")

        assert 1 <= len(list(database.notifies(timeout=0))) < 50

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
        first = {note.payload for note in database.notifies(timeout=0)} - {"-"}
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


class TestWhatHueyWrites:
    def test_in_the_schedule_is_told_apart_and_listed_once(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        storage.enqueue_many([Outgoing(b"ours", due=1_700_000_000.123456)])
        for data, at in ((b"a", 1_700_000_000.0), (b"b", 1_700_000_000.123456)):
            database.execute(
                "INSERT INTO huey_schedule (queue, data, timestamp) VALUES ('huey', %s, %s)",
                (data, at),
            )

        foreign = storage.unverified()

        assert [(item.data, item.due) for item in foreign] == [
            (b"a", 1_700_000_000.0),
            (b"b", 1_700_000_000.123456),
        ]
        assert storage.unverified() == []
        assert len(make().unverified()) == 2

        storage.promote([Move(item, due=item.due + 3600) for item in foreign])

        assert make().unverified() == []
        assert [item.due for item in storage.due().messages] == [
            1_700_000_000.123456,
            1_700_003_600.0,
            1_700_003_600.123456,
        ]

    def test_over_an_expiring_value_stays(
        self, make: Make, database: psycopg.Connection[Any]
    ) -> None:
        storage = make()
        storage.lock("k", b"ours", ttl=0.0)
        database.execute("UPDATE huey_kv SET value = 'theirs' WHERE key = 'k'")

        assert storage.peek_data("k") == b"theirs"
        storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)
        assert storage.peek_data("k") == b"theirs"
        assert storage.lock("k", b"more") is False


class TestTexts:
    def test_of_dead_letters_may_hold_anything(self, make: Make) -> None:
        storage = make()
        detail = "NUL \0, half a pair \ud83d, and ü"

        storage.settle([Settlement(dead=DeadLetter(b"m", "failed", detail))])

        assert storage.dead_letters()[0].detail == "NUL \\x00, half a pair \\ud83d, and ü"

    def test_that_no_key_can_hold_are_refused_without_harm(self, make: Make) -> None:
        storage = make()

        with pytest.raises(StorageError):
            storage.put_data("a\0b", b"v")

        assert storage.result_store_size() == 0

    def test_of_keys_may_be_bytes(self, make: Make) -> None:
        storage = make()
        storage.put_data("ü".encode(), b"v")

        assert storage.peek_many(["ü".encode(), "x"]) == {"ü".encode(): b"v"}
        assert storage.result_items() == {"ü": b"v"}


def test_deadlocked_settlements_are_tried_again(make: Make) -> None:
    """Two that write the same values in opposite order collide, and both are written."""
    storage, other = make(), make()
    for name in ("c", "d"):
        storage.sign_on(name, {})
    storage.enqueue_many([Outgoing(b"%d" % number) for number in range(400)])
    answers: list[Settled] = []

    def work(client: PostgresStorage, name: str, first: str, second: str) -> None:
        while claims := client.claim(name, 5):
            answers.extend(
                client.settle(
                    [Settlement(one, results=((first, b"v"),), delete=(second,)) for one in claims]
                )
            )

    threads = [
        threading.Thread(target=work, args=(storage, "c", "x", "y")),
        threading.Thread(target=work, args=(other, "d", "y", "x")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert answers == [Settled.DONE] * 400


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
