"""The helpers for the tests of a project: immediate mode, captured tasks, commits."""

from __future__ import annotations

import unittest

import pytest
from django.db import transaction
from django.test import TestCase
from orders.models import Order, Shipment  # type: ignore[import-not-found]  # of the example
from orders.tasks import add, send_mail, ship  # type: ignore[import-not-found]  # of the example

from huey.contrib import djhuey
from huey.contrib.djhuey.testing import ImmediateTasks, captured_tasks, immediate_mode


class TestInATestCase(ImmediateTasks):
    def test_a_task_runs_where_it_is_called(self) -> None:
        assert add(2, 3)() == 5

    def test_what_waits_for_a_commit_runs_at_the_end_of_the_block(self) -> None:
        with self.committed():
            with transaction.atomic():
                Order.objects.create(number=7)
                ship(7)
            assert not Shipment.objects.exists()

        assert Shipment.objects.get().order_was_there

    def test_the_queue_of_another_test_is_not_seen(self) -> None:
        assert djhuey.HUEY.result_count() == 0
        assert djhuey.HUEY.immediate


class TestCaptured(TestCase):
    def test_tasks_are_kept_for_the_test_to_look_at(self) -> None:
        with captured_tasks() as tasks:
            add(2, 3)
            add.schedule((4, 5), delay=100)
            send_mail("somebody@example.org")

        assert [task.args for task in tasks.pending(add)] == [(2, 3)]
        assert [task.args for task in tasks.scheduled()] == [(4, 5)]
        assert [task.name for task in tasks.pending(send_mail)] == ["send_mail"]
        assert len(tasks) == 3
        assert djhuey.HUEY.pending_count() == 0

    def test_they_can_be_run(self) -> None:
        with captured_tasks() as tasks:
            result = add(2, 3)
            assert tasks.run() == 1
            assert result() == 5

        assert len(tasks) == 0

    def test_one_queue_can_be_captured(self) -> None:
        with captured_tasks("mail") as tasks:
            send_mail("somebody@example.org")

        assert len(tasks) == 1

    def test_what_waits_for_a_commit_is_captured_at_the_end_of_the_block(self) -> None:
        with captured_tasks() as tasks:
            Order.objects.create(number=8)
            ship(8)
            assert len(tasks) == 0

        assert [task.args for task in tasks.pending(ship)] == [(8,)]
        tasks.run()
        assert Shipment.objects.get().number == 8

    def test_an_error_of_a_task_is_raised(self) -> None:
        with captured_tasks() as tasks:
            add(1, "2")

        with pytest.raises(TypeError, match="unsupported operand"):
            tasks.run()


class TestWithoutDatabase(unittest.TestCase):
    def test_no_database_is_needed(self) -> None:
        with immediate_mode(databases=()):
            assert add(2, 3)() == 5

        assert not djhuey.HUEY.immediate
