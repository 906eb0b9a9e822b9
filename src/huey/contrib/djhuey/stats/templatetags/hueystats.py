"""Filters and tags of the page: durations, badges, a small bar chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_GOOD = frozenset({"complete"})
_BAD = frozenset({"error", "timeout", "dead", "enqueue_failed"})
_ODD = frozenset(
    {"retrying", "revoked", "expired", "canceled", "locked", "interrupted", "rate-limited"}
)

_HEIGHT = 40
_NOTHING = "\N{EN DASH}"


@register.filter
def dur(seconds: Any) -> str:
    """Show seconds the way a person would say them."""
    if seconds is None:
        return _NOTHING
    seconds = float(seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


@register.filter
def elapsed(instant: Any) -> str:
    """Show how long ago an instant was: a datetime, or epoch seconds."""
    if not instant:
        return _NOTHING
    if isinstance(instant, datetime):
        instant = instant.timestamp()
    return dur(max(0.0, timezone.now().timestamp() - float(instant)))


@register.simple_tag
def sigbadge(signal: str) -> SafeString:
    """Show a signal in its colour."""
    kinds = {"good": _GOOD, "bad": _BAD, "odd": _ODD}
    kind = next((kind for kind, signals in kinds.items() if signal in signals), "plain")
    return format_html('<span class="huey-badge huey-{}">{}</span>', kind, signal)


@register.simple_tag
def barchart(minutes: Sequence[tuple[int, int]]) -> SafeString:
    """Draw completed and failed tasks per minute, the oldest first."""
    most = max((good + bad for good, bad in minutes), default=0) or 1
    bars = []
    for index, (good, bad) in enumerate(minutes):
        for count, below, kind in ((good, 0, "good"), (bad, good, "bad")):
            height = round(_HEIGHT * count / most, 1)
            top = round(_HEIGHT - _HEIGHT * below / most - height, 1)
            if height:
                bars.append((index * 6, top, height, kind))
    rects = format_html_join(
        "", '<rect x="{}" y="{}" width="5" height="{}" class="huey-{}"/>', bars
    )
    return format_html(
        '<svg class="huey-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        max(6 * len(minutes), 6),
        _HEIGHT,
        f"Tasks per minute, at most {most}",
        rects,
    )
