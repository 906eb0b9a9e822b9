"""What the SQLite storage does beyond the contract: its tables, its settings, old neighbours."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.delivery import Outgoing, Settlement
from huey.storage.sql.sqlite import CySqliteStorage, SqliteStorage, letters
from tests.compat.recorded import sqlite_file

Make = Callable[..., SqliteStorage]
NOON = datetime(2031, 5, 6, 12, 0, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "huey.db"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    made: list[SqliteStorage] = []

    def make_one(name: str = "huey", filename: Any = path, **options: Any) -> SqliteStorage:
        made.append(SqliteStorage(name, filename, **options))
        return made[-1]

    yield make_one
    for storage in made:
        storage.close()


def pragma(storage: SqliteStorage, name: str) -> Any:
    return storage.conn.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def raw(path: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Connections as an old Huey, or any other program, would open them."""
    opened: list[sqlite3.Connection] = []

    def connect(filename: Path = path) -> sqlite3.Connection:
        opened.append(sqlite3.connect(filename, isolation_level=None, timeout=0.05))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


class TestTheTables:
    def test_have_the_columns_and_keys_that_huey_3_5_4_made(
        self, make: Make, tmp_path: Path, raw: Callable[..., sqlite3.Connection]
    ) -> None:
        ours, theirs = make().conn, raw(sqlite_file("sqlite", tmp_path))

        for table in ("kv", "schedule", "task", "counter"):
            query = f"PRAGMA table_info({table})"
            found, wanted = (
                [
                    (name, kind.lower(), required, default, key)
                    for _, name, kind, required, default, key in connection.execute(query)
                ]
                for connection in (ours, theirs)
            )
            assert found == wanted
        for index in ("task_queue_priority_id", "schedule_queue_timestamp"):
            query = f"PRAGMA index_xinfo({index})"
            assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()

    def test_keep_one_index_on_the_queue_and_lose_the_one_of_huey_3_3(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        make()
        raw().execute("CREATE INDEX task_priority_id ON task (priority DESC, id ASC)")

        make()

        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'task'"
        assert raw().execute(query).fetchall() == [("task_queue_priority_id",)]

    def test_are_made_on_request_only_if_told_so(self, make: Make) -> None:
        storage = make(create_tables=False)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            storage.enqueue(b"a")

        storage.initialize_schema()

        storage.enqueue(b"a")
        assert storage.queue_size() == 1

    def test_never_use_an_id_again_under_strict_fifo(self, make: Make) -> None:
        storage = make(strict_fifo=True)
        ids = []
        for _ in range(3):
            storage.enqueue(b"a")
            ids += storage.sql("SELECT id FROM task", results=True)
            storage.dequeue()

        assert ids == [(1,), (2,), (3,)]


class TestTheClassicFace:
    def test_the_connection_is_opened_when_it_is_needed(self, make: Make) -> None:
        storage = make()
        assert storage._conn is None
        assert storage.close() is False

        assert storage.conn.execute("SELECT 1").fetchone() == (1,)

        assert storage.close() is True
        assert storage._conn is None

    def test_statements_can_be_run_by_hand(self, make: Make) -> None:
        storage = make()

        storage.sql("INSERT INTO kv VALUES (?, ?, ?)", ("huey", "k", b"1"), commit=True)

        assert storage.sql("SELECT key FROM kv", results=True) == [("k",)]
        assert storage.peek_data("k") == b"1"

    def test_a_block_that_fails_is_taken_back(self, make: Make) -> None:
        storage = make()

        def fail() -> None:
            with storage.db(commit=True) as cursor:
                cursor.execute("INSERT INTO task (queue, data) VALUES ('huey', x'00')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert storage.queue_size() == 0
        assert not storage.conn.in_transaction

    def test_settings_reach_the_connection(self, make: Make) -> None:
        storage = make(cache_mb=4, timeout=3, fsync=True)

        assert storage._timeout == 3
        assert pragma(storage, "busy_timeout") == 3000
        assert pragma(storage, "cache_size") == -4000
        assert pragma(storage, "synchronous") == 2
        assert pragma(storage, "journal_mode") == "wal"

    def test_the_journal_mode_of_the_file_can_be_left_alone(self, make: Make) -> None:
        assert pragma(make(journal_mode=None), "journal_mode") == "delete"
        assert pragma(make(journal_mode="truncate"), "journal_mode") == "truncate"

    def test_further_settings_are_those_of_sqlite3(self, make: Make, path: Path) -> None:
        storage = make(filename=path, detect_types=sqlite3.PARSE_DECLTYPES)
        storage.enqueue(b"a")
        assert storage.dequeue() == b"a"

        with pytest.raises(TypeError, match="no_such_setting"):
            make(no_such_setting=1)

    def test_text_and_bytes_are_different_keys(self, make: Make) -> None:
        storage = make()
        storage.put_data("k", b"text")
        storage.put_data(b"k", b"bytes")

        assert storage.peek_data("k") == b"text"
        assert storage.peek_data(b"k") == b"bytes"


class TestSyncing:
    @pytest.mark.parametrize(
        ("fsync", "journal", "durable", "relaxed"),
        [(None, "wal", 2, 1), (True, "wal", 2, 1), (False, "wal", 0, 0), (True, "delete", 2, 2)],
    )
    def test_the_disk_confirms_messages_and_settlements_but_no_claims(
        self, make: Make, fsync: bool | None, journal: str, durable: int, relaxed: int
    ) -> None:
        storage = make(fsync=fsync, journal_mode=journal)

        storage.sign_on("c", {})
        assert pragma(storage, "synchronous") == relaxed
        storage.enqueue(b"a")
        assert pragma(storage, "synchronous") == durable
        claims = storage.claim("c", 1)
        assert pragma(storage, "synchronous") == relaxed
        storage.settle([Settlement(claims[0])])
        assert pragma(storage, "synchronous") == durable
        storage.heartbeat("c")
        assert pragma(storage, "synchronous") == relaxed


class TestClaims:
    def test_are_invisible_to_an_old_huey(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b")])
        storage.claim("c", 1)

        rows = raw().execute("SELECT data FROM task WHERE queue = 'huey'").fetchall()

        assert rows == [(b"b",)]

    def test_large_and_small_messages_come_whole_and_in_order(self, make: Make) -> None:
        storage = make()
        storage.sign_on("c", {})
        sizes = [0, 1, 65535, 65536, 300_000, 2]
        storage.enqueue_many(
            [Outgoing(os.urandom(size), priority=index % 2) for index, size in enumerate(sizes)]
        )
        wanted = storage.enqueued_items()

        assert [claim.data for claim in storage.claim("c", 9)] == wanted

    def test_stay_apart_between_queues_whose_names_begin_alike(self, make: Make) -> None:
        names = ("a", "a ", "a!", "ab", "a.1")
        storages = [make(name) for name in names]
        for storage in storages:
            storage.sign_on("c", {})
            storage.enqueue(storage.name.encode())
            assert [claim.data.decode() for claim in storage.claim("c", 9)] == [storage.name]

        storages[0].flush_all()

        held = [[record.claims for record in storage.consumers()] for storage in storages]
        assert held == [[0], [1], [1], [1], [1]]
        assert [storage.recover("c") for storage in storages] == [0, 1, 1, 1, 1]

    def test_outlive_a_consumer_with_eleven_neighbours(self, make: Make) -> None:
        storage = make()
        for number in range(12):
            storage.sign_on(f"c{number}", {})
            storage.enqueue(b"%d" % number)
            storage.claim(f"c{number}", 1)

        assert storage.recover("c0") == 1  # the number of c9 begins with the number of c0
        assert storage.enqueued_items() == [b"0"]


class TestTheSchedule:
    def test_times_are_true_seconds_whatever_the_zone_of_the_host(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            make(utc=True).add_to_schedule(b"a", NOON)
            make(utc=False).add_to_schedule(b"b", NOON)
        finally:
            monkeypatch.undo()
            time.tzset()

        rows = make().sql("SELECT timestamp FROM schedule ORDER BY id", results=True)

        noon = NOON.replace(tzinfo=UTC).timestamp()
        times = [timestamp for (timestamp,) in rows]
        assert times == pytest.approx([noon, noon + 4 * 3600], abs=0.001)

    def test_what_an_old_huey_has_filed_is_listed_once(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        storage = make()
        storage.add_to_schedule(b"ours", NOON)
        file = "INSERT INTO schedule (queue, data, timestamp) VALUES ('huey', ?, ?)"
        old = raw()
        for number in range(5):
            old.execute(file, (b"theirs %d" % number, NOON.timestamp() + number + 0.654321))

        first = storage.unverified(limit=3)
        rest = storage.unverified(limit=3)

        assert [item.data for item in first] == [b"theirs 0", b"theirs 1", b"theirs 2"]
        assert first[0].due == NOON.timestamp() + 0.654321
        assert [item.data for item in rest] == [b"theirs 3", b"theirs 4"]
        assert storage.unverified() == []
        old.execute(file, (b"theirs later", 5.0))
        assert [item.data for item in storage.unverified()] == [b"theirs later"]
        assert len(make().unverified()) == 6


class TestLeases:
    def test_an_entry_that_an_old_huey_has_overwritten_does_not_expire(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.lock("expiring", b"1", ttl=0.01)
        storage.lock("held", b"1", holder="c")
        raw().execute("UPDATE kv SET value = ?", (b"of an old one",))
        assert not storage.wait_result("nothing", timeout=0.05)

        storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)
        storage.recover("c")

        assert storage.result_items() == {"expiring": b"of an old one", "held": b"of an old one"}
        assert storage.sql("SELECT * FROM huey_lease", results=True) == []

    def test_a_result_under_the_name_of_an_expiring_entry_stays(self, make: Make) -> None:
        storage = make()
        storage.lock("k", b"1", ttl=0.01)

        storage.settle([Settlement(results=(("k", b"1"),))])

        assert not storage.wait_result("nothing", timeout=0.05)
        assert storage.peek_data("k") == b"1"


class TestSweeping:
    def test_an_endless_log_is_reported(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        storage = make()
        storage.enqueue(b"a")
        monkeypatch.setattr(letters, "_ALARMING_LOG", 0)

        storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)

        assert "huey.db-wal has grown" in caplog.text

    def test_bells_of_consumers_that_nobody_knows_are_taken_down(
        self, make: Make, path: Path
    ) -> None:
        storage = make()
        group = storage._messages_group
        storage._bells.hang(group, "never signed on").close()
        storage.sign_on("c", {})
        assert storage._bells.is_dead(group, "never signed on") is True

        storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)

        assert storage._bells.is_dead(group, "never signed on") is None
        assert storage._bells.is_dead(group, "c") is False


class TestCySqlite:
    def test_settings_win_over_pragmas_which_are_not_changed(self, path: Path) -> None:
        pragmas = {"cache_size": -1000, "synchronous": 1, "temp_store": 2}
        storage = CySqliteStorage("huey", path, pragmas, cache_mb=4, fsync=True)

        assert pragma(storage, "cache_size") == -4000
        assert pragma(storage, "synchronous") == 2
        assert pragma(storage, "temp_store") == 2
        assert pragma(storage, "journal_mode") == "wal"
        assert pragmas == {"cache_size": -1000, "synchronous": 1, "temp_store": 2}
        storage.close()

    def test_pragmas_count_without_settings(self, path: Path) -> None:
        storage = CySqliteStorage("huey", path, {"cache_size": -1000, "journal_mode": "truncate"})

        assert pragma(storage, "cache_size") == -1000
        assert pragma(storage, "journal_mode") == "truncate"
        storage.close()

    def test_errors_are_translated(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            CySqliteStorage("huey", tmp_path)
        storage = CySqliteStorage("huey", path, timeout=0.05)
        other = CySqliteStorage("huey", path)
        other.conn.execute("BEGIN IMMEDIATE")

        with pytest.raises(StorageError, match="locked"):
            storage.enqueue(b"a")

        other.close()
        storage.close()
