"""What PostgresStorage does beyond the contract: connections, tables, notifications, plans."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.delivery import (
    DeadLetter,
    Move,
    Outgoing,
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

        with pytest.raises(ValueError, match="cannot store this"):
            storage.put_data("a\0b", b"v")

        assert storage.result_store_size() == 0

    def test_that_no_key_can_hold_keep_nobody_else_from_being_settled(self, make: Make) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b"), Outgoing(b"c")])
        keys = ["1", "a\0b", "3"]
        settlements = [
            Settlement(claim, results=((key, b"v"),))
            for claim, key in zip(storage.claim("c", 3), keys, strict=True)
        ]

        with pytest.raises(ValueError, match="cannot store this"):
            storage.settle(settlements)

        assert set(storage.result_items()) == {"1", "3"}
        assert [record.claims for record in storage.consumers()] == [1]

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
