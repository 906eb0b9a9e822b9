"""A proxy before PostgreSQL that cuts connections, loses replies, or answers like a pooler."""

import contextlib
import socket
import struct
import tempfile
import threading
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

#: The server says that it is done with all that was asked.
_READY = b"Z\x00\x00\x00\x05"
#: How the server tells its process number, by which a session can be cancelled: type, length.
_KEY_DATA = b"K\x00\x00\x00\x0c"


class Wire:
    """Listens on a socket of its own and passes everything on, until told otherwise."""

    def __init__(self, url: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="huey-wire-", dir="/tmp")
        parts = urlsplit(url)
        host = parse_qs(parts.query)["host"][0]
        self._server = str(Path(host) / ".s.PGSQL.5432")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(Path(self._folder.name) / ".s.PGSQL.5432"))
        self._listener.listen()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        #: Loses the reply to the first message that contains these bytes.
        self.lose_reply_to: bytes | None = None
        #: Breaks the connection in place of passing on what contains these bytes.
        self.lose_request: bytes | None = None
        #: Set when one of the two has happened.
        self.lost = threading.Event()
        #: Refuse every new connection once that has happened.
        self.is_shut_after_loss = False
        #: Give made-up process numbers, as a pooler does.
        self.acts_as_pooler = False
        #: All that clients have sent.
        self.sent = bytearray()
        self.url = f"postgresql://postgres@/postgres?host={quote(self._folder.name, safe='')}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        _close(self._listener)
        self.cut()
        self._folder.cleanup()

    def cut(self) -> None:
        """Break all connections that are open now."""
        for pair in list(self._pairs):
            _close(*pair)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            if self.is_shut_after_loss and self.lose_reply_to is None:
                _close(client, server)
                continue
            try:
                server.connect(self._server)
            except OSError:
                _close(client, server)
                continue
            self._pairs.add((client, server))
            loses = threading.Event()
            threading.Thread(
                target=self._pass_requests, args=(client, server, loses), daemon=True
            ).start()
            threading.Thread(
                target=self._pass_replies, args=(client, server, loses), daemon=True
            ).start()

    def _pass_requests(
        self, client: socket.socket, server: socket.socket, loses: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.sent += data
                if self.lose_reply_to is not None and self.lose_reply_to in data:
                    self.lose_reply_to = None
                    loses.set()
                if self.lose_request is not None and self.lose_request in data:
                    self.lose_request = None
                    self.lost.set()
                    break
                server.sendall(data)
        self._end(client, server)

    def _pass_replies(
        self, client: socket.socket, server: socket.socket, loses: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if loses.is_set():
                    if _READY in data:
                        break
                    continue
                client.sendall(_with_other_pid(data) if self.acts_as_pooler else data)
        self._end(client, server)
        if loses.is_set():
            self.lost.set()

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        self._pairs.discard((client, server))
        _close(client, server)


def _with_other_pid(data: bytes) -> bytes:
    position = data.find(_KEY_DATA)
    if position < 0:
        return data
    start = position + len(_KEY_DATA)
    return data[:start] + struct.pack("!i", 1) + data[start + 4 :]


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
