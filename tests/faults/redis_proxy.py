"""A relay in front of a Redis server that loses replies on command."""

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import Self


class Relay:
    """Listens on a socket of its own and passes everything on, until it is told otherwise."""

    def __init__(self, target: Path, tcp: bool = False) -> None:
        self._target = str(target)
        # /tmp and not $TMPDIR: the path of a Unix socket may have about 100 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="huey-", dir="/tmp")
        path = f"{self._folder.name}/relay.sock"
        if tcp:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
            self.url = f"redis://127.0.0.1:{self.port}/0"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
            self.url = f"unix://{path}?db=0"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._victim: bytes | None = None
        self._passes_replies = threading.Event()
        self._passes_replies.set()
        #: Set when a reply was lost.
        self.lost = threading.Event()
        #: Set when a request that contains what `watch_for` was given has gone to the server.
        self.seen = threading.Event()
        self._watched = b""
        self._start(self._accept)

    def lose_reply_to(self, part: bytes) -> None:
        """Let the next request that contains this reach the server, and then cut its connection."""
        self.lost.clear()
        self._victim = part

    def watch_for(self, part: bytes) -> None:
        """Set `seen` once a request that contains this has been passed on."""
        self.seen.clear()
        self._watched = part

    def hold_replies(self) -> None:
        """Keep connections open, but let no reply through, as a broken network does."""
        self._passes_replies.clear()

    def pass_replies(self) -> None:
        """End `hold_replies`."""
        self._passes_replies.set()

    def cut(self) -> None:
        """Close all connections."""
        for pair in self._pairs:
            _close(*pair)
        self._pairs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        self.pass_replies()
        self.cut()
        self._folder.cleanup()

    def _start(self, job: object, *args: object) -> None:
        threading.Thread(target=job, args=args, daemon=True).start()  # type: ignore[arg-type]  # a function

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._pairs.append((client, server))
                doomed = threading.Event()
                self._start(self._pass_requests, client, server, doomed)
                self._start(self._pass_answers, client, server, doomed)

    def _pass_requests(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while request := client.recv(1 << 20):
                if self._victim is not None and self._victim in request:
                    self._victim = None
                    doomed.set()
                server.sendall(request)
                if self._watched and self._watched in request:
                    self.seen.set()
        _close(client, server)

    def _pass_answers(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(1 << 20):
                self._passes_replies.wait()
                # A script that the server does not know is sent whole; that reply is meant.
                if doomed.is_set() and not answer.startswith(b"-NOSCRIPT"):
                    # Cut first: who waits for the event may look at what the client makes of it.
                    _close(client, server)
                    self.lost.set()
                    return
                client.sendall(answer)
        _close(client, server)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
