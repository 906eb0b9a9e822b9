"""The application at work: requests that enqueue, schedule, and wait for a task."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

APP = Path(__file__).with_name("app.py")


def request(url, method="GET"):
    """Ask the web server; returns status and answer."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return answer.status, json.load(answer)


def until(base, holds):
    """Look at the report until it is as it should be."""
    patience = time.monotonic() + 60
    while not holds(report := request(f"{base}/report")[1]):
        if time.monotonic() > patience:
            raise TimeoutError(f"The report is still {report}.")
        time.sleep(0.02)


def main():
    """Start the server, and play."""
    server = subprocess.Popen([sys.executable, APP, "0"], stdout=subprocess.PIPE, text=True)
    try:
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        hello = f"url={base}/hello"
        print("enqueue: ", request(f"{base}/fetch?{hello}", "POST"))
        until(base, lambda report: report["fetched"] == [7])
        print("schedule:", request(f"{base}/fetch?{hello}&delay=0.5", "POST"))
        until(base, lambda report: report["fetched"] == [7, 7])
        print("wait:    ", request(f"{base}/size?{hello}"))
        until(base, lambda report: report["ticks"] >= 2)
        print("the periodic task runs")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


if __name__ == "__main__":
    main()
