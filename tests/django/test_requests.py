"""Requests that write a row and enqueue a task, while consumers are killed."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application

from huey.contrib import djhuey
from tests.django.project import Project, until

REQUESTS = 500


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # More than one connection may arrive while a thread is made.
    request_queue_size = 64


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """A real web server with the project, in this process."""
    server: HTTPServer = make_server(
        "127.0.0.1", 0, get_wsgi_application(), server_class=_Server, handler_class=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def post(url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_exactly_the_committed_tasks_run_though_the_consumer_is_killed_twice(
    address: str,
) -> None:
    from orders.models import Order, Shipment  # type: ignore[import-not-found]  # of the example

    djhuey.HUEY.flush()
    here = Project(_folder())

    def send(number: int) -> int:
        return post(f"{address}/orders/{number}/{'?refuse' if number % 3 == 2 else ''}")

    with ThreadPoolExecutor(4) as threads:
        codes = threads.map(send, range(REQUESTS))
        for shipped in (40, 140):
            with here.consumer("-q", "-w", "4") as consumer:
                wait_for(shipped)
                consumer.kill()
        with here.consumer("-q", "-w", "4"):
            assert sorted(codes) == [201] * (REQUESTS - REQUESTS // 3) + [402] * (REQUESTS // 3)
            committed = [number for number in range(REQUESTS) if number % 3 != 2]
            wait_for(len(committed))

    shipments = Shipment.objects.order_by("number")
    assert [one.number for one in shipments] == committed
    assert all(one.order_was_there for one in shipments)
    # A second run is what a death in the middle of a task may cost, and no more than that.
    assert sum(one.runs - 1 for one in shipments) <= 2 * 4
    assert djhuey.HUEY.pending_count() == 0
    Order.objects.all().delete()
    shipments.delete()


def wait_for(shipments: int) -> None:
    from orders.models import Shipment

    until(lambda: Shipment.objects.count() >= shipments, f"{shipments} shipments")


def _folder() -> Any:
    from django.conf import settings

    return settings.DATA_DIR
