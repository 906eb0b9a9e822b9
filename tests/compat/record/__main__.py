"""Record what Huey 3.5.4 leaves in each storage: `python -m tests.compat.record PYTHON`.

PYTHON is the interpreter of an environment with huey==3.5.4, redis and psycopg. Only programs of
this folder run there; the servers are those of the test suite. The files are written to
tests/compat/data; its README.md says what they are.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import redis

from tests.services import PostgresServer, ValkeyServer, find_postgres, find_valkey

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
#: Schedules are written in the time of the host: one recording in UTC, one far from it.
ZONES = {"": "UTC", "-new-york": "America/New_York"}


def main(python: str) -> None:
    """Record everything."""
    with tempfile.TemporaryDirectory(prefix="huey-record-", dir="/tmp") as name:
        work = Path(name)
        for program in HERE.glob("*.py"):
            # Run from a copy: what a task raises would otherwise name the folder of this clone.
            shutil.copy(program, work)
        record = Recorder(python, work)
        record.messages()
        for suffix, zone in ZONES.items():
            record.sqlite(f"sqlite{suffix}", zone)
            record.files(f"file{suffix}", zone)
            record.redis(f"redis-list{suffix}", zone)
            record.postgres(f"postgres{suffix}", zone)
        record.sqlite("sqlite-local-new-york", ZONES["-new-york"])
        record.redis("redis-list-local-new-york", ZONES["-new-york"])
        record.redis("redis-list-notify", "UTC")
        record.redis("redis-priority", "UTC")
        record.redis("redis-expire", "UTC")


class Recorder:
    """Runs the programs of this folder under Huey 3.5.4 and keeps what they leave behind."""

    def __init__(self, python: str, work: Path) -> None:
        self.python = python
        self.work = work

    def messages(self) -> None:
        (DATA / "messages.json").write_text(self._run("peer_messages.py", "UTC"))

    def sqlite(self, name: str, zone: str) -> None:
        file = self.work / f"{name}.sqlite"
        self._fill(name, name, str(file), zone)
        shutil.copy(file, DATA)

    def files(self, name: str, zone: str) -> None:
        folder = self.work / name
        self._fill(name, name, str(folder), zone)
        with tarfile.open(DATA / f"{name}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            archive.add(folder, arcname=name, filter=_anonymous)

    def redis(self, name: str, zone: str) -> None:
        with ValkeyServer(find_valkey()[0]) as server:
            self._fill(name, name.removeprefix("redis-"), server.url, zone)
            client: Any
            with redis.Redis.from_url(server.url) as client:
                keys = {key.decode(): dump_key(client, key) for key in sorted(client.keys())}
        _write_json(f"{name}.keys.json", keys)

    def postgres(self, name: str, zone: str) -> None:
        programs, _ = find_postgres()
        with PostgresServer(programs) as server:
            self._fill(name, name, server.url, zone)
            dump = server.run_as_server(
                *(server.programs / "pg_dump", "--inserts", "--no-owner", "--no-comments"),
                server.url,
            ).stdout.decode()
        (DATA / f"{name}.sql").write_text(statements_of(dump))

    def _fill(self, name: str, variant: str, where: str, zone: str) -> None:
        told = self._run("peer.py", zone, variant, where)
        (DATA / f"{name}.json").write_text(told)

    def _run(self, program: str, zone: str, *arguments: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [self.python, program, *arguments],
            cwd=self.work,
            env=environment | {"TZ": zone},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout + "\n"


def dump_key(client: Any, key: bytes) -> dict[str, Any]:
    """Type, time to live and content of one key; bytes as base64."""
    kind = client.type(key).decode()
    content: Any
    match kind:
        case "string":
            content = _text(client.get(key))
        case "list":
            content = [_text(item) for item in client.lrange(key, 0, -1)]
        case "zset":
            members = client.zrange(key, 0, -1, withscores=True)
            content = [[_text(member), score] for member, score in members]
        case "hash":
            content = {field.decode(): _text(v) for field, v in client.hgetall(key).items()}
        case _:
            raise ValueError(f"key {key!r} is a {kind}: expected string, list, zset or hash")
    ttl = client.ttl(key)
    return {"type": kind, "ttl": None if ttl == -1 else ttl, "content": content}


def statements_of(dump: str) -> str:
    """A dump without what ties it to psql, to one version of the server, and to one schema."""
    unwanted = ("\\", "--", "SET ", "SELECT pg_catalog.set_config")
    lines = [line for line in dump.splitlines() if line and not line.startswith(unwanted)]
    return "\n".join(lines).replace("public.", "") + "\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write_json(name: str, value: Any) -> None:
    (DATA / name).write_text(json.dumps(value, indent=1) + "\n")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(*sys.argv[1:])
