"""Redis storages before they meet a server: construction, keys, scores, errors, scripts."""

import importlib.util
import re
import sys
from importlib import resources
from typing import Any

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from huey.exceptions import ConfigurationError
from huey.storage import drivers
from huey.storage.delivery import DeadLetter
from huey.storage.redis import names
from huey.storage.redis.checking import ServerFacts
from huey.storage.redis.claiming import seconds
from huey.storage.redis.classic import glob
from huey.storage.redis.instants import due_of, filed, is_ours
from huey.storage.redis.presence import Hold, place_entry, read_place
from huey.storage.redis.scripts import _PARTS, SCHEDULE_POP_LUA, script
from huey.storage.redis.settling import letter_of, read_letter
from huey.storage.redis.storages import (
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)

ALL = [RedisStorage, RedisExpireStorage, PriorityRedisStorage, PriorityRedisExpireStorage]
#: Nothing listens there.
NOWHERE = "redis://127.0.0.1:1/0"


def settings(storage: RedisStorage) -> dict[str, Any]:
    kwargs: dict[str, Any] = storage.pool.connection_kwargs
    return kwargs


class TestConstruction:
    @pytest.mark.parametrize("storage_class", ALL)
    def test_needs_no_server(self, storage_class: type[RedisStorage]) -> None:
        storage = storage_class("q", url=NOWHERE, client_name="me", notify_result=True)

        assert storage.name == "q"
        assert storage.lossless

    def test_takes_host_port_and_db(self) -> None:
        storage = RedisStorage("q", host="example.org", port=7000, db=3)

        assert storage.connection_params == {"host": "example.org", "port": 7000, "db": 3}
        assert {"host": "example.org", "port": 7000, "db": 3}.items() <= settings(storage).items()

    @pytest.mark.parametrize(
        ("url", "wanted", "connection"),
        [
            ("redis://h:1/2", {"host": "h", "port": 1, "db": 2}, "Connection"),
            ("valkey://h:1/2", {"host": "h", "port": 1, "db": 2}, "Connection"),
            (
                "rediss://u:p%40@h",
                {"host": "h", "username": "u", "password": "p@"},
                "SSLConnection",
            ),
            ("valkeys://h", {"host": "h"}, "SSLConnection"),
            (
                "unix:///run/r.sock?db=2",
                {"path": "/run/r.sock", "db": 2},
                "UnixDomainSocketConnection",
            ),
            ("redis://h?socket_timeout=3", {"socket_timeout": 3.0}, "Connection"),
        ],
    )
    def test_takes_urls_of_many_schemes(
        self, url: str, wanted: dict[str, Any], connection: str
    ) -> None:
        storage = RedisStorage("q", url=url, host=None, port=None, db=None)

        assert wanted.items() <= settings(storage).items()
        assert storage.pool.connection_class.__name__ == connection

    def test_takes_a_sentinel_url(self) -> None:
        storage = RedisStorage("q", url="redis+sentinel://u:p%2F@one:1,two/main/4")

        sentinels = storage.pool.sentinel_manager.sentinels
        addresses = [
            (
                s.connection_pool.connection_kwargs["host"],
                s.connection_pool.connection_kwargs["port"],
            )
            for s in sentinels
        ]
        assert addresses == [("one", 1), ("two", 26379)]
        assert storage.pool.service_name == "main"
        assert {"db": 4, "username": "u", "password": "p/"}.items() <= settings(storage).items()

    def test_takes_a_pool_and_leaves_it_as_it_is(self) -> None:
        pool = redis.ConnectionPool(host="h", socket_timeout=0.5)

        storage = RedisStorage("q", connection_pool=pool, client_name="me")

        assert storage.pool is pool
        assert pool.connection_kwargs["socket_timeout"] == 0.5
        line = storage._wire.make_connection()
        assert line.socket_timeout > 1, "a blocking command must not run into the pool's limit"

    def test_takes_the_socket_and_encryption_of_the_drivers_client(self) -> None:
        assert "path" in settings(RedisStorage("q", unix_socket_path="/run/r.sock"))
        encrypted = RedisStorage("q", host="h", ssl=True)
        assert encrypted.pool.connection_class.__name__ == "SSLConnection"

    @pytest.mark.parametrize(
        "given",
        [
            {"url": NOWHERE, "host": "h"},
            {"url": NOWHERE, "connection_pool": redis.ConnectionPool()},
            {"connection_pool": redis.ConnectionPool(), "port": 1},
        ],
    )
    def test_refuses_two_ways_to_connect_at_once(self, given: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="over-determined"):
            RedisStorage("q", **given)

    @pytest.mark.parametrize(
        "url",
        [
            "http://u:secret@h",
            "u:secret@h",
            "redis://u:secret@h:port",
            "redis://u:secret@h?db=one",
            "redis+sentinel://u:secret@h",
            "redis+sentinel://u:secret@h:x/main",
            "redis+sentinel://u:secret@h/main/one",
        ],
    )
    def test_refuses_a_url_that_it_cannot_read_and_keeps_the_password_to_itself(
        self, url: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="xpected") as raised:
            RedisStorage("q", url=url)

        shown = f"{raised.value} {raised.value.__cause__}"
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
        assert "secret" not in shown

    def test_refuses_a_connection_that_makes_text_of_bytes(self) -> None:
        with pytest.raises(ConfigurationError, match="decode_responses"):
            RedisStorage("q", host="h", decode_responses=True)

    def test_says_which_extra_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)

        with pytest.raises(ConfigurationError, match=re.escape('pip install "huey[redis]"')):
            RedisStorage("q")

    def test_commands_are_never_sent_twice_by_the_driver(self) -> None:
        connection = RedisStorage("q", url=NOWHERE)._wire.make_connection()
        tries = []

        def fail() -> None:
            tries.append(1)
            raise redis.ConnectionError

        with pytest.raises(redis.ConnectionError):
            connection.retry.call_with_retry(fail, lambda error: None)
        assert len(tries) == 1

    def test_a_reply_may_take_longer_than_a_dequeue_waits(self) -> None:
        assert settings(RedisStorage("q", url=NOWHERE, read_timeout=30))["socket_timeout"] > 30

    def test_expiring_storages_take_the_time_as_their_second_argument(self) -> None:
        storage = RedisExpireStorage("q", 60, False, 2, url=NOWHERE)

        assert storage._result_lifetime() == "60000"
        assert (storage.blocking, storage.read_timeout) == (False, 2)
        assert RedisExpireStorage("q", None, url=NOWHERE)._result_lifetime() == ""

    def test_a_mixin_before_a_subclass_of_ones_own_works(self) -> None:
        from huey.storage.redis.priority import RedisPriorityQueue

        class Own(RedisStorage):
            pass

        class OwnWithPriorities(RedisPriorityQueue, Own):
            pass

        assert OwnWithPriorities("q", url=NOWHERE).priority


