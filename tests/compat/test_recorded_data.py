"""What Huey 3.5.4 left in each storage is found by ours: the data itself is the witness."""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huey.api import (
    FileHuey,
    Huey,
    MemoryHuey,
    PostgresHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
)
from huey.serializer import Serializer, SignedSerializer
from tests.compat import recorded
from tests.compat.record.recorded_app import declare, describe, describe_task

NAME = "recorded-app"


def check(app: Huey, variant: str) -> None:
    """Hold what our app says against what Huey 3.5.4 said."""
    told = recorded.load(variant)
    declare(app)

    found = describe(app)

    for part, expected in found.items():
        assert told[part] == expected, part


@pytest.mark.parametrize("variant", ["sqlite", "sqlite-new-york", "sqlite-local-new-york"])
def test_a_sqlite_file_is_taken_over(variant: str, tmp_path: Path) -> None:
    file = recorded.sqlite_file(variant, tmp_path)

    check(SqliteHuey(NAME, filename=str(file), utc="local" not in variant), variant)


@pytest.mark.parametrize("variant", ["file", "file-new-york"])
def test_a_folder_is_taken_over(variant: str, tmp_path: Path) -> None:
    folder = recorded.file_store(variant, tmp_path)

    check(FileHuey(NAME, path=str(folder)), variant)


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("redis-list", RedisHuey),
        ("redis-list-new-york", RedisHuey),
        ("redis-list-local-new-york", RedisHuey),
        ("redis-list-notify", RedisHuey),
        ("redis-priority", PriorityRedisHuey),
        ("redis-expire", RedisExpireHuey),
    ],
)
def test_a_redis_server_is_taken_over(
    variant: str, kind: Callable[..., Huey], valkey_url: str
) -> None:
    recorded.fill_redis(variant, valkey_url)

    check(kind(NAME, url=valkey_url, utc="local" not in variant), variant)


@pytest.mark.parametrize("variant", ["postgres", "postgres-new-york"])
def test_a_postgres_database_is_taken_over(variant: str, postgres_url: str) -> None:
    recorded.fill_postgres(variant, postgres_url)

    huey = PostgresHuey(NAME, dsn=postgres_url)
    try:
        check(huey, variant)
    finally:
        huey.storage.close()


SERIALIZERS: dict[str, Callable[[], Serializer]] = {
    "pickle": Serializer,
    "gzip": lambda: Serializer(compression=True),
    "zlib": lambda: Serializer(compression=True, use_zlib=True),
    "signed": lambda: SignedSerializer(secret="a secret"),
    "signed, salt": lambda: SignedSerializer(secret="a secret", salt="other"),
    "signed, gzip": lambda: SignedSerializer(secret="a secret", compression=True),
}


def label(row: dict[str, Any]) -> str:
    return f"{row['name']}, {row['fields']} fields, {row['serializer']}"


@pytest.mark.parametrize("row", recorded.messages(), ids=label)
def test_a_message_is_understood(row: dict[str, Any]) -> None:
    app = MemoryHuey(NAME, serializer=SERIALIZERS.get(row["serializer"], Serializer)())
    declare(app)

    task = app.deserialize_task(row["data"])

    assert describe_task(task) == row["task"]


def test_a_message_of_ours_says_what_huey_says_in_the_fields_of_huey() -> None:
    app = MemoryHuey(NAME)
    declare(app)

    for row in recorded.messages("pickle"):
        if row["fields"] == 15:
            ours = app.serialize_task(app.deserialize_task(row["data"]))

            # Not the bytes: pickle writes a text once if it is one object, twice if it is two.
            assert repr(pickle.loads(ours)) == repr(pickle.loads(row["data"])), label(row)
            assert globals_in(ours) == globals_in(row["data"]), label(row)


def globals_in(data: bytes) -> list[str]:
    """The names that a reader has to import, in the order of the pickle."""
    texts: list[str] = []
    found = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "STACK_GLOBAL":
            found.append(".".join(texts[-2:]))
        elif isinstance(argument, str):
            texts.append(argument)
    return found
