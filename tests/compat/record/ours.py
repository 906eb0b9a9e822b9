"""Show that Huey 3.5.4 reads what this package writes: `python -m tests.compat.record.ours PYTHON`.

PYTHON is the interpreter of an environment with huey==3.5.4, redis and psycopg. Each storage is
filled here, by the application that is recorded, and read and emptied there, by `peer_reads.py`.
To be run by hand: the suite holds the bytes themselves against what was recorded.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huey.api import (
    FileHuey,
    Huey,
    PostgresHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
)
from tests.compat.record.recorded_app import declare, fill, identify
from tests.services import PostgresServer, ValkeyServer, find_postgres, find_valkey

HERE = Path(__file__).parent
NAME = "recorded-app"
#: What runs when the queue is emptied; the revoked tasks and the unfinished chord do not come far.
RAN = [identify(number) for number in (40, 42, 43, 45, 46, 47)]


def main(python: str) -> None:
    """Fill, read and compare every storage."""
    logging.disable()  # some tasks fail on purpose
    with tempfile.TemporaryDirectory(prefix="huey-ours-", dir="/tmp") as name:
        work = Path(name)
        for program in HERE.glob("*.py"):
            shutil.copy(program, work)
        for variant, kind, option, place in places(work):
            with place() as where:
                check(python, work, variant, kind(NAME, **{option: where}), where)


def places(
    work: Path,
) -> Iterator[tuple[str, Callable[..., Huey], str, Callable[[], Any]]]:
    """The storages: variant, class, option that names its place, context that makes the place."""
    yield "sqlite", SqliteHuey, "filename", lambda: given(str(work / "ours.sqlite"))
    yield "file", FileHuey, "path", lambda: given(str(work / "ours"))
    for variant, kind in (
        ("list", RedisHuey),
        ("priority", PriorityRedisHuey),
        ("expire", RedisExpireHuey),
    ):
        yield variant, kind, "url", valkey
    yield "postgres", PostgresHuey, "dsn", postgres


@contextmanager
def given(where: str) -> Iterator[str]:
    yield where


@contextmanager
def valkey() -> Iterator[str]:
    with ValkeyServer(find_valkey()[0]) as server:
        yield server.url


@contextmanager
def postgres() -> Iterator[str]:
    with PostgresServer(find_postgres()[0]) as server:
        yield server.url


def check(python: str, work: Path, variant: str, app: Huey, where: str) -> None:
    """Fill one storage, have it read, and compare."""
    ours = fill(app, declare(app), priorities=variant not in ("list", "expire"))
    app.storage.close()
    told = read(python, work, variant, where)
    differing = [part for part in ours if told["found"][part] != ours[part]]
    assert not differing, (variant, differing, told["found"], ours)
    missing = set(RAN) - set(told["ran"])
    assert not missing, (variant, "was not run:", missing)
    assert told["results"].get(identify(47)), (variant, "the pipeline did not reach its end")
    assert told["due"] == [identify(31)], (variant, told["due"])
    assert sorted(told["later"]) == [identify(30), identify(32)], (variant, told["later"])
    sys.stdout.write(f"{variant}: Huey {told['huey']} read all and ran {len(told['ran'])} tasks\n")


def read(python: str, work: Path, variant: str, where: str) -> dict[str, Any]:
    """Let Huey 3.5.4 read and empty a storage; gives what it tells."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, "peer_reads.py", variant, where],
        cwd=work,
        env=environment | {"TZ": "UTC"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    main(*sys.argv[1:])
