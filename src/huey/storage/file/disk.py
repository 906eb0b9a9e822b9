"""Files as the storage needs them: whole or not there."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from huey.exceptions import StorageError
from huey.storage.file.layout import UNFINISHED


def read(path: str) -> bytes | None:
    """Read a file; None if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read_all(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """Read an open file to its end."""
    size = os.fstat(descriptor).st_size
    content = os.read(descriptor, size + 1)
    if len(content) == size:
        return content
    # Large, or growing: one call does not give all.
    parts = [content]
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def write(path: str, content: bytes) -> None:
    """Write a file in one go: who looks finds the old one or the new one."""
    write_unfinished(path + UNFINISHED, content, durable=False)
    os.replace(path + UNFINISHED, path)


def write_new(path: str, content: bytes) -> None:
    """Write a file that is not there, as a rule, and that nobody looks at now."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except (FileExistsError, FileNotFoundError):
        write(path, content)
        return
    try:
        write_at(descriptor, content, 0)
    finally:
        os.close(descriptor)


def write_unfinished(path: str, content: bytes, durable: bool) -> None:
    """Write a file that nobody looks at yet; its folder is made when it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    try:
        write_at(descriptor, content, 0)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refill(source: str, target: str, content: bytes) -> bool:
    """Turn a file that is not needed any more into another; False if it is not there."""
    try:
        descriptor = os.open(source, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        write_at(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
    return move(source, target)


def write_at(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of something at an offset."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def move(source: str, target: str) -> bool:
    """Move a file; False if it is not there."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        if not os.path.exists(source):
            return False
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(source, target)
    return True


def remove(path: str) -> bool:
    """Remove a file; False if it is not there."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_folder(path: str) -> bool:
    """Remove a folder if it is empty; False if it is not, or is gone."""
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


def names_in(path: str) -> list[str]:
    """List the finished files in a folder, in no order; a missing folder is empty."""
    try:
        return [name for name in os.listdir(path) if not name.endswith(UNFINISHED)]
    except FileNotFoundError:
        return []


def sync_all(descriptor: int) -> None:
    """Bring all that was written to the file system of an open file onto its disk."""
    library = _libc()
    if library is None or not hasattr(library, "syncfs"):
        os.sync()
    elif library.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _libc() -> Any:
    with contextlib.suppress(OSError):
        return ctypes.CDLL(None, use_errno=True)
    return None


def system_value(name: str) -> str:
    """Ask the kernel for a value, as macOS and BSD name it.

    Raises:
        AttributeError, OSError: it cannot be asked, or does not know.
    """
    buffer = ctypes.create_string_buffer(128)
    size = ctypes.c_size_t(len(buffer))
    if _libc().sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0):
        raise OSError(f"the kernel does not know {name}")
    return buffer.value.decode()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Translate errors of the system: disk full, no permission, too many open files."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"The file system refused: {error}") from error
