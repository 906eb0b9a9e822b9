"""The journal of FileStorage: a change happens whole or not at all, whatever dies when."""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huey.exceptions import StorageError
from huey.storage.delivery import (
    ChordStep,
    Claim,
    DeadLetter,
    Move,
    Outgoing,
    Reservation,
    Settled,
    Settlement,
)
from huey.storage.file import FileStorage, disk, journal

#: Steps that touch the file system on behalf of a change.
STEPS = ("write_at", "move", "refill", "write_new", "remove")


class Death(BaseException):
    """The process dies here."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "huey"


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the process die at a given step; -1 lets it live."""
    left = [-1]

    def or_die(step: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            if left[0] == 0:
                raise Death
            left[0] -= 1
            return step(*arguments)

        return guarded

    for name in STEPS:
        monkeypatch.setattr(disk, name, or_die(getattr(disk, name)))
    return lambda count: left.__setitem__(0, count)


def everything(storage: FileStorage) -> dict[str, Any]:
    """All that can be seen from outside, once nobody holds anything."""
    for record in storage.consumers():
        storage.sign_off(record.id)
    return {
        "queue": storage.enqueued_items(),
        "schedule": storage.due(limit=999, now=9e9).messages,
        "results": storage.result_items(),
        "counters": {key: storage.incr(key, 0) for key in ("a", "b", "chord:ch")},
        "letters": storage.dead_letters(limit=999),
        "ticks": storage.last_ticks(),
    }


class TestAProcessThatDies:
    def test_at_any_step_of_a_settlement_has_settled_all_or_nothing(
        self, root: Path, dying: Callable[[int], None]
    ) -> None:
        seen = set()
        for step in range(40):
            storage = FileStorage("huey", root / str(step), fsync=False)
            storage.sign_on("c", {})
            storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b")])
            claims = storage.claim("c", 2)
            settlements = [
                Settlement(
                    claim,
                    results=((f"key-{number}", b"value"),),
                    outgoing=(Outgoing(b"next"), Outgoing(b"later", due=1.0)),
                    dead=DeadLetter(b"letter", "failed"),
                )
                for number, claim in enumerate(claims)
            ]
            dying(step)
            with contextlib.suppress(Death):
                storage.settle(settlements)
            dying(-1)

            fresh = FileStorage("huey", root / str(step), fsync=False)
            answers = fresh.settle(settlements)

            assert answers in ([Settled.DONE] * 2, [Settled.LOST] * 2), step
            seen.add(answers[0])
            assert fresh.enqueued_items() == [b"next"] * 2
            assert fresh.scheduled_items() == [b"later"] * 2
            assert fresh.result_items() == {"key-0": b"value", "key-1": b"value"}
            assert fresh.dead_count() == 2
            assert [record.claims for record in fresh.consumers()] == [0]
        assert seen == {Settled.DONE, Settled.LOST}

    def test_at_any_step_of_claiming_loses_nothing(
        self, root: Path, dying: Callable[[int], None]
    ) -> None:
        for step in range(8):
            storage = FileStorage("huey", root / str(step), fsync=False)
            storage.sign_on("c", {})
            storage.enqueue_many([Outgoing(b"%d" % number) for number in range(4)])
            dying(step)
            with contextlib.suppress(Death):
                storage.claim("c", 3)
            dying(-1)

            fresh = FileStorage("huey", root / str(step), fsync=False)
            fresh.recover("c")

            assert fresh.enqueued_items() == [b"0", b"1", b"2", b"3"]

    def test_while_it_enqueues_has_enqueued_all_or_nothing(
        self, root: Path, dying: Callable[[int], None]
    ) -> None:
        for step in range(12):
            storage = FileStorage("huey", root / str(step), fsync=False)
            dying(step)
            with contextlib.suppress(Death):
                storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b"), Outgoing(b"c")])
            dying(-1)

            fresh = FileStorage("huey", root / str(step), fsync=False)

            assert fresh.enqueued_items() in ([], [b"a", b"b", b"c"])


class TestADiskThatIsFull:
    def test_before_a_change_is_written_down_refuses_it(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = FileStorage("huey", root)
        storage.enqueue(b"a")

        with monkeypatch.context() as patch:
            patch.setattr(disk, "write_at", _no_space)
            with pytest.raises(StorageError, match="No space left"):
                storage.enqueue(b"b")

        assert storage.enqueued_items() == [b"a"]
        storage.enqueue(b"c")
        assert storage.enqueued_items() == [b"a", b"c"]

    def test_after_that_only_delays_it(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = FileStorage("huey", root)

        with monkeypatch.context() as patch:
            patch.setattr(disk, "write", _no_space)
            storage.enqueue(b"a")
            with pytest.raises(StorageError, match="No space left"):
                storage.enqueued_items()

        assert storage.enqueued_items() == [b"a"]


def _no_space(*_: Any) -> None:
    raise OSError(28, os.strerror(28))


class Life:
    """What a few consumers and producers do in some seconds, at random."""

    def __init__(self, storage: FileStorage, seed: int) -> None:
        self.storage = storage
        self.random = random.Random(seed)
        self.held: list[Claim] = []
        self.number = 0

    def live(self, steps: int) -> None:
        """Do something, many times."""
        self.storage.sign_on("c", {})
        actions = [
            self.enqueue,
            self.claim,
            self.settle,
            self.settle,
            self.release,
            self.recover,
            self.values,
            self.schedule,
            self.dequeue,
        ]
        for _ in range(steps):
            self.random.choice(actions)()

    def fresh(self) -> bytes:
        """Bytes that were never used."""
        self.number += 1
        return b"%d" % self.number

    def enqueue(self) -> None:
        wish = Reservation(self.random.choice("ab"), self.fresh().decode())
        self.storage.enqueue_many(
            [
                Outgoing(self.fresh(), priority=self.random.choice([None, 3])),
                Outgoing(self.fresh(), due=float(self.random.randrange(9))),
                Outgoing(self.fresh(), reservation=wish, attempt=2),
                Outgoing(os.urandom(300_000)),
            ]
        )

    def claim(self) -> None:
        self.held += self.storage.claim("c", self.random.randrange(1, 4))

    def settle(self) -> None:
        self.random.shuffle(self.held)
        done, self.held = self.held[:3], self.held[3:]
        self.storage.settle(
            [
                Settlement(
                    claim,
                    results=((self.random.choice("xyz"), self.fresh()),),
                    outgoing=(Outgoing(self.fresh()),),
                    delete=(self.random.choice("xyz"),),
                    chord=ChordStep("ch", self.number, 10_000, b"v"),
                    dead=DeadLetter(self.fresh(), "failed", died_at=1.0),
                )
                for claim in done
            ]
        )

    def release(self) -> None:
        self.storage.release(self.held[:1])
        self.held = self.held[1:]

    def recover(self) -> None:
        self.storage.recover("c")
        self.storage.sign_on("c", {})
        self.held = []

    def values(self) -> None:
        self.storage.put_data(self.random.choice("xyz"), self.fresh())
        self.storage.pop_data(self.random.choice("xyz"))
        self.storage.incr(self.random.choice("ab"))
        self.storage.tick("t", float(self.number), Outgoing(self.fresh()))

    def schedule(self) -> None:
        for item in self.storage.due(limit=2, now=5.0).messages:
            self.storage.promote([Move(item, due=self.random.choice([None, 7.0]))])

    def dequeue(self) -> None:
        self.storage.dequeue()


@pytest.fixture
def new_boot(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Start the machine anew, as far as the storage can tell."""

    def start() -> None:
        monkeypatch.setattr(journal, "_boot", lambda: os.urandom(16))
        boot = journal._boot()
        monkeypatch.setattr(journal, "_boot", lambda: boot)

    return start


class TestAPowerFailure:
    @pytest.mark.parametrize("seed", range(12))
    def test_that_leaves_nothing_but_the_journal_loses_nothing(
        self, seed: int, root: Path, tmp_path: Path, new_boot: Callable[[], None]
    ) -> None:
        storage = FileStorage("huey", root)
        Life(storage, seed).live(60)
        left = tmp_path / "left"
        left.mkdir()
        shutil.copy(root / "journal", left)
        _keep_large_files(root, left)

        expected = everything(storage)
        new_boot()

        assert everything(FileStorage("huey", left)) == expected

    @pytest.mark.parametrize("seed", range(12))
    def test_that_leaves_files_empty_loses_nothing(
        self, seed: int, root: Path, tmp_path: Path, new_boot: Callable[[], None]
    ) -> None:
        storage = FileStorage("huey", root)
        Life(storage, seed).live(60)
        left = tmp_path / "left"
        shutil.copytree(root, left, ignore=shutil.ignore_patterns("bells"))
        for folder, _, names in os.walk(left):
            for name in names:
                path = os.path.join(folder, name)
                # Large files are synced by themselves.
                if name != "journal" and os.path.getsize(path) < 200_000:
                    os.truncate(path, 0)

        expected = everything(storage)
        new_boot()

        assert everything(FileStorage("huey", left)) == expected

    def test_cuts_off_what_was_not_written_in_full(
        self, root: Path, new_boot: Callable[[], None]
    ) -> None:
        storage = FileStorage("huey", root)
        storage.enqueue(b"a")
        whole = os.path.getsize(root / "journal")
        storage.enqueue(b"b")
        os.truncate(root / "journal", os.path.getsize(root / "journal") - 1)
        shutil.rmtree(root / "queue")
        assert whole > 0

        new_boot()

        assert FileStorage("huey", root).enqueued_items() == [b"a"]


def _keep_large_files(root: Path, left: Path) -> None:
    """They were synced under their unfinished name, before they were put in their place."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if name != "journal" and path.stat().st_size > 200_000:
                relative = path.relative_to(root)
                if relative.parts[0] == "claims":
                    relative = Path("queue") / name.rpartition("~")[0]
                (left / relative).parent.mkdir(exist_ok=True)
                shutil.copy(path, left / f"{relative}.tmp")


def test_the_journal_begins_anew_when_it_has_grown(
    root: Path, monkeypatch: pytest.MonkeyPatch, new_boot: Callable[[], None]
) -> None:
    monkeypatch.setattr(journal, "_LIMIT", 20_000)
    storage = FileStorage("huey", root)
    life = Life(storage, 1)
    life.live(200)

    assert os.path.getsize(root / "journal") < 80_000
    before = everything(storage)
    new_boot()
    assert everything(FileStorage("huey", root)) == before


def test_records_of_an_older_journal_are_not_taken_for_new_ones(
    root: Path, monkeypatch: pytest.MonkeyPatch, new_boot: Callable[[], None]
) -> None:
    """They are as long as the new ones, so that they begin where the new ones end."""
    monkeypatch.setattr(journal, "_LIMIT", 2_000)
    storage = FileStorage("huey", root)
    for number in range(100):
        storage.put_data("k", b"%03d" % number)
    expected = storage.result_items()

    new_boot()

    assert FileStorage("huey", root).result_items() == expected == {"k": b"099"}


def test_where_the_kernel_has_no_name_files_are_synced_with_each_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(journal, "_boot", lambda: journal._UNKNOWN)
    monkeypatch.setattr(disk, "sync_all", synced.append)
    storage = FileStorage("huey", root)

    storage.enqueue(b"a")
    storage.put_data("k", b"v")

    assert len(synced) == 1
    assert FileStorage("huey", root).enqueued_items() == [b"a"]
