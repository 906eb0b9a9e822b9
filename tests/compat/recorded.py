"""Bring what was recorded from Huey 3.5.4 back to life: messages, and one store per variant."""

import base64
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def load(name: str) -> Any:
    """What one JSON file says."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def messages(serializer: str | None = None) -> list[dict[str, Any]]:
    """Recorded messages: `name`, `fields`, `serializer`, `task` as described, `data` as bytes.

    Args:
        serializer: only those written by it, such as "pickle", "gzip" or "signed"; all by default.
    """
    rows = load("messages")["messages"]
    return [
        row | {"data": base64.b64decode(row["data"])}
        for row in rows
        if serializer in (None, row["serializer"])
    ]


def sqlite_file(variant: str, folder: Path) -> Path:
    """A copy of the database that Huey 3.5.4 left."""
    return Path(shutil.copy(DATA / f"{variant}.sqlite", folder))


def file_store(variant: str, folder: Path) -> Path:
    """A copy of the folder that Huey 3.5.4 left."""
    with tarfile.open(DATA / f"{variant}.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder / variant


def fill_redis(variant: str, url: str) -> None:
    """Write the keys that Huey 3.5.4 left into an empty server."""
    import redis

    with redis.Redis.from_url(url) as client:
        for key, facts in load(f"{variant}.keys").items():
            _write_key(client, key, facts["type"], facts["content"])
            if facts["ttl"] is not None:
                client.expire(key, facts["ttl"])


def _write_key(client: Any, key: str, kind: str, content: Any) -> None:
    match kind:
        case "string":
            client.set(key, base64.b64decode(content))
        case "list":
            client.rpush(key, *map(base64.b64decode, content))
        case "zset":
            client.zadd(key, {base64.b64decode(member): score for member, score in content})
        case "hash":
            client.hset(key, mapping={f: base64.b64decode(v) for f, v in content.items()})


def fill_postgres(variant: str, url: str) -> None:
    """Create the tables that Huey 3.5.4 left, with their rows, in an empty schema."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((DATA / f"{variant}.sql").read_bytes())
