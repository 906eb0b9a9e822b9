"""The tasks of a shop on MiniHuey: in the web process, and gone with it."""

from gevent import monkey

monkey.patch_all()

from huey import crontab  # noqa: E402 - the patch comes before everything else
from huey.contrib.mini import MiniHuey  # noqa: E402

huey = MiniHuey()
sent = []


@huey.task()
def send_receipt(order, total):
    """Send a mail."""
    sent.append(order)
    return f"receipt for order {order}: {total} EUR"


@huey.task(crontab(minute="0", hour="4"))
def close_the_day():
    """Sum up, every night."""
    print(len(sent), "receipts")


def checkout(order, total):
    """What a view does."""
    send_receipt(order, total)
    send_receipt.schedule((order, total), delay=0.2)
    return send_receipt(order, total).get()


def start():
    """What the web process does when it starts."""
    huey.start()
