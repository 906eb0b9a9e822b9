"""The journal: changes of several files that happen together, or not at all.

A change is written down in full before any file is touched. Whoever takes the lock next finishes
what a process that died had begun. One synced record makes a change durable, so that the files need
no syncing one by one: if the machine has been started anew since then, all records are carried out
again, in order. Claiming is not written down, and Huey 3.5.4 writes nothing down: what it took out
of the queue may come back if the power fails.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from huey.storage.file import disk
from huey.storage.file.layout import CLAIMS, QUEUE, RESULTS, UNFINISHED, Place, name_in_queue

logger = logging.getLogger("huey.storage")

_MAGIC = b"hueyjnl1"
#: Magic, boot, generation, pending, end, version, place, counter.
_HEADER = struct.Struct("<8s16sQQQQQIQ")
_HEADER_ROOM = 128
#: Length and checksum of what follows, and the generation of the journal.
_FRAME = struct.Struct("<IIQ")
#: The journal begins anew when it has grown to so many bytes; all files are synced then.
_LIMIT = 4 << 20
#: Contents above so many bytes are not written twice: the file is synced first, and only put in
#: its place with the change.
_INLINE = 256 << 10


@dataclass(slots=True)
class Change:
    """What is to become of some files, by path below the root."""

    #: Source → target; done first, and skipped where the source is gone.
    moves: dict[str, str] = field(default_factory=dict)
    #: Path → content, or None to remove it.
    files: dict[str, bytes | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.moves or self.files)


@dataclass(slots=True)
class Header:
    """What all processes must agree on; read and written under the lock."""

    boot: bytes
    generation: int = 1
    #: Where the record begins that is being carried out; 0 if none is.
    pending: int = 0
    #: Where the next record goes.
    end: int = _HEADER_ROOM
    #: Grows when one of us puts something into the queue.
    version: int = 0
    #: Where the last message stands in the sequence of arrivals.
    place: Place = Place(0, 0)  # noqa: RUF009 - a value
    #: Source of numbers that are used once.
    counter: int = 0

    def pack(self) -> bytes:
        """Write it down."""
        return _HEADER.pack(
            _MAGIC,
            self.boot,
            self.generation,
            self.pending,
            self.end,
            self.version,
            *self.place,
            self.counter,
        )

    @classmethod
    def unpack(cls, content: bytes) -> Header | None:
        """Read it; None if it is not there yet."""
        if len(content) < _HEADER.size or not content.startswith(_MAGIC):
            return None
        _, boot, generation, pending, end, version, millisecond, number, counter = _HEADER.unpack(
            content[: _HEADER.size]
        )
        place = Place(millisecond, number)
        return cls(boot, generation, pending, end, version, place, counter)

    def next_number(self) -> int:
        """Give a number that was never given before."""
        self.counter += 1
        return self.counter


class Journal:
    """The journal of a folder; every method has to be called under the lock.

    Args:
        root: the folder.
        fsync: whether durable changes survive a power failure.
    """

    def __init__(self, root: str, fsync: bool) -> None:
        self._root = root
        self._path = os.path.join(root, "journal")
        self._fsync = fsync
        self._file: _File | None = None
        self._saved = b""

    # ── the header ─────────────────────────────────────────────────────────────────────────────

    def load(self) -> Header:
        """Read the header, after finishing what others left unfinished."""
        number = self._open()
        self._saved = os.pread(number, _HEADER.size, 0)
        header = Header.unpack(self._saved)
        if header is None:
            header = self._create()
        elif header.boot != _boot():
            self._carry_out_again(header)
        elif header.pending:
            self._finish(header)
        return header

    def _create(self) -> Header:
        header = Header(_boot())
        os.ftruncate(self._open(), 0)
        self.save(header)
        if self._fsync:
            os.fsync(self._open())
            with _File(self._root, os.O_RDONLY) as folder:
                os.fsync(folder.number)
        return header

    def save(self, header: Header) -> None:
        """Write the header if it has changed."""
        packed = header.pack()
        if packed != self._saved:
            disk.write_at(self._open(), packed, 0)
            self._saved = packed

    def close(self) -> bool:
        """Close the file; tell whether it was open."""
        was_open, self._file = self._file is not None, None
        return was_open

    def _open(self) -> int:
        # A file that was deleted under our hands is no place to write anything down.
        if self._file is None or not os.fstat(self._file.number).st_nlink:
            os.makedirs(self._root, exist_ok=True)
            self._file = _File(self._path)
        return self._file.number

    # ── changes ────────────────────────────────────────────────────────────────────────────────

    def commit(self, header: Header, change: Change, durable: bool) -> None:
        """Make a change; it will happen once this returns, even if the process dies.

        Raises:
            OSError: nothing was written.
        """
        number = self._open()
        syncs = durable and self._fsync
        record = _frame(self._encode(change, syncs), header.generation)
        disk.write_at(number, record, header.end)
        if syncs:
            os.fdatasync(number) if hasattr(os, "fdatasync") else os.fsync(number)
        header.pending, header.end = header.end, header.end + len(record)
        self.save(header)
        try:
            self._finish(header, change)
        except OSError as error:
            # It is written down. Whoever comes next carries it out, or meets the same error.
            logger.error("A change of %s waits until it can be made: %s", self._root, error)
            return
        if header.end > _LIMIT or (syncs and header.boot == _UNKNOWN):
            self._begin_anew(header)

    def _finish(self, header: Header, change: Change | None = None) -> None:
        """Carry out the record that is pending."""
        if change is None:
            payload = next(self._records(header.generation, header.pending), None)
            change = Change() if payload is None else self._decode(payload)
        self._apply(change)
        header.pending = 0
        self.save(header)

    def _carry_out_again(self, header: Header) -> None:
        """Repeat all records: the machine was started anew, and files may not have been synced."""
        claimed = self._claimed()
        for payload in self._records(header.generation, _HEADER_ROOM):
            change = self._decode(payload)
            _redirect(change, claimed)
            self._apply(change)
        header.boot = _boot()
        self._begin_anew(header)

    def _begin_anew(self, header: Header) -> None:
        number = self._open()
        if self._fsync:
            disk.sync_all(number)
        header.generation += 1
        header.pending, header.end = 0, _HEADER_ROOM
        self.save(header)
        # Not made shorter: writing over what is there is synced faster than growing again, and
        # nobody takes a record of an older generation for a new one.
        if os.fstat(number).st_size > 2 * _LIMIT:
            os.ftruncate(number, _LIMIT)
        if self._fsync:
            os.fsync(number)

    def _apply(self, change: Change) -> None:
        for source, target in change.moves.items():
            disk.move(self._at(source), self._at(target))
        removed = [self._at(path) for path, content in change.files.items() if content is None]
        for path, content in change.files.items():
            if content is not None:
                self._put(self._at(path), content, removed)
        for path in removed:
            disk.remove(path)

    def _put(self, path: str, content: bytes, spare: list[str]) -> None:
        """Give a file its content; may use up one of the files that are to be removed."""
        if content is _SPILLED:
            disk.move(path + UNFINISHED, path)
        elif not path.startswith(self._at(RESULTS)):
            # In one go: Huey 3.5.4 must not find half of a message if this process dies now.
            disk.write(path, content)
        # A message makes room for its result: making a file and removing one take five times as
        # long as renaming one.
        elif not (spare and disk.refill(spare.pop(), path, content)):
            disk.write_new(path, content)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path)

    def _claimed(self) -> dict[str, str]:
        """Map paths in the queue to where their messages are now, which were claimed."""
        claimed = {}
        folder = os.path.join(self._root, CLAIMS)
        for consumer in disk.names_in(folder):
            for name in disk.names_in(os.path.join(folder, consumer)):
                claimed[f"{QUEUE}/{name_in_queue(name)}"] = f"{CLAIMS}/{consumer}/{name}"
        return claimed

    # ── records ────────────────────────────────────────────────────────────────────────────────

    def _encode(self, change: Change, durable: bool) -> bytes:
        table: list[tuple[str, int]] = []
        contents = []
        for path, content in change.files.items():
            if content is None:
                table.append((path, -1))
            elif len(content) > _INLINE:
                self._spill(path, content, durable)
                table.append((path, -2))
                change.files[path] = _SPILLED
            else:
                table.append((path, len(content)))
                contents.append(content)
        head = json.dumps([change.moves, table]).encode()
        return b"".join([struct.pack("<I", len(head)), head, *contents])

    def _spill(self, path: str, content: bytes, durable: bool) -> None:
        target = self._at(path) + UNFINISHED
        disk.write_unfinished(target, content, durable)
        if durable:
            with _File(os.path.dirname(target), os.O_RDONLY) as folder:
                os.fsync(folder.number)

    def _decode(self, payload: bytes) -> Change:
        size = 4 + struct.unpack("<I", payload[:4])[0]
        moves, table = json.loads(payload[4:size])
        change = Change(moves)
        for path, length in table:
            if length < 0:
                change.files[path] = None if length == -1 else _SPILLED
            else:
                change.files[path] = payload[size : size + length]
                size += length
        return change

    def _records(self, generation: int, offset: int) -> Iterator[bytes]:
        """Read records until there is none that is whole and of this generation."""
        number = self._open()
        while True:
            frame = os.pread(number, _FRAME.size, offset)
            if len(frame) < _FRAME.size:
                return
            length, checksum, written_in = _FRAME.unpack(frame)
            payload = os.pread(number, length, offset + _FRAME.size)
            if written_in != generation or len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield payload
            offset += _FRAME.size + length


#: The run of the kernel where it has no name: then the journal is of no use after a power failure,
#: and files are synced with each change.
_UNKNOWN = bytes(16)
#: Stands for a content that is beside its place already.
_SPILLED = b"(beside)"


class _File:
    """An open file; closed when nobody has it any more."""

    def __init__(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.number = os.open(path, flags | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        self.close()


def _frame(payload: bytes, generation: int) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload), generation) + payload


def _redirect(change: Change, claimed: dict[str, str]) -> None:
    """Let messages that were claimed since stay claimed; their contents may need repair."""
    for path, content in list(change.files.items()):
        if path in claimed and content is not None:
            del change.files[path]
            change.files[claimed[path]] = content
        elif content is None and path.startswith(f"{CLAIMS}/"):
            # Claiming is not written down, so this may have been carried out in the queue.
            ready = f"{QUEUE}/{name_in_queue(path.rpartition('/')[2])}"
            change.files |= {ready: None, claimed.get(ready, path): None}
    for source, target in change.moves.items():
        change.moves[source] = claimed.get(target, target)


@cache
def _boot() -> bytes:
    """Name this run of the kernel."""
    with contextlib.suppress(OSError, ValueError):
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return uuid.UUID(disk.system_value("kern.bootsessionuuid")).bytes
    return _UNKNOWN
