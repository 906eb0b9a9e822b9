"""The shop at work: a web server, a consumer, an order that ships, and one that is rolled back."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

HERE = Path(__file__).parent
MANAGE = [sys.executable, str(HERE / "manage.py")]


class Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, *args):
        """Say nothing."""


def request(url, method="GET"):
    """Ask the web server; returns status and answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until_shipped(url):
    """Look until the consumer has shipped an order."""
    while not (state := request(url)[1])["shipped"]:
        time.sleep(0.02)
    return state


def main():
    """Play the whole thing."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SHOP_DIR": folder, "DJANGO_SETTINGS_MODULE": "shop.settings"}
        subprocess.run([*MANAGE, "migrate", "-v", "0"], check=True)
        consumer = subprocess.Popen([*MANAGE, "run_huey", "--quiet"])
        try:
            play()
        finally:
            consumer.terminate()
            print("consumer ended with code", consumer.wait())


def play():
    """Send requests, and call tasks as a view would."""
    from shop.wsgi import application

    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/orders"
    print("order 1:", request(f"{base}/1/", "POST"))
    print("order 1:", until_shipped(f"{base}/1/"))
    print("order 2:", request(f"{base}/2/?refuse", "POST"))

    from orders.tasks import add, count_orders
    from reports.tasks import report

    print("2 + 3 =", add(2, 3).get(blocking=True, timeout=20))
    print("orders:", count_orders().get(blocking=True, timeout=20))
    print("report:", report().get(blocking=True, timeout=20))
    print("order 2:", request(f"{base}/2/")[1])
    server.shutdown()


if __name__ == "__main__":
    main()
