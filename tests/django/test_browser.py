"""The admin page in a real browser: it shows, and it refreshes itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from django.test import Client
from orders.tasks import add  # type: ignore[import-not-found]  # of the example

from huey.contrib import djhuey
from tests.django.project import PATIENCE

PAGE = "/admin/hueystats/hueydashboard/"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> str:
    """Where Chromium is: HUEY_TEST_BROWSER names it, or it is on PATH."""
    named = os.environ.get("HUEY_TEST_BROWSER")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    reason = "no browser: install Chromium, or set HUEY_TEST_BROWSER to its path"
    if named and os.environ.get("HUEY_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (it is {named!r})", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def site() -> Iterator[str]:
    """The project with its static files, where everybody is logged in; a task per refresh."""
    user = User.objects.create_superuser("boss")
    client = Client()
    client.force_login(user)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    project = StaticFilesHandler(get_wsgi_application())

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        environ["HTTP_COOKIE"] = cookie
        if environ["PATH_INFO"].endswith("/fragment/"):
            djhuey.enqueue(add.s(1, 2, id="seen-after-a-refresh"))
        return project(environ, start_response)

    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    djhuey.HUEY.flush()
    user.delete()


def browse(browser: str, *arguments: str) -> str:
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_page_shows_its_tasks_and_refreshes_itself(
    browser: str, site: str, tmp_path: Path
) -> None:
    add("<b>bold</b>", 3, id="seen-at-once")

    profile = f"--user-data-dir={tmp_path}"
    page = browse(browser, profile, "--virtual-time-budget=7000", "--dump-dom", f"{site}{PAGE}")

    assert "seen-at-once" in page
    assert "seen-after-a-refresh" in page
    assert "<b>bold</b>" not in page


def test_a_picture_of_it_can_be_taken(browser: str, site: str, tmp_path: Path) -> None:
    add(2, 3)
    picture = Path(os.environ.get("HUEY_TEST_PICTURES", tmp_path)) / "admin.png"

    browse(
        browser,
        f"--user-data-dir={tmp_path}",
        f"--screenshot={picture}",
        "--window-size=1200,1500",
        f"{site}{PAGE}",
    )

    assert picture.read_bytes().startswith(b"\x89PNG")
