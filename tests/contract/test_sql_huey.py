"""SqlStorage of contrib keeps the classic contract, on SQLite and PostgreSQL."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from huey.exceptions import ConfigurationError
from huey.testing.storage_contract import ClassicContract, MakeStorage

peewee = pytest.importorskip("peewee")
sql_huey = pytest.importorskip("huey.contrib.sql_huey")


class TestSqlStorageOnSqlite(ClassicContract):
    zero_means_no_limit = False
    expires_data = False

    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Iterator[MakeStorage]:
        database = peewee.SqliteDatabase(str(tmp_path / "huey.db"), timeout=30)

        def make(name: str = "huey", **kwargs: Any) -> Any:
            return sql_huey.SqlStorage(name, database=database, **kwargs)

        yield make
        database.close()


# peewee has a connection for each thread, and the threads of these tests do not close theirs.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestSqlStorageOnPostgres(ClassicContract):
    zero_means_no_limit = False
    expires_data = False

    def test_keys_may_be_text_or_bytes_of_any_kind(self, storage: Any) -> None:
        for key in ("kéy ☃", b"bytes", "a/b:c.d", "x" * 255):
            storage.put_data(key, b"1")
            assert storage.peek_data(key) == b"1"
        # The tables are those of Huey 3.5.4, which are that narrow.
        with pytest.raises(peewee.DataError):
            storage.put_data("x" * 256, b"1")

    @pytest.fixture
    def make_storage(self, postgres_url: str) -> Iterator[MakeStorage]:
        database = peewee.PostgresqlDatabase(postgres_url)

        def make(name: str = "huey", **kwargs: Any) -> Any:
            return sql_huey.SqlStorage(name, database=database, **kwargs)

        yield make
        database.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/huey.db"


def test_a_database_has_to_be_named() -> None:
    with pytest.raises(ConfigurationError, match="database="):
        sql_huey.SqlStorage("huey")


def test_a_url_is_enough(url: str) -> None:
    storage = sql_huey.SqlStorage("huey", url)

    storage.enqueue(b"m")

    assert storage.dequeue() == b"m"
    assert storage.close() is True
    assert storage.close() is False
    storage.check_conn()
    assert storage.close() is True


def test_the_tables_are_those_of_huey(url: str, tmp_path: Path) -> None:
    storage = sql_huey.SqlStorage("huey", url)
    storage.add_to_schedule(b"m", datetime(2030, 1, 1, 0, 0, 0, 123456))
    storage.close()

    with sqlite3.connect(tmp_path / "huey.db") as database:
        found = dict(database.execute("SELECT name, type FROM sqlite_master WHERE sql NOT NULL"))
        row = database.execute("SELECT queue, data, timestamp FROM schedule").fetchone()
    database.close()

    assert found == {
        "kv": "table",
        "schedule": "table",
        "task": "table",
        "counter": "table",
        "schedule_queue_timestamp": "index",
        "task_priority_id": "index",
    }
    assert row == ("huey", b"m", int(datetime(2030, 1, 1).timestamp() * 1000) + 123)


def test_tables_are_not_made_when_not_wanted(url: str) -> None:
    storage = sql_huey.SqlStorage("huey", url, create_tables=False)

    with pytest.raises(peewee.OperationalError):
        storage.enqueue(b"m")

    storage.initialize_schema()
    storage.enqueue(b"m")
    assert [bytes(task.data) for task in storage.tasks()] == [b"m"]
    storage.drop_tables()
    with pytest.raises(peewee.OperationalError):
        storage.queue_size()
    storage.close()


def test_a_writer_waits_for_another_connection(url: str, tmp_path: Path) -> None:
    storage = sql_huey.SqlStorage("huey", url)
    other = sqlite3.connect(tmp_path / "huey.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    def write() -> None:
        storage.enqueue(b"m")
        storage.close()

    writer = threading.Thread(target=write)
    writer.start()
    other.execute("COMMIT")
    writer.join(30)
    other.close()

    assert storage.queue_size() == 1
    storage.close()


def test_sql_huey_makes_a_huey(url: str) -> None:
    huey = sql_huey.SqlHuey("mine", database=url)

    assert (huey.name, huey.storage.name) == ("mine", "mine")
    assert isinstance(huey.storage, sql_huey.SqlStorage)
    huey.storage.close()


def test_a_missing_peewee_is_named_with_its_extra() -> None:
    program = "import sys; sys.modules['peewee'] = None; import huey.contrib.sql_huey"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert 'pip install "huey[sql]"' in done.stderr
