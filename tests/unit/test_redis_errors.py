"""What goes wrong at a Redis server, as an application and an operator are told."""

from typing import Any

import pytest
import redis

from huey.exceptions import ConfigurationError, StorageError, UnknownOutcome
from huey.storage.delivery import Outgoing
from huey.storage.redis.errors import Phase, translated
from huey.storage.redis.storages import (
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)

ALL = [RedisStorage, RedisExpireStorage, PriorityRedisStorage, PriorityRedisExpireStorage]
#: Nothing listens there.
NOWHERE = "redis://127.0.0.1:1/0"


class TestErrors:
    def told(self, exc: BaseException, phase: Phase = Phase.WAITING, once: bool = False) -> Any:
        return translated(exc, "the server", phase, once)

    def test_a_lost_reply_leaves_the_outcome_open_only_where_it_is_open(self) -> None:
        lost = redis.ConnectionError("gone")

        assert isinstance(self.told(lost, once=True), UnknownOutcome)
        for known in (
            self.told(lost),
            self.told(lost, Phase.CONNECTING, once=True),
            self.told(lost, Phase.SENDING, once=True),
            self.told(redis.ResponseError("OOM command not allowed"), once=True),
            self.told(redis.BusyLoadingError("loading"), once=True),
            self.told(redis.AuthenticationError("no"), once=True),
        ):
            assert isinstance(known, StorageError)
            assert not isinstance(known, UnknownOutcome)

    @pytest.mark.parametrize(
        ("text", "advice"),
        [
            ("WRONGTYPE Operation against a key", "PriorityRedisHuey"),
            ("ERR Error running script: @user_script: 3: WRONGTYPE Operation", "PriorityRedisHuey"),
            ("NOPERM this user has no permissions", "huey.*"),
            ("ERR DB index is out of range", "lower db"),
            ("ERR unknown command 'BLMOVE'", "too old"),
            ("CROSSSLOT Keys in request", "braces"),
            (
                "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
                "appendonly",
            ),
        ],
    )
    def test_what_a_person_must_change_is_said(self, text: str, advice: str) -> None:
        told = self.told(redis.ResponseError(text))

        assert isinstance(told, ConfigurationError)
        assert isinstance(told, StorageError)
        assert advice in str(told)

    @pytest.mark.parametrize("code", ["READONLY", "MISCONF", "BUSY", "CLUSTERDOWN", "OOM"])
    def test_what_passes_by_itself_is_not_a_configuration_error(self, code: str) -> None:
        told = self.told(redis.ResponseError(f"{code} try again"))

        assert isinstance(told, StorageError)
        assert not isinstance(told, ConfigurationError)

    def test_codes_that_the_driver_cuts_off_are_told_again(self) -> None:
        assert "READONLY You can't" in str(self.told(redis.ReadOnlyError("You can't")))
        assert "huey.*" in str(self.told(redis.exceptions.NoPermissionError("no")))

    @pytest.mark.parametrize(
        ("exc", "advice"),
        [
            (redis.AuthenticationError("invalid username-password pair"), "password"),
            (redis.exceptions.AuthenticationWrongNumberOfArgsError("x"), "username"),
            (redis.InvalidResponse("Protocol Error: \x15"), "rediss://"),
            (redis.ConnectionError("Error 1 connecting: [SSL: WRONG_VERSION_NUMBER]"), "redis://"),
            (redis.ConnectionError("invalid password"), "password"),
            (TypeError("unexpected keyword argument 'hots'"), "'hots'"),
        ],
    )
    def test_what_stops_a_connection_is_explained(self, exc: BaseException, advice: str) -> None:
        told = self.told(exc, Phase.CONNECTING)

        assert isinstance(told, ConfigurationError)
        assert advice in str(told)

    def test_they_are_errors_of_the_driver_too(self) -> None:
        assert isinstance(self.told(redis.ConnectionError("x")), redis.ConnectionError)
        assert isinstance(self.told(redis.TimeoutError("x")), redis.TimeoutError)
        assert isinstance(self.told(redis.ResponseError("BUSY")), redis.ResponseError)

    def test_a_storage_without_a_server_says_where_it_looked(self) -> None:
        storage = RedisStorage("q", url="redis://me:secret@127.0.0.1:1/0")

        with pytest.raises(StorageError, match=r"127\.0\.0\.1:1 cannot be reached") as raised:
            storage.enqueue(b"x")

        assert "secret" not in str(raised.value)
        assert raised.value.__cause__ is not None
        with pytest.raises(redis.ConnectionError):
            storage.dequeue()

    def test_a_setting_that_the_driver_does_not_know_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match="hots"):
            RedisStorage("q", hots="typo")

    @pytest.mark.parametrize("storage_class", ALL)
    def test_a_message_that_no_server_takes_is_refused_before_it_is_sent(
        self, storage_class: type[RedisStorage]
    ) -> None:
        storage = storage_class("q", url=NOWHERE)
        storage.max_message_size = 10

        with pytest.raises(ValueError, match=r"Expected at most 10 bytes.*got 11"):
            storage.enqueue(b"x" * 11)
        with pytest.raises(ValueError, match="Expected at most 10 bytes"):
            storage.enqueue_many([Outgoing(b"x" * 11, due=1.0)])

    def test_a_list_refuses_a_priority_and_says_who_has_them(self) -> None:
        storage = RedisStorage("q", url=NOWHERE)

        with pytest.raises(NotImplementedError, match="PriorityRedisHuey"):
            storage.enqueue(b"x", 3)
        with pytest.raises(NotImplementedError, match="PriorityRedisHuey"):
            storage.enqueue_many([Outgoing(b"x", priority=3)])


class TestDequeue:
    """As Huey 3's own tests see it, through the driver's client."""

    def test_an_error_of_the_connection_reaches_the_caller_and_none_is_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = RedisStorage("q", url=NOWHERE)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise redis.ConnectionError

        monkeypatch.setattr(storage.conn, "brpop", fail)
        with pytest.raises(redis.ConnectionError):
            storage.dequeue()

        monkeypatch.setattr(storage.conn, "brpop", lambda *args, **kwargs: None)
        assert storage.dequeue() is None

    def test_a_timeout_is_an_empty_queue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = RedisStorage("q", url=NOWHERE)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise redis.TimeoutError

        monkeypatch.setattr(storage.conn, "brpop", fail)

        assert storage.dequeue() is None

    def test_only_what_is_asked_for_is_read_from_the_list(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = RedisStorage("q", url=NOWHERE)
        calls = []

        def lrange(*args: Any) -> list[bytes]:
            calls.append(args)
            return [b"later", b"next"]

        monkeypatch.setattr(storage.conn, "lrange", lrange)

        assert storage.enqueued_items(2) == [b"next", b"later"]
        storage.enqueued_items()
        assert calls == [("huey.redis.q", -2, -1), ("huey.redis.q", 0, -1)]
