"""Bells: wake-ups between processes, and proof of life, by named pipes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from huey.storage import bells as module
from huey.storage.bells import Bell, Bells

#: How long anything may take before the test fails, in seconds.
PATIENCE = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
#: Hangs a bell, says so, and waits for its death.
OWNER = """
import sys
from huey.storage.bells import Bells
bell = Bells(sys.argv[1]).hang("group", "other")
print("hung", flush=True)
sys.stdin.read()
"""
#: The same, but its child says so, and lives on until its input ends.
FORKING_OWNER = OWNER.replace(
    'print("hung", flush=True)',
    "import os; child = os.fork()\nif child: os.waitpid(child, 0)\nprint('hung', flush=True)",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bells"


@pytest.fixture
def bells(folder: Path) -> Bells:
    return Bells(folder)


@pytest.fixture
def neighbour(folder: Path, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """A process that has hung the bell "other"."""
    command = [sys.executable, "-c", getattr(request, "param", OWNER), str(folder)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hung\n"
        yield process
        process.kill()


def listen(bell: Bell) -> threading.Thread:
    """Wait for a bell in a thread that ends when it rings."""
    thread = threading.Thread(target=bell.wait, args=(4 * PATIENCE,), daemon=True)
    thread.start()
    return thread


def has_ended(thread: threading.Thread) -> bool:
    thread.join(PATIENCE)
    return not thread.is_alive()


def test_all_bells_of_a_group_ring(bells: Bells, folder: Path) -> None:
    waiting = [listen(bells.hang("group", name)) for name in ("a", "b")]

    Bells(folder).ring("group")

    assert all(has_ended(thread) for thread in waiting)


def test_a_ring_before_the_waiting_counts(bells: Bells) -> None:
    bell = bells.hang("group", "a")
    bells.ring("group")

    assert has_ended(listen(bell))


def test_a_ring_that_was_answered_counts_no_more(bells: Bells) -> None:
    bell = bells.hang("group", "a")
    for _ in range(5000):
        bells.ring("group")

    bell.answer()

    thread = listen(bell)
    thread.join(0.05)
    assert thread.is_alive()
    bells.ring("group")
    assert has_ended(thread)


def test_a_bell_that_nobody_answers_holds_up_nobody(bells: Bells) -> None:
    bell = bells.hang("group", "a")
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(bell._fd, bytes(65536))

    bells.ring("group")
    bell.ring()

    assert has_ended(listen(bell))


def test_groups_do_not_ring_each_other(bells: Bells) -> None:
    bell = bells.hang("group", "a")
    bells.ring("other")

    thread = listen(bell)
    thread.join(0.05)

    assert thread.is_alive()
    bell.ring()
    assert has_ended(thread)


def test_a_bell_hung_right_after_a_ring_is_found(bells: Bells) -> None:
    for number in range(20):
        bells.ring("group")
        bell = bells.hang("group", str(number))
        bells.ring("group")

        assert has_ended(listen(bell))


def test_ringing_where_nobody_ever_waited_makes_nothing(bells: Bells, folder: Path) -> None:
    bells.ring("group")
    bells.ring_and_tidy("group")
    bells.take_down_others("group", [])

    assert not folder.exists()


def test_the_living_and_the_dead_are_told_apart(
    bells: Bells, neighbour: "subprocess.Popen[str]"
) -> None:
    assert bells.is_dead("group", "other") is False

    neighbour.send_signal(signal.SIGKILL)
    neighbour.wait(PATIENCE)

    assert bells.is_dead("group", "other") is True
    assert bells.is_dead("group", "unknown") is None


def test_a_stopped_process_lives(bells: Bells, neighbour: "subprocess.Popen[str]") -> None:
    neighbour.send_signal(signal.SIGSTOP)

    assert bells.is_dead("group", "other") is False


def test_bells_of_the_dead_are_taken_down(
    bells: Bells, folder: Path, neighbour: "subprocess.Popen[str]"
) -> None:
    kept = bells.hang("group", "mine")
    neighbour.kill()
    neighbour.wait(PATIENCE)

    bells.take_down_others("group", ["other"])
    assert bells.is_dead("group", "other") is True

    bells.ring_and_tidy("group")

    assert bells.is_dead("group", "other") is None
    assert bells.is_dead("group", "mine") is False
    assert kept.is_hanging


@pytest.mark.parametrize("neighbour", [FORKING_OWNER], indirect=True)
def test_a_forked_child_does_not_keep_its_parents_bell_alive(
    bells: Bells, neighbour: "subprocess.Popen[str]"
) -> None:
    neighbour.send_signal(signal.SIGKILL)
    neighbour.wait(PATIENCE)

    assert bells.is_dead("group", "other") is True


def test_a_bell_that_was_taken_down_is_missed(bells: Bells) -> None:
    bell = bells.hang("group", "mine")
    assert bell.is_hanging

    bells.take_down("group", "mine")

    assert not bell.is_hanging


def test_what_another_kernel_says_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bells(folder).hang("group", "mine").close()
    monkeypatch.setattr(module, "_boot", lambda: "another one")

    assert Bells(folder).is_dead("group", "mine") is None


@pytest.mark.parametrize("where", ["nowhere", "in a file"])
def test_deaf_bells_ring_within_the_process(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    bells = Bells(None if where == "nowhere" else tmp_path / "file")
    bell = bells.hang("group", "mine")
    assert bell.is_deaf

    thread = listen(bell)
    bells.ring("group")
    assert has_ended(thread)
    bell.answer()

    thread = listen(bell)
    bells.ring_and_tidy("group")
    assert has_ended(thread)
    assert bells.is_dead("group", "mine") is None
