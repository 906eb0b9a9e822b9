"""Tasks that are enqueued within a transaction appear exactly if it commits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from orders.models import Order  # type: ignore[import-not-found]  # of the example

from tests.django.project import Project, until

#: Commits two orders, rolls back three, one of them inside of a committed transaction.
ORDERS = """
from django.db import transaction
from huey.contrib.djhuey import HUEY, group
from orders.models import Order  # type: ignore[import-not-found]  # of the example
from orders.tasks import ship_within as ship  # type: ignore[import-not-found]  # of the example

class Refused(Exception): pass

def order(*numbers, refuse=False, inner=None):
    try:
        with transaction.atomic():
            for number in numbers:
                Order.objects.create(number=number)
                ship(number)
            if inner:
                order(inner, refuse=True)
            seen.append(HUEY.pending_count())
            if refuse:
                raise Refused
    except Refused:
        pass

seen = []
order(1)
order(2, refuse=True)
order(3, refuse=True)
order(4, inner=5)
"""
ASK = "print(json.dumps([seen, sorted(task.args[0] for task in HUEY.pending())]))"


def test_a_queue_in_the_postgresql_of_the_project_is_part_of_its_transactions(
    postgres_url: str, tmp_path: Path
) -> None:
    project = Project(tmp_path, SHOP_POSTGRES=postgres_url, SHOP_QUEUE="database").migrate()

    seen, pending = project.run(ORDERS + ASK)

    # Nobody outside of a transaction sees its tasks before the commit.
    assert seen == [0, 1, 1, 1, 1]
    assert pending == [1, 4]


def test_groups_and_scheduled_tasks_are_part_of_the_transaction_as_well(
    postgres_url: str, tmp_path: Path
) -> None:
    project = Project(tmp_path, SHOP_POSTGRES=postgres_url, SHOP_QUEUE="database").migrate()

    found = project.run(
        ORDERS
        + """
HUEY.flush()
for refuse in (True, False):
    with transaction.atomic():
        HUEY.enqueue(group([ship.s(1), ship.s(2)]))
        ship.map([3, 4])
        ship.schedule((5,), delay=1000)
        transaction.set_rollback(refuse)
print(json.dumps(sorted(task.args[0] for task in HUEY.pending())))
"""
    )

    # A consumer moves the one for later to the schedule.
    assert found == [1, 2, 3, 4, 5]


def test_tasks_of_the_framework_are_part_of_the_transaction_with_their_results(
    postgres_url: str, tmp_path: Path
) -> None:
    project = Project(tmp_path, SHOP_POSTGRES=postgres_url, SHOP_QUEUE="database").migrate()

    found = project.run(
        ORDERS
        + """
from tests.django.framework_tasks import double
from huey.contrib.djhuey.tasks_api import TaskResultDoesNotExist
HUEY.flush()
results = {}
for refuse in (True, False):
    with transaction.atomic():
        results[refuse] = double.enqueue(4)
        transaction.set_rollback(refuse)
results[False].refresh()
status = str(results[False].status)
try:
    results[True].refresh()
except TaskResultDoesNotExist:
    missing = True
tasks = HUEY.pending()
# A worker may be faster than the web process: without the record of it, too.
HUEY.storage.flush_results()
HUEY.execute(HUEY.dequeue())
results[False].refresh()
print(json.dumps([len(tasks), status, missing, results[False].return_value]))
"""
    )

    assert found == [1, "READY", True, 8]


def test_a_consumer_runs_what_was_committed(postgres_url: str, tmp_path: Path) -> None:
    project = Project(tmp_path, SHOP_POSTGRES=postgres_url, SHOP_QUEUE="database").migrate()
    project.run(ORDERS + "print(1)")

    with project.consumer("-q", "-k", "process"):
        shipped = until(lambda: _shipped(project, 2), "both shipments")

    assert shipped == [[1, True, 1], [4, True, 1]]


class TestElsewhere:
    """A queue that cannot be in the transaction gets its tasks after the commit."""

    @pytest.fixture(params=["sqlite", "the database itself", "redis"])
    def module(self, request: pytest.FixtureRequest, reloaded: Any, tmp_path: Path) -> Any:
        match request.param:
            case "sqlite":
                settings = {"url": f"sqlite:///{tmp_path}/q.db", "transactional": True}
            case "the database itself":
                settings = {"database": "default"}
            case "redis":
                url = request.getfixturevalue("valkey_url")
                settings = {"url": url, "transactional": "default"}
        module = reloaded(HUEY={"name": "own", "immediate": False, **settings})
        yield module
        module.HUEY.flush()
        Order.objects.all().delete()

    def test_tasks_appear_after_the_commit_or_never(self, module: Any) -> None:
        task = module.task(name="some_task")(lambda number: number)

        for number in range(4):
            with transaction.atomic():
                Order.objects.create(number=number)
                task(number)
                module.HUEY.add_schedule(task.s(number, delay=1000))
                assert module.HUEY.pending_count() == (number + 1) // 2
                transaction.set_rollback(number % 2 == 1)

        assert [one.args for one in module.pending()] == [(0,), (2,)]
        assert [one.args for one in module.scheduled()] == [(0,), (2,)]
        assert sorted(Order.objects.values_list("number", flat=True)) == [0, 2]

    def test_outside_of_a_transaction_they_appear_at_once(self, module: Any) -> None:
        task = module.task(name="other_task")(lambda: None)

        task()

        assert module.HUEY.pending_count() == 1

    def test_tasks_of_the_framework_wait_with_their_records(self, module: Any) -> None:
        from tests.django.framework_tasks import double

        with transaction.atomic():
            result = double.enqueue(1)
            assert result.enqueued_at is None

        assert [task.id for task in module.pending()] == [result.id]
        assert double.get_result(result.id).enqueued_at is not None


def _shipped(project: Project, count: int) -> Any:
    rows = project.run(
        "from orders.models import Shipment\n"
        "found = Shipment.objects.order_by('number')\n"
        "print(json.dumps(list(found.values_list('number', 'order_was_there', 'runs'))))"
    )
    return rows if len(rows) >= count else None
