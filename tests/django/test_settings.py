"""The settings: every documented form works as written, and a wrong one says what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from redis import ConnectionPool

from huey import PriorityRedisHuey, RedisHuey, SqliteHuey
from huey.contrib import djhuey
from huey.contrib.djhuey import checks

Reload = Callable[..., Any]


def refusal(reloaded: Reload, **settings: Any) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        reloaded(**settings)
    return str(refused.value)


class TestOneQueue:
    def test_without_the_setting_it_is_redis_under_the_name_of_the_database(
        self, reloaded: Reload
    ) -> None:
        huey = reloaded(HUEY=None, DEBUG=True).HUEY

        assert isinstance(huey, RedisHuey)
        assert huey.name == djhuey.default_queue_name()
        # Without a dict DEBUG plays no part.
        assert not huey.immediate

    def test_the_dict_with_all_documented_keys_works_as_written(self, reloaded: Reload) -> None:
        queues = reloaded(
            HUEY={
                "huey_class": "huey.RedisHuey",
                "name": "my-app",
                "results": True,
                "store_none": False,
                "immediate": False,
                "utc": True,
                "blocking": True,
                "connection": {
                    "host": "localhost",
                    "port": 6379,
                    "db": 0,
                    "connection_pool": None,
                    "read_timeout": 1,
                    "url": None,
                },
                "consumer": {
                    "workers": 1,
                    "worker_type": "thread",
                    "initial_delay": 0.1,
                    "backoff": 1.15,
                    "max_delay": 10.0,
                    "scheduler_interval": 1,
                    "periodic": True,
                    "check_worker_health": True,
                    "health_check_interval": 1,
                },
            }
        ).queues

        huey = queues.get_queue()
        assert (type(huey), huey.name) == (RedisHuey, "my-app")
        assert (huey.results, huey.store_none, huey.utc, huey.immediate) == (
            True,
            False,
            True,
            False,
        )
        assert huey.storage.pool.connection_kwargs["host"] == "localhost"
        assert queues.consumers["default"]["health_check_interval"] == 1

    def test_a_connection_pool_is_used(self, reloaded: Reload) -> None:
        pool = ConnectionPool(host="localhost", max_connections=20)

        huey = reloaded(
            HUEY={"name": "a", "connection": {"connection_pool": pool}, "immediate": False}
        ).HUEY

        assert huey.storage.pool is pool

    def test_a_huey_is_used_as_it_is(self, reloaded: Reload) -> None:
        own = RedisHuey("my-app")

        assert reloaded(HUEY=own).HUEY is own

    def test_reloading_with_the_same_huey_declares_nothing_twice(self, reloaded: Reload) -> None:
        own = RedisHuey("my-app")
        reloaded(HUEY=own)

        assert reloaded(HUEY=own).HUEY is own

    @pytest.mark.parametrize("url", ["redis://localhost:6379/?db=1", "sqlite:///{}/q.db"])
    def test_a_url_is_enough(self, reloaded: Reload, url: str, tmp_path: Path) -> None:
        url = url.format(tmp_path)

        assert type(reloaded(HUEY=url, DEBUG=False).HUEY) is type(
            reloaded(HUEY={"url": url}, DEBUG=False).HUEY
        )

    def test_a_url_chooses_the_class(self, reloaded: Reload, tmp_path: Path) -> None:
        huey = reloaded(HUEY={"url": f"sqlite:///{tmp_path}/q.db", "immediate": False}).HUEY

        assert isinstance(huey, SqliteHuey)
        assert huey.storage_kwargs["filename"] == f"{tmp_path}/q.db"

    def test_a_url_fits_a_class_that_was_chosen(self, reloaded: Reload) -> None:
        settings = {"huey_class": "huey.PriorityRedisHuey", "url": "redis://localhost:6380/2"}

        module = reloaded(HUEY={**settings, "immediate": False})

        assert isinstance(module.HUEY, PriorityRedisHuey)
        storage: Any = module.HUEY.storage
        assert storage.pool.connection_kwargs["port"] == 6380

    def test_a_class_of_the_project_gets_the_rest(self, reloaded: Reload, tmp_path: Path) -> None:
        settings = {"huey_class": "huey.SqliteHuey", "filename": tmp_path / "q.db", "fsync": True}

        huey = reloaded(HUEY={**settings, "name": Path("/a/b.db"), "immediate": False}).HUEY

        assert huey.name == "/a/b.db"
        assert huey.storage_kwargs["fsync"] is True

    @pytest.mark.parametrize("debug", [True, False])
    def test_a_dict_that_does_not_say_follows_debug(self, reloaded: Reload, debug: bool) -> None:
        assert reloaded(HUEY={"name": "a"}, DEBUG=debug).HUEY.immediate is debug
        assert not reloaded(HUEY={"name": "a", "immediate": False}, DEBUG=debug).HUEY.immediate

    def test_immediate_mode_may_keep_the_real_storage(self, reloaded: Reload) -> None:
        huey = reloaded(HUEY={"immediate_use_memory": False}, DEBUG=True).HUEY

        assert huey.immediate
        assert type(huey.storage).__name__ == "RedisStorage"

    def test_a_name_bound_before_a_reload_stays_with_its_queue(self, reloaded: Reload) -> None:
        first = reloaded(HUEY={"name": "one", "immediate": True})
        task = first.task
        reloaded(HUEY={"name": "two", "immediate": True})

        wrapper = task(name="bound_before")(lambda: None)

        assert wrapper.huey.name == "one"


class TestSeveralQueues:
    HUEY = {  # noqa: RUF012
        "default": {"name": "a", "immediate": True},
        "mail": {"url": "redis://localhost", "immediate": False, "consumer": {"workers": 3}},
    }

    def test_a_dict_of_dicts_declares_them(self, reloaded: Reload) -> None:
        module = reloaded(HUEY=self.HUEY)

        assert module.HUEY is module.get_queue("default")
        assert module.get_queue("mail").name == f"{module.default_queue_name()}-mail"
        assert module.queues.consumers["mail"] == {"workers": 3}

    def test_the_settings_of_django_huey_declare_them(self, reloaded: Reload) -> None:
        module = reloaded(
            HUEY=None,
            DJANGO_HUEY={
                "default": "first",
                "queues": {
                    "first": {"huey_class": "huey.RedisHuey", "name": "first_tasks"},
                    "emails": {"backend_class": "huey.MemoryHuey", "immediate": False},
                },
            },
        )

        assert (module.HUEY.name, module.get_queue("emails").name) == ("first_tasks", "emails")
        assert type(module.get_queue("emails").storage).__name__ == "MemoryStorage"

    def test_both_settings_together_keep_the_default_of_huey(self, reloaded: Reload) -> None:
        module = reloaded(
            HUEY={"name": "own", "immediate": True},
            DJANGO_HUEY={"default": "x", "queues": {"x": {"immediate": True}}},
        )

        assert (module.HUEY.name, sorted(module.queues.hueys)) == ("own", ["default", "x"])

    def test_a_task_is_declared_on_the_queue_that_is_named(self, reloaded: Reload) -> None:
        module = reloaded(HUEY=self.HUEY)

        mail = module.db_task(queue="mail", name="on_mail")(lambda: None)
        other = module.task(name="elsewhere")(lambda: None)

        assert (mail.huey, other.huey) == (module.get_queue("mail"), module.HUEY)

    def test_helpers_find_the_queue_of_a_task(self, reloaded: Reload) -> None:
        module = reloaded(
            HUEY={
                "default": {"name": "a", "immediate": True},
                "mail": {"name": "b", "huey_class": "huey.MemoryHuey", "immediate": False},
            }
        )
        send = module.task(queue="mail", name="send")(lambda to: to)

        task = send.s("somebody")
        module.enqueue(task)
        module.revoke(task)

        assert [one.id for one in module.pending(queue="mail")] == [task.id]
        assert module.is_revoked(task)
        assert module.restore(task)
        assert not module.pending()

    def test_an_unknown_queue_is_named_with_the_known_ones(self, reloaded: Reload) -> None:
        module = reloaded(HUEY=self.HUEY)

        with pytest.raises(KeyError, match="no queue 'post': the settings declare default, mail"):
            module.task(queue="post")


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("huey", "text"),
        [
            (17, "HUEY must be a dict, a URL or a Huey instance, got 17"),
            ("localhost", "HUEY must be a dict, a URL"),
            ({"huey_class": "huey.NoHuey"}, '"huey_class"] must be the path of a Huey class'),
            ({"immediate": "False"}, "A text is always true"),
            ({"connection": "localhost"}, '"connection"] must be a dict, got'),
            ({"name": ""}, '"name"] must be a text'),
            ({"url": "localhost:6379"}, '"url"] must be a URL'),
            ({"delivery": "once"}, "'at_least_once' or 'at_most_once'"),
            ({"consumer": {"worker_type": "fibre"}}, "thread or greenlet or process or asyncio"),
            ({"consumer": {"workers": "4"}}, '"workers"] must be a number'),
            ({"consumer": {"backoff": 0.5}}, "backoff must be at least 1"),
            ({"database": "other"}, "a key of DATABASES ('default')"),
            ({"transactional": "other"}, "True, False or a key of DATABASES"),
            ({"huey_class": "huey.RedisHuey", "url": "sqlite:///x.db"}, "leads to a SqliteHuey"),
            ({"url": "carrier-pigeon://here"}, "redis://"),
            ({"huey_class": "huey.RedisHuey", "database": "default"}, "goes with PostgresHuey"),
            (
                {"url": "redis://a", "connection": {"host": "b"}, "immediate": False},
                "HUEY is refused",
            ),
            ({"a": {"name": "x"}, "b": {"name": "x"}}, "the same queue: same name, same storage"),
        ],
    )
    def test_a_mistake_is_answered_with_what_is_right(
        self, reloaded: Reload, huey: Any, text: str
    ) -> None:
        assert text in refusal(reloaded, HUEY=huey, DEBUG=False)

    def test_the_default_must_be_one_of_the_queues(self, reloaded: Reload) -> None:
        setting = {"default": "firts", "queues": {"first": {"immediate": True}}}

        text = refusal(reloaded, HUEY=None, DJANGO_HUEY=setting)

        assert "must be the key of one of the queues (first), got 'firts'" in text

    def test_config_error_shows_an_example(self) -> None:
        with pytest.raises(ImproperlyConfigured, match=r"nothing fits[\s\S]*HUEY = \{"):
            djhuey.config_error("nothing fits")

    def test_get_backend_imports_a_class(self) -> None:
        assert djhuey.get_backend(djhuey.default_backend_path) is RedisHuey
        with pytest.raises(ImproperlyConfigured, match=r"huey\.Nothing"):
            djhuey.get_backend("huey.Nothing")


class TestSystemChecks:
    def test_the_settings_of_the_example_are_in_order(self) -> None:
        assert checks.check_settings(None) + checks.check_queues(None) == []

    def test_a_key_that_no_consumer_knows_is_warned_of(self, settings_of: Any) -> None:
        settings_of(HUEY={"consumer": {"worker": 3}})

        [message] = checks.check_settings(None)

        assert (message.id, message.hint) == ("huey.W004", "Did you mean 'workers'?")

    def test_immediate_mode_in_production_is_warned_of(self, reloaded: Reload) -> None:
        reloaded(HUEY={"immediate": True}, DEBUG=False)

        assert [message.id for message in checks.check_deployment(None)] == ["huey.W001"]

    def test_a_queue_in_a_memory_that_others_do_not_see_is_warned_of(
        self, reloaded: Reload
    ) -> None:
        reloaded(HUEY={"huey_class": "huey.SqliteHuey", "filename": ":memory:"})

        assert [message.id for message in checks.check_queues(None)] == ["huey.W002"]

    def test_periodic_tasks_that_nobody_enqueues_are_warned_of(self, reloaded: Reload) -> None:
        module = reloaded(HUEY={"immediate": True, "consumer": {"periodic": False}})
        module.periodic_task(module.crontab(minute="5"), name="never")(lambda: None)

        assert [message.id for message in checks.check_queues(None)] == ["huey.W003"]


@pytest.fixture
def settings_of() -> Any:
    """Override settings without building queues."""
    from django.test import override_settings

    overrides = []

    def override(**values: Any) -> None:
        overrides.append(override_settings(**values))
        overrides[-1].enable()

    yield override
    for one in overrides:
        one.disable()
