"""What FileStorage does beyond the contract: its files, their order, and Huey 3.5.4 beside it."""

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from huey.constants import EmptyData
from huey.storage.delivery import DeadLetter, Move, Outgoing, Reservation, Settlement
from huey.storage.file import FileStorage, layout
from huey.storage.file.layout import Place

#: How long anything may take before a test fails, in seconds.
PATIENCE = 30.0

Make = Callable[..., FileStorage]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "huey"


@pytest.fixture
def storage(root: Path) -> FileStorage:
    return FileStorage("huey", root, fsync=False)


def names(folder: Path) -> list[str]:
    """The names in a folder, in the order in which Huey 3.5.4 takes them."""
    return sorted(os.listdir(folder)) if folder.exists() else []


class TestTheFolder:
    def test_must_be_one(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(ValueError, match="is not a directory"):
            FileStorage("huey", tmp_path / "file")

    @pytest.mark.parametrize("levels", [-1, 5])
    def test_is_not_too_deep(self, root: Path, levels: int) -> None:
        with pytest.raises(ValueError, match="between 0 and 4"):
            FileStorage("huey", root, levels=levels)

    def test_is_shared_by_all_names(self, root: Path) -> None:
        FileStorage("a", root).enqueue(b"m")

        assert FileStorage("b", root).dequeue() == b"m"

    def test_has_no_lock_file_if_threads_lock(self, root: Path) -> None:
        FileStorage("huey", root, use_thread_lock=True).enqueue(b"m")

        assert not (root / ".lock").exists()

    def test_may_vanish_and_come_back(self, storage: FileStorage, root: Path) -> None:
        storage.enqueue(b"lost with its folder")
        for folder, _, files in os.walk(root, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
        root.mkdir()

        storage.enqueue(b"m")

        assert FileStorage("huey", root).enqueued_items() == [b"m"]


class TestTheQueue:
    def test_has_names_that_huey_sorts_as_we_do(self, storage: FileStorage, root: Path) -> None:
        for number in range(20):
            storage.enqueue(b"%02d" % number)
        storage.enqueue(b"first", 7)

        in_order = [(root / "queue" / name).read_bytes() for name in names(root / "queue")]

        assert in_order == [b"first", *(b"%02d" % number for number in range(20))]
        assert names(root / "queue")[0].startswith("fff8-")

    @pytest.mark.parametrize("priority", [-1, 65536])
    def test_refuses_a_priority_that_has_no_name(self, storage: FileStorage, priority: int) -> None:
        with pytest.raises(ValueError, match="from 0 to 65535"):
            storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b", priority=priority)])

        assert storage.queue_size() == 0

    def test_takes_whole_priorities(self, storage: FileStorage) -> None:
        storage.enqueue(b"a", 1.2)
        storage.enqueue(b"b", 1.9)
        storage.enqueue(b"c", 65535)

        assert storage.enqueued_items() == [b"c", b"a", b"b"]

    def test_settling_never_fails_for_a_priority(self, storage: FileStorage) -> None:
        storage.settle([Settlement(outgoing=(Outgoing(b"m", priority=-5),))])

        assert storage.enqueued_items() == [b"m"]

    def test_keeps_its_order_when_the_clock_steps_back(
        self, storage: FileStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage.enqueue(b"a")
        monkeypatch.setattr("huey.storage.file.work.time.time", lambda: 1_000_000_000.0)
        storage.enqueue(b"b")
        again = FileStorage("huey", storage.path, fsync=False)
        again.enqueue(b"c")

        assert storage.enqueued_items() == [b"a", b"b", b"c"]

    def test_has_room_for_thousands_in_a_millisecond(self) -> None:
        place = Place(5, 998)

        assert place.after(5) == Place(5, 999)
        assert place.after(5).after(5) == Place(6, 0)
        assert place.after(7) == Place(7, 0)
        assert layout.queue_name(0, Place(5, 999)) < layout.queue_name(0, Place(6, 0))

    def test_is_strictly_in_order_whoever_puts_in(self, root: Path) -> None:
        storage = FileStorage("huey", root, fsync=False)

        def produce(thread: int) -> None:
            for number in range(50):
                storage.enqueue(b"%d-%02d" % (thread, number))

        threads = [threading.Thread(target=produce, args=(thread,)) for thread in range(10)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(PATIENCE)
        taken = [storage.dequeue() for _ in range(500)]

        assert storage.dequeue() is None
        for thread in range(10):
            mine = [data for data in taken if data and data.startswith(b"%d-" % thread)]
            assert mine == [b"%d-%02d" % (thread, number) for number in range(50)]


class TestValues:
    def test_lie_where_huey_looks_for_them(self, root: Path) -> None:
        for levels in range(5):
            storage = FileStorage("huey", root / str(levels), levels=levels)
            storage.put_data("k", b"value")

            path = Path(storage.path_for_key(b"k"))

            digest = "8ce4b16b22b58894aa86c421e8759df3"
            assert path.relative_to(root / str(levels)).parts == (
                "results",
                *digest[:levels],
                digest,
            )
            assert path.read_bytes() == struct.pack(">I", 1) + b"k" + b"value"

    def test_leave_folders_when_they_are_read_and_none_when_flushed(
        self, storage: FileStorage, root: Path
    ) -> None:
        storage.put_data("k", b"value")
        storage.put_data("l", b"value")

        storage.pop_data("k")
        assert (root / "results" / "8" / "c").is_dir()

        storage.flush_results()
        assert list((root / "results").iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\0\1", b"\0\0\0\5k"])
    def test_that_were_cut_short_are_none(self, storage: FileStorage, content: bytes) -> None:
        storage.put_data("k", b"value")
        storage.put_data("l", b"value")
        Path(storage.path_for_key("k")).write_bytes(content)

        assert storage.peek_data("k") is EmptyData
        assert storage.result_items() == {"l": b"value"}
        assert storage.lock("k", b"new") is True

    def test_count_in_decimal(self, storage: FileStorage, root: Path) -> None:
        storage.incr("c", 5)
        storage.incr("c", -7)

        (counter,) = (root / "counters").iterdir()
        assert counter.read_bytes() == b"-2"

    def test_stay_when_a_new_one_does_not_fit(self, root: Path) -> None:
        FileStorage("huey", root).put_data("k", b"old")

        done = subprocess.run(
            [sys.executable, "-c", _TOO_LARGE, str(root)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

        assert done.stdout.strip() == "StorageError b'old' 1", done.stderr
        storage = FileStorage("huey", root)
        assert storage.peek_data("k") == b"old"
        storage.put_data("k", b"new")
        assert storage.result_items() == {"k": b"new"}


#: A process that may not write files beyond a size: the system's own way to be full.
_TOO_LARGE = f"""
import resource, signal, sys
from huey.storage.file import FileStorage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({2 << 20}, resource.RLIM_INFINITY))
storage = FileStorage("huey", sys.argv[1])
try:
    storage.put_data("k", b"x" * {8 << 20})
except Exception as error:
    print(type(error).__name__, storage.peek_data("k"), storage.result_store_size())
"""


class TestHueyBesideUs:
    """Files as Huey 3.5.4 would write them, under its names and its lock."""

    def test_puts_messages_in_that_we_find(self, storage: FileStorage, root: Path) -> None:
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"%d" % number) for number in range(3)])
        assert [claim.data for claim in storage.claim("c", 1)] == [b"0"]

        (root / "queue" / "fff6-01a206a9ad8b").write_bytes(b"urgent")
        (root / "queue" / "fff6-01a206a9ad8c.tmp").write_bytes(b"unfinished")
        found = set()
        for _ in range(10_000):
            found |= {claim.data for claim in storage.claim("c", 1)}
            if b"urgent" in found:
                break

        assert b"urgent" in found
        assert b"unfinished" not in found

    def test_takes_messages_out_that_we_knew_of(self, storage: FileStorage, root: Path) -> None:
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"%d" % number) for number in range(4)])
        storage.claim("c", 1)

        os.unlink(root / "queue" / names(root / "queue")[0])

        assert [claim.data for claim in storage.claim("c", 5)] == [b"2", b"3"]

    def test_does_not_see_what_we_hold_and_gets_it_back_in_place(
        self, storage: FileStorage, root: Path
    ) -> None:
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b")])
        before = names(root / "queue")

        claims = storage.claim("c", 1)
        assert names(root / "queue") == before[1:]

        storage.release(claims)
        assert names(root / "queue") == before

    def test_has_names_of_its_own_on_the_schedule(self, storage: FileStorage, root: Path) -> None:
        storage.enqueue_many([Outgoing(b"ours", due=1_700_000_000.123456)])
        for name in ("018bcfe56800", "018bcfe56800.001", "no-time-at-all"):
            (root / "schedule" / name).write_bytes(name.encode())

        foreign = storage.unverified()

        assert [item.data for item in foreign] == [b"018bcfe56800", b"018bcfe56800.001"]
        assert [item.due for item in foreign] == [1_700_000_000.0] * 2
        assert storage.unverified() == []
        storage.promote([Move(item, due=item.due + 3600) for item in foreign])
        assert FileStorage("huey", root).unverified() == []
        assert [item.due for item in storage.due().messages] == [
            1_700_000_000.123456,
            1_700_003_600.0,
            1_700_003_600.0,
        ]

    def test_over_an_expiring_value_stays(self, storage: FileStorage) -> None:
        storage.lock("k", b"ours", ttl=0.0)
        Path(storage.path_for_key("k")).write_bytes(layout.packed("k", b"theirs"))

        assert storage.peek_data("k") == b"theirs"
        storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)
        assert storage.peek_data("k") == b"theirs"
        assert storage.lock("k", b"more") is False


