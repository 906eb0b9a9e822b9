"""The application at work: a web server, a consumer, and requests that wait for tasks."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent


def request(url, method="GET"):
    """Ask the web server; returns the answer."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
        return json.load(answer)


def percentages(url):
    """Read server-sent events, as they come."""
    with urllib.request.urlopen(url, timeout=60) as stream:
        return [int(line[6:]) for line in stream if line.startswith(b"data: ")]


def main():
    """Start a web server and a consumer, and play."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as door:
        os.environ["REPORTS_DB"] = os.path.join(folder, "reports.db")
        # The door is open before the server is there: requests wait, and nobody has to poll.
        serve = ["uvicorn", "web:app", "--fd", str(door.fileno()), "--log-level", "warning"]
        consume = ["huey.bin.huey_consumer", "tasks.huey", "-w", "2", "-q"]
        server, consumer = (
            subprocess.Popen([sys.executable, "-m", *command], cwd=HERE, pass_fds=[door.fileno()])
            for command in (serve, consume)
        )
        try:
            play(f"http://127.0.0.1:{door.getsockname()[1]}")
        finally:
            for process in (server, consumer):
                process.terminate()
            print("server and consumer ended with", server.wait(), "and", consumer.wait())


def play(base):
    """Send requests."""
    print("2 + 3 =", request(f"{base}/sum?a=2&b=3"))
    report = request(f"{base}/reports?chapters=8", "POST")
    seen = percentages(f"{base}/reports/{report['id']}/progress")
    print("progress in order:", seen == sorted(seen), "and up to", seen[-1])
    for _ in range(2):
        print("report:", request(f"{base}/reports/{report['id']}"))
    while not (visits := request(f"{base}/visits"))["seconds"]:
        time.sleep(0.05)
    print("visits:", visits["counted"])


if __name__ == "__main__":
    main()
