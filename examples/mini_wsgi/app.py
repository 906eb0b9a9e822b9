"""A WSGI application with tasks in its own process: no storage, no consumer."""

# ruff: noqa: E402 - the patch comes before everything else

from gevent import monkey

monkey.patch_all()

import json
import sys
from urllib.parse import parse_qs
from urllib.request import urlopen

from gevent.pywsgi import WSGIServer

from huey import crontab
from huey.contrib.mini import MiniHuey

huey = MiniHuey(pool_size=50)
report = {"fetched": [], "ticks": 0}


@huey.task()
def fetch_url(url):
    """Fetch a page; other greenlets run while this one waits for the network."""
    with urlopen(url) as answer:
        size = len(answer.read())
    report["fetched"].append(size)
    return size


@huey.task("* * * * * *")
def tick():
    """Count the seconds."""
    report["ticks"] += 1


@huey.task(crontab(minute="0", hour="4"))
def forget():
    """Begin the report anew, every night."""
    report.update(fetched=[], ticks=0)


def app(environ, start_response):
    """Answer `POST /fetch?url=…[&delay=…]`, `GET /size?url=…`, `GET /report` and `GET /hello`."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "POST", "/fetch":
            if "delay" in query:
                fetch_url.schedule((query["url"],), delay=float(query["delay"]))
            else:
                fetch_url(query["url"])
            status, answer = "202 Accepted", {"accepted": True}
        case "GET", "/size":
            status, answer = "200 OK", {"size": fetch_url(query["url"]).get(timeout=10)}
        case "GET", "/report":
            status, answer = "200 OK", report
        case "GET", "/hello":
            status, answer = "200 OK", "hello"
        case _:
            status, answer = "404 Not Found", {}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


if __name__ == "__main__":
    huey.start()  # returns at once
    server = WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