class TestConsumers:
    @pytest.mark.parametrize("name", ["a/b", "..", "a.tmp", "ü ~ %", "x" * 300])
    def test_may_have_any_name(self, storage: FileStorage, name: str) -> None:
        storage.sign_on(name, {"pid": 1})
        storage.enqueue(b"m")

        (claim,) = storage.claim(name, 1)

        assert [(record.id, record.claims) for record in storage.consumers()] == [(name, 1)]
        assert storage.release([claim]) == 1

    def test_whose_record_was_lost_are_found_by_what_they_hold(
        self, storage: FileStorage, root: Path
    ) -> None:
        storage.sign_on("c 1", {})
        storage.enqueue(b"m")
        storage.claim("c 1", 1)
        (record,) = (root / "consumers").iterdir()
        record.unlink()

        assert [(one.id, one.beat, one.claims) for one in storage.consumers()] == [("c 1", 0, 1)]
        assert storage.recover("c 1", beat=0) == 1
        assert storage.consumers() == []
        assert storage.enqueued_items() == [b"m"]

    def test_that_died_are_known_to_be_gone(self, storage: FileStorage) -> None:
        storage.sign_on("mine", {})
        child = os.fork()
        if not child:
            storage.sign_on("child", {})
            os._exit(0)
        os.waitpid(child, 0)

        gone = {record.id: storage.is_gone(record) for record in storage.consumers()}

        assert gone == {"mine": False, "child": True}


def test_sweeping_removes_what_was_never_finished(storage: FileStorage, root: Path) -> None:
    storage.enqueue(b"m")
    old, new = root / "queue" / "old.tmp", root / "queue" / "new.tmp"
    old.touch()
    new.touch()
    os.utime(old, (1, 1))

    storage.sweep(max_dead=9, max_dead_age=9e9, max_mark_age=9e9)

    assert not old.exists()
    assert new.exists()
    assert storage.enqueued_items() == [b"m"]


def test_large_contents_are_written_once_and_arrive(storage: FileStorage) -> None:
    large = os.urandom(3 << 20)
    storage.sign_on("c", {})

    storage.enqueue_many([Outgoing(large, reservation=Reservation("k", "id")), Outgoing(b"small")])
    claims = storage.claim("c", 5)
    letter = DeadLetter(large, "failed", "a\nb")
    storage.settle([Settlement(claims[0], results=(("r", large),), dead=letter)])

    assert claims[0].data == large
    assert storage.peek_data("r") == large
    assert storage.dead_letters()[0].data == large
    assert storage.dead_letters()[0].detail == "a\nb"
    assert os.path.getsize(os.path.join(storage.path, "journal")) < 1 << 20
