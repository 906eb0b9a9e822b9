"""Wake-ups between processes that share files: a directory of named pipes.

Who waits hangs a bell: a named pipe that it holds open for reading. Who has news writes one byte
into each. The kernel closes a pipe with its process, by whatever death, so a bell without a reader
also proves that its owner is gone. Where there are no named pipes, bells are deaf: they can be rung
from within the process only, and who waits has to look for itself now and then.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import threading
import time
import weakref
from pathlib import Path

#: A change of a directory within this many seconds of reading it may have been missed: the times
#: of files advance in steps, of up to ten milliseconds on common systems.
_TIME_STEP = 0.05
_RING = b"!"


def _boot() -> str:
    """Name this run of this kernel: what it says about readers holds for its own processes only."""
    with contextlib.suppress(OSError):
        return _short(Path("/proc/sys/kernel/random/boot_id").read_text())
    return _short(os.uname().nodename if hasattr(os, "uname") else "")


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:20]


class Bell:
    """One waits for it, anybody rings it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd = -1
        self._rung = threading.Event()
        if path is not None:
            # For writing, too: with no writer left, a pipe would count as readable for ever.
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        _open_bells.add(self)

    def __del__(self) -> None:
        self.close()

    @property
    def is_deaf(self) -> bool:
        """Whether other processes cannot ring it."""
        return self._fd < 0

    @property
    def is_hanging(self) -> bool:
        """Whether it is still where others look for it."""
        return self._path is None or self._path.exists()

    def answer(self) -> None:
        """Forget the rings so far; look for news after this call, not before."""
        self._rung.clear()
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._fd, 4096)) == 4096:
                    pass

    def wait(self, timeout: float | None) -> None:
        """Wait until it rings, for at most ``timeout`` seconds; a ring before this call counts."""
        fd = self._fd
        if fd < 0:
            self._rung.wait(timeout)
        elif not self._rung.is_set():
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            # Rounded up: a wait that ends too early would be repeated at once, again and again.
            poll.poll(None if timeout is None else int(timeout * 1000) + 1)

    def ring(self) -> None:
        """End the waiting, or the next one; for threads of the process that hung it."""
        self._rung.set()
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):  # full of rings already
                os.write(self._fd, _RING)

    def close(self, remove: bool = False) -> None:
        """Stop listening; with ``remove``, leave no trace either."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            if remove and self._path is not None:
                self._path.unlink(missing_ok=True)


class Bells:
    """The bells in a directory, in groups of those who wait for the same news.

    Args:
        directory: is made when the first bell is hung; None: all bells are deaf.
    """

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        self._directory = Path(directory) if directory is not None else None
        self._boot = _boot()
        self._lists: dict[str, tuple[int, list[str]]] = {}
        self._deaf: dict[str, weakref.WeakSet[Bell]] = {}
        self._folders: dict[str, str] = {}

    def hang(self, group: str, name: str) -> Bell:
        """Hang a bell, deaf if need be; a name is used by one process at a time."""
        if self._directory is None or not hasattr(os, "mkfifo"):
            return self._hang_deaf(group)
        path = self._path(group, name)
        try:
            while True:
                path.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    os.mkfifo(path)
                bell = Bell(path)
                # Somebody may have found it before it was open, and taken it down as abandoned.
                if bell.is_hanging:
                    return bell
                bell.close()
        except OSError:
            # Not writable, or a file system without pipes: waiting works, if less promptly.
            return self._hang_deaf(group)

    def _hang_deaf(self, group: str) -> Bell:
        bell = Bell(None)
        self._deaf.setdefault(group, weakref.WeakSet()).add(bell)
        return bell

    def ring(self, group: str) -> None:
        """Ring all bells of a group."""
        self._ring_deaf(group)
        for path in self._listed(group):
            _reach(path)

    def ring_and_tidy(self, group: str) -> None:
        """Ring all bells of a group, and take down those whose owner is dead."""
        self._ring_deaf(group)
        for path in self._listed(group):
            if _reach(path) is False:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _ring_deaf(self, group: str) -> None:
        if self._deaf:
            for bell in list(self._deaf.get(group, ())):
                bell.ring()

    def is_dead(self, group: str, name: str) -> bool | None:
        """Tell whether the owner of a bell is dead; None if there is no such bell on this host."""
        if self._directory is None:
            return None
        alive = _reach(self._path(group, name), b"")
        return None if alive is None else not alive

    def take_down(self, group: str, name: str) -> None:
        """Remove the bell of an owner that is dead, or will be."""
        if self._directory is not None:
            with contextlib.suppress(OSError):
                self._path(group, name).unlink()

    def take_down_others(self, group: str, names: list[str]) -> None:
        """Remove the bells of dead owners, but for these names."""
        kept = {str(self._path(group, name)) for name in names} if self._directory else set()
        for path in self._listed(group):
            if path not in kept and _reach(path, b"") is False:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _path(self, group: str, name: str) -> Path:
        return Path(self._folder(group), f"{_short(name)}.{self._boot[:8]}")

    def _folder(self, group: str) -> str:
        folder = self._folders.get(group)
        if folder is None:
            assert self._directory is not None
            folder = self._folders[group] = os.path.join(self._directory, _short(group))
        return folder

    def _listed(self, group: str) -> list[str]:
        """List the paths of a group; the directory is read again only after it has changed."""
        if self._directory is None:
            return []
        folder = self._folder(group)
        try:
            changed = os.stat(folder).st_mtime_ns
            known = self._lists.get(group)
            if known is not None and known[0] == changed:
                return known[1]
            paths = [os.path.join(folder, name) for name in os.listdir(folder)]
        except OSError:
            return []  # nobody has ever waited
        if time.time() - changed / 1e9 > _TIME_STEP:
            self._lists[group] = (changed, paths)
        return paths


def _reach(path: str | Path, message: bytes = _RING) -> bool | None:
    """Write into a pipe; False if nobody has it open for reading, None if it cannot be told."""
    try:
        # Opened anew each time: a kept descriptor would raise SIGPIPE when the reader dies, which
        # kills an application that does not ignore that signal.
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as exc:
        return False if exc.errno == errno.ENXIO else None
    try:
        if message:
            os.write(fd, message)
    except OSError:
        pass  # full: it will be answered anyway; or its reader died just now
    finally:
        os.close(fd)
    return True


_open_bells: weakref.WeakSet[Bell] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A child that held the pipes of its parent open would keep the dead parent alive for others.
    for bell in list(_open_bells):
        bell._rung = threading.Event()
        bell.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
