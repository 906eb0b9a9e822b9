"""The servers that the other tests lean on: they keep what they must, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests import services
from tests.services import (
    NamedServer,
    NotOurs,
    PostgresServer,
    Service,
    ServiceMissing,
    ValkeyServer,
)

ROOT = Path(__file__).parents[2]

#: Starts a server, says where it lives, and dies in the way that the argument names.
OWNER = """
import os, signal, sys
from tests.services import open_valkey, open_postgres
server = {"valkey": open_valkey, "postgres": open_postgres}[sys.argv[1]]()
print(server.pid, server.directory, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 20 seconds"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody reaps orphans at once, a dead one is still listed.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or ") Z " not in status.read_text()


@pytest.fixture
def valkey(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


class TestValkey:
    def test_it_is_a_real_server_that_speaks_the_protocol(self, valkey: "redis.Redis") -> None:
        valkey.lpush("queue", b"a", b"b")

        assert valkey.rpop("queue") == b"a"

    @pytest.mark.parametrize("end", ["restart", "kill"])
    def test_what_was_stored_survives(
        self, valkey_server: Service, valkey: "redis.Redis", end: str
    ) -> None:
        valkey.set("kept", "yes")

        if end == "kill":
            valkey_server.kill()
            valkey_server.start()
        else:
            valkey_server.restart()

        valkey.connection_pool.disconnect()
        assert valkey.get("kept") == b"yes"

    def test_a_test_that_asks_for_the_url_finds_it_empty(
        self, valkey_server: Service, valkey: "redis.Redis"
    ) -> None:
        valkey.set("left", "behind")

        valkey_server.clear()

        assert valkey.keys() == []

    def test_a_paused_server_keeps_the_connection_and_gives_no_answer(
        self, valkey_server: Service, valkey: "redis.Redis"
    ) -> None:
        impatient = redis.Redis.from_url(valkey_server.url, socket_timeout=0.05, retry=None)
        impatient.ping()

        valkey_server.pause()
        with pytest.raises(redis.TimeoutError):
            impatient.ping()
        valkey_server.resume()

        assert valkey.ping()
        impatient.close()


class TestPostgres:
    @pytest.mark.parametrize("end", ["restart", "kill"])
    def test_what_was_stored_survives(
        self, postgres_server: Service, postgres_url: str, end: str
    ) -> None:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'yes' AS answer")

        if end == "kill":
            postgres_server.kill()
            postgres_server.start()
        else:
            postgres_server.restart()

        with psycopg.connect(postgres_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == ("yes",)

    def test_a_test_that_asks_for_the_url_finds_it_empty(
        self, postgres_server: Service, postgres_url: str
    ) -> None:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("CREATE TABLE left_behind (id int)")

        postgres_server.clear()

        with psycopg.connect(postgres_url) as connection:
            tables = connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'")
            assert tables.fetchall() == []

    def test_programs_in_a_private_folder_of_root_are_copied_to_where_the_server_can_run_them(
        self, tmp_path: Path
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root's server runs under another user")
        programs, _ = services.find_postgres()
        package = programs.parent.parent
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        (private / package.name).symlink_to(package)
        (private / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))

        with PostgresServer(private / programs.relative_to(package.parent)) as server:
            assert server.programs.is_relative_to(server.directory)
            server.clear()


@pytest.mark.parametrize("product", ["valkey", "postgres"])
@pytest.mark.parametrize("death", ["killed", "forgetful"])
def test_a_server_and_its_folder_go_with_the_process_that_started_it(
    product: str, death: str
) -> None:
    owner = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OWNER, product, death],
        cwd=ROOT,
        env=os.environ | {"HUEY_TEST_REDIS_URL": "", "HUEY_TEST_POSTGRES_URL": ""},
        stdout=subprocess.PIPE,
        text=True,
    )

    assert owner.returncode == (-signal.SIGKILL if death == "killed" else 0)
    pid, folder = owner.stdout.split()
    wait_until(lambda: not is_running(int(pid)) and not Path(folder).exists())


def test_a_program_that_cannot_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    broken.chmod(0o755)
    server = ValkeyServer(broken)

    with pytest.raises(ServiceMissing, match="out of luck"):
        server.start()

    server.close()


class TestDiscovery:
    def test_a_url_in_the_environment_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUEY_TEST_REDIS_URL", "redis://localhost:6379/2")

        server = services.open_valkey(worker=3)

        assert isinstance(server, NamedServer)
        assert server.url == "redis://localhost:6379/5"

    def test_each_worker_has_its_own_schema_on_a_named_postgres(
        self, postgres_server: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUEY_TEST_POSTGRES_URL", postgres_server.url)

        first, second = services.open_postgres(1), services.open_postgres(2)
        with psycopg.connect(first.url) as connection:
            connection.execute("CREATE TABLE only_here (id int)")

        with psycopg.connect(second.url) as connection:
            found = connection.execute("SELECT to_regclass('only_here')").fetchone()
        assert found == (None,)

    def test_a_named_server_is_not_ours_to_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUEY_TEST_REDIS_URL", "redis://localhost:6379")

        server = services.open_valkey()

        with pytest.raises(NotOurs, match="HUEY_TEST_REDIS_URL"):
            server.kill()

    def test_without_any_program_the_message_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HUEY_TEST_REDIS_SERVER", raising=False)
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(services, "find_spec", lambda name: None)

        with pytest.raises(ServiceMissing, match=r"'services'.*HUEY_TEST_REDIS_URL"):
            services.find_valkey()


class TestSummary:
    """What a run says that had to do without a server; xdist or not."""

    def run(self, tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str]:
        test = tmp_path / "test_that_needs_a_server.py"
        test.write_text("def test_it(valkey_server):\n    assert valkey_server.url\n")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
                *(
                    "-p",
                    "tests.conftest",
                    "--rootdir",
                    str(ROOT),
                    "-c",
                    str(ROOT / "pyproject.toml"),
                ),
                *arguments,
                str(test),
            ],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "HUEY_"))}
            | {"HUEY_TEST_REDIS_SERVER": "/bin/false"}
            | environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    @pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["alone", "xdist"])
    def test_a_missing_server_is_named(self, tmp_path: Path, processes: tuple[str, ...]) -> None:
        code, output = self.run(tmp_path, *processes)

        assert code == 0
        assert "services that were missing" in output
        assert "Valkey: false from HUEY_TEST_REDIS_SERVER does not start" in output
        assert "1 skipped" in output

    def test_a_missing_server_fails_where_servers_are_required(self, tmp_path: Path) -> None:
        code, output = self.run(tmp_path, HUEY_REQUIRE_SERVICES="1")

        assert code == 1
        assert "Valkey is required (HUEY_REQUIRE_SERVICES=1)" in output