class TestKeys:
    def test_are_those_of_huey_3(self) -> None:
        storage = RedisStorage("a-b", url=NOWHERE)

        assert storage.name == "ab"
        assert (storage.queue_key, storage.schedule_key) == ("huey.redis.ab", "huey.schedule.ab")
        assert (storage.result_key, storage.counter_key) == ("huey.results.ab", "huey.counters.ab")
        assert storage.notify_prefix == "huey.notify.ab."

    def test_of_expiring_storages_are_functions_of_the_entry(self) -> None:
        storage = RedisExpireStorage("q", url=NOWHERE)

        assert storage.result_key("k") == storage.result_key(b"k") == b"huey.r.q.k"
        assert storage.counter_key("k") == b"huey.c.q.k"

    def test_keep_the_name_as_it_is_if_told_so(self) -> None:
        storage = RedisStorage("{a-b}", clean_name=False, url=NOWHERE)

        assert storage.queue_key == "huey.redis.{a-b}"
        assert names.has_hash_tag(storage.name)

    def test_all_differ(self) -> None:
        keys = names.Names.of("q")

        values = [getattr(keys, field) for field in keys.__dataclass_fields__]
        assert len(set(values)) == len(values)
        assert all(value.endswith(".q") for value in values)

    @pytest.mark.parametrize(
        ("name", "tagged"),
        [("{a}", True), ("a.{b}c", True), ("{}", False), ("{a", False), ("a", False)],
    )
    def test_a_hash_tag_is_what_stands_in_the_first_braces(self, name: str, tagged: bool) -> None:
        assert names.has_hash_tag(name) is tagged

    @given(key=st.binary(), value=st.binary())
    def test_a_hold_is_read_as_it_was_written(self, key: bytes, value: bytes) -> None:
        for kind in ("lock", "place"):
            hold = Hold(kind, key, value)
            assert Hold.read(hold.field()) == hold
        assert read_place(place_entry(key, value)) == (key, value)

    @given(data=st.binary(), cause=st.text(), detail=st.text())
    def test_a_letter_is_read_as_it_was_written(self, data: bytes, cause: str, detail: str) -> None:
        letter = DeadLetter(data, cause, detail, died_at=12.5, key="7")

        assert read_letter(b"7", b"12.5", letter_of(letter)) == letter

    def test_a_prefix_is_matched_as_it_is(self) -> None:
        assert glob(b"huey.r.[a]*?^\\.") == b"huey.r.\\[a\\]\\*\\?\\^\\\\.*"


