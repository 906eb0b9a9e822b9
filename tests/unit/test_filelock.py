"""FileLock: one at a time, whoever they are."""

import os
import threading
from pathlib import Path
from types import ModuleType

import pytest

from huey.storage import filelock
from huey.storage.filelock import FileLock

#: How long anything may take before a test fails, in seconds.
PATIENCE = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "lock"


def try_in_a_child(lock: FileLock, ready: int) -> int:
    """Fork a child that takes the lock and then says so."""
    child = os.fork()
    if child:
        return child
    try:
        with lock:
            os.write(ready, b"!")
    finally:
        os._exit(0)


def test_making_a_lock_makes_its_folder(path: Path) -> None:
    with FileLock(path):
        assert path.exists()


def test_making_a_lock_keeps_a_file_that_others_wait_for(path: Path) -> None:
    with FileLock(path):
        inode = path.stat().st_ino

        FileLock(path)

        assert path.stat().st_ino == inode
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("shared", [True, False])
def test_threads_take_turns(path: Path, shared: bool) -> None:
    common = FileLock(path)
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        lock = common if shared else FileLock(path)
        for _ in range(50):
            with lock:
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert most == [1] * 200


def test_a_forked_child_has_to_wait_for_its_parent(path: Path) -> None:
    lock = FileLock(path)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    with lock:
        child = try_in_a_child(lock, writer)
        # The child cannot end before the lock is free: if it could, this would reap it.
        for _ in range(20):
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            threading.Event().wait(0.005)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)

    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"!"


def take_and_leave(lock: FileLock) -> None:
    lock.acquire()
    lock.release()


def test_the_descriptor_of_a_thread_goes_with_it(path: Path) -> None:
    lock = FileLock(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    def take() -> None:
        with lock:
            """Only to have opened it."""

    for _ in range(20):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(PATIENCE)

    after = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert after <= before + 1


def test_a_platform_without_file_locks_is_warned_of(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: ModuleType | None = None
    monkeypatch.setattr(filelock, "fcntl", nothing)

    with pytest.warns(RuntimeWarning, match="locks nothing"):
        lock = FileLock(path)

    with lock:
        assert not path.exists()
