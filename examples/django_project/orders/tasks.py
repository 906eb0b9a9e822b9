"""The tasks of orders: the consumer finds this module by its name."""

from django.db.models import F

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, lock_task, on_commit_task, task
from orders.models import Order, Shipment


@task()
def add(a, b):
    """Needs no database."""
    return a + b


@on_commit_task()
def ship(number):
    """Enqueued when the order is committed."""
    _note_shipment(number)


@db_task()
def ship_within(number):
    """Enqueued at once; within the transaction where the queue lives in the same database."""
    _note_shipment(number)


@db_task(retries=2)
def count_orders():
    """Queries the database."""
    return Order.objects.count()


@db_periodic_task(crontab(minute="*/5"))
@lock_task("tidy")
def tidy():
    """Runs every five minutes, never twice at once."""
    Shipment.objects.filter(order_was_there=False).delete()


@task(queue="mail")
def send_mail(address):
    """On a queue of its own: manage.py run_huey --queue mail."""
    return f"sent to {address}"


def _note_shipment(number):
    there = Order.objects.filter(number=number).exists()
    shipment, created = Shipment.objects.get_or_create(
        number=number, defaults={"order_was_there": there}
    )
    if not created:
        Shipment.objects.filter(pk=shipment.pk).update(runs=F("runs") + 1)
