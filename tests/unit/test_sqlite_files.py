"""The file of the SQLite storage: which it refuses, how it is lost and found, what can go wrong."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.delivery import Outgoing, Settlement
from huey.storage.sql.sqlite import SqliteStorage, connecting

Make = Callable[..., SqliteStorage]


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


class TestTheFile:
    def test_a_directory_is_refused_by_name(self, make: Make, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            make(filename=tmp_path)

    def test_a_missing_directory_is_named(self, make: Make, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="in a directory that exists"):
            make(filename=tmp_path / "nowhere" / "huey.db")

    def test_another_kind_of_file_is_refused_and_kept(self, make: Make, path: Path) -> None:
        path.write_bytes(b"These are no tables, but a novel. " * 100)

        with pytest.raises(ConfigurationError, match="not an SQLite database"):
            make()

        assert path.read_bytes().startswith(b"These are no tables")

    def test_the_tables_of_another_application_are_refused(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        raw().execute("CREATE TABLE task (id integer PRIMARY KEY, title text, done bool)")

        with pytest.raises(ConfigurationError, match="id, title, done"):
            make()

        assert raw().execute("SELECT name FROM sqlite_master").fetchall() == [("task",)]

    def test_a_file_that_cannot_be_written_is_named(self, make: Make, path: Path) -> None:
        make()
        storage = make(filename=f"file:{path}?mode=ro", uri=True)

        with pytest.raises(StorageError, match=r"huey\.db.* cannot be written"):
            storage.enqueue(b"a")

        assert storage.queue_size() == 0

    def test_a_uri_may_name_a_database_in_memory(self, make: Make, tmp_path: Path) -> None:
        storage = make(filename="file:some?mode=memory", uri=True)

        storage.enqueue(b"a")

        assert storage.queue_size() == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_relative_name_means_the_same_file_after_a_change_of_directory(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        storage = make(filename="huey.db")
        storage.enqueue(b"a")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

        storage.close()

        assert storage.enqueued_items() == [b"a"]
        assert not (tmp_path / "elsewhere" / "huey.db").exists()

    @pytest.mark.parametrize("replaced", [True, False])
    def test_a_deleted_or_replaced_file_is_opened_anew(
        self, make: Make, path: Path, replaced: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        storage = make()
        storage.enqueue(b"lost with the file")
        storage.queue_size()
        path.rename(path.with_suffix(".old"))
        if replaced:
            make().enqueue(b"new")

        storage.enqueue(b"mine")

        assert make().enqueued_items() == ([b"new"] if replaced else []) + [b"mine"]
        assert "deleted or replaced" in caplog.text

    def test_a_database_in_memory_leaves_no_file(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        make(filename=":memory:").enqueue(b"a")

        assert list(tmp_path.iterdir()) == []


class TestChecking:
    def test_a_local_file_that_is_synced_is_fit_for_a_queue(self, make: Make) -> None:
        assert make().check() == []

    def test_what_endangers_a_queue_is_named(
        self, make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connecting, "remote_kind", lambda path: "nfs4")

        network, unsynced = make(fsync=False).check()

        assert f"{path} is on a network file system (nfs4)" in network
        assert "fsync=False" in unsynced
        assert "in memory" in make(filename=":memory:").check()[0]


class TestErrors:
    def test_a_full_disk_takes_nothing_by_half_and_works_again_afterwards(self, make: Make) -> None:
        storage = make()
        storage.enqueue(b"before")
        pages = pragma(storage, "page_count")
        storage.conn.execute(f"PRAGMA max_page_count = {pages + 5}")

        with pytest.raises(StorageError, match="disk is full") as caught:
            storage.enqueue_many([Outgoing(bytes(9000)) for _ in range(20)])

        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert storage.enqueued_items() == [b"before"]
        storage.enqueue(b"after")
        assert storage.enqueued_items() == [b"before", b"after"]

    def test_a_failed_commit_leaves_no_transaction_open(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        storage = make()

        def deny_commit(action: int, first: str | None, *_: Any) -> int:
            refused = action == sqlite3.SQLITE_TRANSACTION and first == "COMMIT"
            return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

        storage.conn.set_authorizer(deny_commit)
        with pytest.raises(StorageError):
            storage.put_data("k", b"1")

        raw().execute("BEGIN IMMEDIATE")
        assert not storage.has_data_for_key("k")

    def test_who_finds_it_locked_for_too_long_is_told_so(
        self, make: Make, raw: Callable[[], sqlite3.Connection]
    ) -> None:
        storage = make(timeout=0.05)
        other = raw()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            storage.enqueue(b"a")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            storage.put_data("k", b"1")
        assert storage.queue_size() == 0

        other.execute("ROLLBACK")

        storage.enqueue(b"a")
        assert storage.queue_size() == 1

    def test_who_finds_the_gate_taken_for_too_long_is_told_so(self, make: Make) -> None:
        holder, storage = make(), make(timeout=0.05)
        assert holder._gate.enter(1)
        try:
            with pytest.raises(StorageError, match="have kept it locked"):
                storage.enqueue(b"a")
        finally:
            holder._gate.leave()

        storage.enqueue(b"a")

    def test_without_a_place_for_bells_and_gate_all_works_by_polling(
        self, make: Make, path: Path
    ) -> None:
        # A file where the directory should be: root could write into any directory.
        Path(f"{path}-bells").write_text("in the way")
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue(b"a")

        (claim,) = storage.claim("c", 1, block=1)

        storage.settle([Settlement(claim, results=(("r", b"1"),))])
        assert storage.wait_result("r", timeout=1)
        assert storage.is_gone(storage.consumers()[0]) is None
