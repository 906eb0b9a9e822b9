"""The door to the page: addresses, permissions, CSRF; all of Django's own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.http import require_POST

from huey.contrib.djhuey.facade import UnknownQueue
from huey.contrib.djhuey.stats.actions import Unknown, act
from huey.contrib.djhuey.stats.models import HueyDashboard
from huey.contrib.djhuey.stats.overview import Bounds, hidden_arguments, look_at, short_arguments
from huey.exceptions import HueyException

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from huey.app.huey import Huey
    from huey.contrib.djhuey.stats.overview import ShowArguments

_VIEW = "hueystats.view_hueydashboard"
_CHANGE = "hueystats.change_hueydashboard"
_CHANGELIST = "hueystats_hueydashboard_changelist"


@admin.register(HueyDashboard)
class HueyDashboardAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Shows one queue at a time; ``?queue=`` names it."""

    #: Rows of each list of tasks.
    list_limit = 50
    #: Rows of the list of recent events.
    event_limit = 50
    #: How far back the chart goes.
    throughput_minutes = 60
    #: Events on a page of the search.
    event_page_size = 100

    def get_urls(self) -> list[URLPattern]:
        """Give the addresses of the page, instead of those of a model with a table."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=_CHANGELIST),
            path("fragment/", view(self.fragment_view), name="hueystats_dashboard_fragment"),
            path("action/", view(self.action_view), name="hueystats_dashboard_action"),
            path("events/", view(self.events_view), name="hueystats_dashboard_events"),
        ]

    # ── permissions ────────────────────────────────────────────────────────────────────────────

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is nothing to add."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to delete."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may act on tasks; there is no form to change anything else."""
        return _may(request, _CHANGE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who sees the page."""
        return _may(request, _VIEW) or _may(request, _CHANGE)

    # ── pages ──────────────────────────────────────────────────────────────────────────────────

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the whole page."""
        return self._render(request, "admin/hueystats/dashboard.html", extra_context)

    def fragment_view(self, request: HttpRequest) -> HttpResponse:
        """Show what changes, for the page to refresh itself."""
        return self._render(request, "admin/hueystats/_content.html")

    def events_view(self, request: HttpRequest) -> HttpResponse:
        """Search what tasks did; parameters: signal, task, q, p (page, from 0)."""
        _require(self.has_view_permission(request))
        _, huey = _chosen(request.GET.get("queue"))
        context = self._context(request) | _events(huey, request.GET, self.event_page_size)
        return TemplateResponse(request, "admin/hueystats/events.html", context)

    def _render(self, request: HttpRequest, template: str, extra: Any = None) -> HttpResponse:
        _require(self.has_view_permission(request))
        key, huey = _chosen(request.GET.get("queue"))
        bounds = Bounds(self.list_limit, self.event_limit, self.throughput_minutes)
        overview = look_at(key, huey, bounds, _shower())
        context = self._context(request) | {"overview": overview, **(extra or {})}
        return TemplateResponse(request, template, context)

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        from huey.contrib.djhuey import queues

        return {
            **self.admin_site.each_context(request),
            "title": "Huey queues",
            "opts": self.opts,
            "media": self.media,
            "queue_keys": list(queues.hueys),
            "queue_key": _chosen(request.GET.get("queue"))[0],
            "may_change": self.has_change_permission(request),
        }

    # ── actions ────────────────────────────────────────────────────────────────────────────────

    # Django's admin_view checks the token of every POST, middleware or not.
    @method_decorator(require_POST)
    def action_view(self, request: HttpRequest) -> HttpResponse:
        """Act on a task or a queue, and go back to the page."""
        _require(self.has_change_permission(request))
        key, huey = _chosen(request.POST.get("queue"))
        try:
            self.message_user(request, act(huey, request.POST))
        except (Unknown, HueyException) as error:
            self.message_user(request, str(error), messages.ERROR)
        back = reverse(f"{self.admin_site.name}:{_CHANGELIST}", query={"queue": key})
        return HttpResponseRedirect(back)


def _require(allowed: bool) -> None:
    if not allowed:
        raise PermissionDenied


def _may(request: HttpRequest, permission: str) -> bool:
    user: Any = request.user
    return bool(user.has_perm(permission))


def _chosen(key: str | None) -> tuple[str, Huey]:
    """Give the queue that a request names, or the default one."""
    from huey.contrib.djhuey import queues

    try:
        return key or queues.default, queues.get_queue(key or None)
    except UnknownQueue:
        return queues.default, queues.get_queue()


def _shower() -> ShowArguments:
    """Read ``HUEY_STATS["show_args"]``: False, True, or the path of a function of the project."""
    wish = getattr(settings, "HUEY_STATS", {}).get("show_args", False)
    if isinstance(wish, str):
        found: ShowArguments = import_string(wish)
        return found
    return short_arguments if wish else hidden_arguments


def _events(huey: Huey, query: Any, size: int) -> dict[str, Any]:
    stats = huey._stats
    if not stats:
        return {"recorded": False}
    page = int(query["p"]) if query.get("p", "").isdecimal() else 0
    wanted = {name: query.get(name) or None for name in ("signal", "task", "q")}
    total, events = stats.search_events(**wanted, limit=size, offset=page * size)
    return {
        "recorded": True,
        "wanted": {name: value or "" for name, value in wanted.items()},
        "total": total,
        "events": events,
        "signals": stats.event_signals(),
        "tasks": stats.event_tasks(),
        "page": page,
        "previous": page - 1 if page else None,
        "next": page + 1 if (page + 1) * size < total else None,
    }
