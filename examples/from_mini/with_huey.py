"""The same tasks on a real storage: they outlive any process, and a consumer runs them."""

import os

from huey import SqliteHuey, crontab

huey = SqliteHuey(filename=os.environ.get("SHOP_DB", "shop.db"), utc=False)
sent = []


@huey.task(retries=3, retry_delay=10)  # new: MiniHuey cannot try again
def send_receipt(order, total):
    """Send a mail."""
    sent.append(order)
    return f"receipt for order {order}: {total} EUR"


@huey.periodic_task(crontab(minute="0", hour="4"))  # was: huey.task(crontab(…))
def close_the_day():
    """Sum up, every night."""
    print(len(sent), "receipts")


def checkout(order, total):
    """What a view does."""
    send_receipt(order, total)
    send_receipt.schedule((order, total), delay=0.2)
    return send_receipt(order, total).get(blocking=True)  # was: get()


def start():
    """What the web process does when it starts: nothing. `huey_consumer with_huey.huey` runs."""
