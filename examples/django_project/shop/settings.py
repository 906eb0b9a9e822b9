"""Settings of the shop: SQLite needs nothing else; the environment names other servers.

SHOP_DIR: where the databases are; SHOP_POSTGRES: URL of a PostgreSQL for the project's data;
SHOP_QUEUE: URL of the queue, such as redis://localhost:6379/0, or "database" for a queue in that
PostgreSQL; SHOP_DEBUG, SHOP_IMMEDIATE: 1 switches it on; SHOP_CODE: what --reload watches.
"""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

BASE_DIR = Path(os.environ.get("SHOP_CODE", Path(__file__).resolve().parent.parent))
DATA_DIR = Path(os.environ.get("SHOP_DIR", BASE_DIR))

SECRET_KEY = "only for the example"
DEBUG = os.environ.get("SHOP_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "huey.contrib.djhuey",
    "huey.contrib.djhuey.stats",
    "orders",
    "reports",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database() -> dict[str, object]:
    """The project's own data."""
    url = os.environ.get("SHOP_POSTGRES")
    if url is None:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "shop.db",
            # Writers wait for each other instead of failing.
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "HOST": query.get("host") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "OPTIONS": {"options": query["options"]} if "options" in query else {},
    }


DATABASES = {"default": database()}

QUEUE = os.environ.get("SHOP_QUEUE", f"sqlite:///{DATA_DIR / 'queue.db'}")

HUEY = {
    "default": {
        "name": "shop",
        # A PostgreSQL project keeps its queue beside its data, in the same transactions.
        **({"database": "default"} if QUEUE == "database" else {"url": QUEUE}),
        "immediate": os.environ.get("SHOP_IMMEDIATE") == "1",
        "consumer": {"workers": 2, "worker_type": "thread"},
    },
    "mail": {"name": "shop-mail", "url": f"sqlite:///{DATA_DIR / 'mail.db'}", "immediate": False},
}

HUEY_STATS = {"filename": str(DATA_DIR / "stats.db"), "show_args": True}

# Used by Django 6 and later; on Django 5.2 it takes the package django-tasks.
TASKS = {"default": {"BACKEND": "huey.contrib.djhuey.tasks_backend.HueyBackend"}}