class TestScores:
    CENTURY = st.floats(0, 2.0**32 - 1)

    @given(due=CENTURY)
    @example(due=0.0)
    @example(due=1_795_407_609.133611)
    @example(due=2**31 + 0.5)
    def test_of_ours_are_told_from_those_of_huey_3(self, due: float) -> None:
        whole_micros = round(due * 1_000_000) / 1_000_000

        assert is_ours(float(filed(due)))
        assert not is_ours(whole_micros)

    @given(due=CENTURY)
    def test_are_never_late_and_early_by_less_than_can_be_noticed(self, due: float) -> None:
        assert due - 2e-6 < float(filed(due)) <= due + 5e-7

    @given(micros=st.integers(0, 2**32 * 1_000_000 - 1))
    def test_give_back_the_due_time_to_the_microsecond(self, micros: int) -> None:
        due = micros / 1_000_000

        assert due_of(float(filed(due))) == due
        assert float(filed(due)) <= due

    @pytest.mark.parametrize("due", [1e11, float("inf")])
    def test_beyond_what_a_float_can_mark_are_left_as_they_are(self, due: float) -> None:
        assert float(filed(due)) == due_of(float(filed(due))) == due

    @given(duration=st.floats(-1, 100))
    def test_no_blocking_command_waits_for_ever(self, duration: float) -> None:
        assert float(seconds(duration)) >= 0.01


class TestFacts:
    @pytest.mark.parametrize(
        ("facts", "version", "field_ttl", "too_old"),
        [
            ({"redis_version": "7.2.4", "valkey_version": "8.1.0"}, (8, 1), False, False),
            ({"redis_version": "7.2.4", "valkey_version": "9.0.0"}, (9, 0), True, False),
            ({"redis_version": "7.4.1"}, (7, 4), True, False),
            ({"redis_version": "7.2.9"}, (7, 2), False, False),
            ({"redis_version": "6.0.16"}, (6, 0), False, True),
            ({"redis_version": "10.0.1"}, (10, 0), True, False),
            ({}, (), False, False),
        ],
    )
    def test_versions_are_compared_as_numbers_and_valkey_has_its_own(
        self, facts: dict[str, str], version: tuple[int, ...], field_ttl: bool, too_old: bool
    ) -> None:
        server = ServerFacts(facts)

        assert (server.version, server.has_field_ttl, server.is_too_old) == (
            version,
            field_ttl,
            too_old,
        )


class TestScripts:
    FILES = sorted(
        file.name.removesuffix(".lua")
        for file in resources.files("huey.storage.redis").joinpath("lua").iterdir()
    )

    def test_each_file_begins_with_what_it_promises(self) -> None:
        for name in self.FILES:
            text = resources.files("huey.storage.redis").joinpath("lua", f"{name}.lua").read_text()
            assert re.match(r"-- [A-Z].{20}", text), name

    def test_each_file_is_used(self) -> None:
        forms = {
            "queue_list",
            "queue_sorted",
            "inbox_list",
            "inbox_sorted",
            "data_hash",
            "data_keys",
        }
        parts = {part for used in _PARTS.values() for part in used} - {"queue", "inbox", "data"}

        assert set(self.FILES) == {*_PARTS, *forms, *parts, "prelude", "pop_schedule"}

    @pytest.mark.parametrize("queue", ["list", "sorted"])
    @pytest.mark.parametrize("data", ["hash", "keys"])
    def test_no_script_spells_out_a_key(self, queue: str, data: str) -> None:
        for name in _PARTS:
            text = re.sub(r"--.*", "", script(name, queue, data).text)
            assert "huey." not in text

    def test_the_script_that_huey_3_offers_is_there(self) -> None:
        assert "ZREMRANGEBYSCORE" in SCHEDULE_POP_LUA


class TestDrivers:
    def test_one_that_is_there_is_imported(self) -> None:
        assert drivers.require("json", extra="x", purpose="y") is sys.modules["json"]
        assert drivers.is_installed("json")

    def test_one_that_is_missing_is_named_with_its_extra(self) -> None:
        with pytest.raises(ConfigurationError, match=r'"nothing_like_it", which is not installed'):
            drivers.require("nothing_like_it", extra="x", purpose="y")

    def test_one_that_is_broken_is_not_called_missing(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken_driver.py").write_text("import nothing_like_it")
        monkeypatch.syspath_prepend(tmp_path)
        assert importlib.util.find_spec("broken_driver") is not None

        with pytest.raises(ConfigurationError, match="installed but fails to import"):
            drivers.require("broken_driver", extra="x", purpose="y")
