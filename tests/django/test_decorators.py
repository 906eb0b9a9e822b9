"""The decorators: connections around tasks, tasks after a commit, and every name that there is."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, reset_queries, transaction
from django.test import override_settings
from orders.models import Order  # type: ignore[import-not-found]  # of the example

from huey.contrib import djhuey
from huey.contrib.djhuey.database import refresh_connections
from huey.exceptions import TaskException

NAMES = [
    "HUEY",
    "task",
    "periodic_task",
    "lock_task",
    "enqueue",
    "restore",
    "restore_all",
    "restore_by_id",
    "revoke",
    "revoke_all",
    "revoke_by_id",
    "is_revoked",
    "result",
    "scheduled",
    "on_startup",
    "on_shutdown",
    "pre_execute",
    "post_execute",
    "signal",
    "disconnect_signal",
    "close_db",
    "db_task",
    "db_periodic_task",
    "on_commit_task",
    "get_backend",
    "default_queue_name",
    "config_error",
    "default_backend_path",
    "configuration_message",
    "context_task",
    "rate_limit",
    "flush_locks",
    "is_locked",
    "pending",
    "group",
    "chord",
    "crontab",
    "get_queue",
]


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    djhuey.HUEY.flush()
    yield
    djhuey.HUEY.flush()
    Order.objects.all().delete()


@contextlib.contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that ends in vain."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def run_next() -> None:
    task = djhuey.HUEY.dequeue()
    assert task is not None
    djhuey.HUEY.execute(task)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_offers(name: str) -> None:
    assert hasattr(djhuey, name)
    assert name in djhuey.__all__


class TestConnections:
    @pytest.fixture
    def stale(self) -> None:
        """An open connection that has outlived its time, as after a restart of the server."""
        connection.ensure_connection()
        connection.close_at = 0

    def look(self) -> bool:
        return connection.connection is None

    def test_an_old_one_is_closed_before_and_after_a_task(
        self, stale: None, unregistered: Any
    ) -> None:
        seen = []

        @djhuey.db_task(name="sees")
        def sees() -> None:
            seen.append(connection.connection)
            connection.ensure_connection()
            connection.close_at = 0

        unregistered(sees)()
        run_next()

        assert seen == [None]
        assert connection.connection is None

    def test_they_are_left_alone_in_immediate_mode(self, stale: None) -> None:
        djhuey.HUEY._immediate = True
        try:
            djhuey.close_db(lambda: None)()
        finally:
            djhuey.HUEY._immediate = False

        assert connection.connection is not None

    def test_they_are_left_alone_inside_of_a_transaction(self) -> None:
        with transaction.atomic():
            Order.objects.create(number=1)
            connection.close_at = 0
            djhuey.close_db(lambda: None)()

            assert connection.connection is not None

        assert Order.objects.count() == 1

    def test_queries_that_debug_keeps_are_forgotten(self) -> None:
        with override_settings(DEBUG=True):
            reset_queries()
            Order.objects.count()
            assert connection.queries

            refresh_connections()

            assert not connection.queries

    def test_a_call_on_the_spot_leaves_them_alone(self, stale: None, unregistered: Any) -> None:
        wrapper = unregistered(djhuey.db_task(name="local")(lambda: connection.connection))

        assert wrapper.call_local() is not None

    def test_those_of_a_coroutine_are_closed_in_the_thread_where_they_are(
        self, unregistered: Any
    ) -> None:
        from asgiref.sync import sync_to_async

        def age() -> None:
            connection.ensure_connection()
            connection.close_at = 0

        @djhuey.db_task(name="coroutine")
        async def coroutine() -> int:
            await sync_to_async(age)()
            return int(await Order.objects.acount())

        result = unregistered(coroutine)()
        run_next()

        async def is_closed() -> bool:
            return await sync_to_async(lambda: connection.connection is None)()

        assert result() == 0
        assert asyncio.run(is_closed())

    def test_the_function_keeps_its_name_and_signature(self) -> None:
        def some_function(number: int) -> str:
            return str(number)

        closing = djhuey.close_db(some_function)

        assert (closing.__name__, closing.__module__) == ("some_function", __name__)
        assert inspect.signature(closing) == inspect.signature(some_function)

    def test_a_task_becomes_a_periodic_one_without_a_second_pair_of_looks(
        self, unregistered: Any
    ) -> None:
        wrapper = unregistered(djhuey.task(name="plain")(lambda: "value"))

        periodic = unregistered(
            djhuey.db_periodic_task(djhuey.crontab(minute="1"), name="by_the_clock")(wrapper)
        )

        assert periodic.call_local() == "value"


class TestOnCommit:
    @pytest.fixture
    def ship(self, unregistered: Any) -> Any:
        @djhuey.on_commit_task(name="ship_now")
        def ship_now(number: int) -> int:
            return number * 2

        unregistered(vars(ship_now)["task_wrapper"])
        return ship_now

    def test_it_is_enqueued_when_the_transaction_commits(self, ship: Any) -> None:
        with transaction.atomic():
            result = ship(2)
            assert not djhuey.pending()

        assert [task.id for task in djhuey.pending()] == [result.id]
        run_next()
        assert result() == 4

    def test_it_is_never_enqueued_when_the_transaction_is_rolled_back(self, ship: Any) -> None:
        with rolled_back():
            result = ship(2)

        assert not djhuey.pending()
        assert result() is None

    def test_an_inner_transaction_that_is_rolled_back_takes_its_own_with_it(
        self, ship: Any
    ) -> None:
        with transaction.atomic():
            kept = ship(1)
            with rolled_back():
                ship(2)

        assert [task.id for task in djhuey.pending()] == [kept.id]

    def test_outside_of_a_transaction_it_is_enqueued_at_once(self, ship: Any) -> None:
        assert ship(2).id == djhuey.pending()[0].id

    def test_it_is_a_function_that_can_be_called_on_the_spot(self, ship: Any) -> None:
        assert ship.call_local(4) == 8
        assert ship.__name__ == "ship_now"
        assert inspect.isfunction(ship)

    def test_options_of_a_call_are_taken(self, ship: Any) -> None:
        ship(1, priority=5, id="chosen")

        [task] = djhuey.pending()
        assert (task.id, task.priority) == ("chosen", 5)


def test_an_async_view_is_told_how_to_enqueue_after_the_commit() -> None:
    from asgiref.sync import sync_to_async
    from orders.tasks import ship  # type: ignore[import-not-found]  # of the example

    async def view() -> str:
        return str((await sync_to_async(ship)(3)).id)

    assert asyncio.run(view()) == djhuey.pending()[0].id


def test_a_failing_task_is_seen_by_its_caller(unregistered: Any) -> None:
    @djhuey.db_task(name="fails")
    def fails() -> None:
        raise LookupError("nobody there")

    result = unregistered(fails)()
    run_next()

    with pytest.raises(TaskException, match="nobody there"):
        result()


@pytest.fixture
def unregistered() -> Iterator[Any]:
    """Forget tasks after the test that declared them."""
    wrappers = []

    def note(wrapper: Any) -> Any:
        wrappers.append(wrapper)
        return wrapper

    yield note
    for wrapper in wrappers:
        wrapper.unregister()
