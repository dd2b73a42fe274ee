"""The pages and answers that belong to no door: the server's own description, its health, its status page."""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gpus.models import Gpu
from mlserver.accounts.login import PAGE_POLICY
from mlserver.accounts.permissions import open_route
from mlserver.api.rendering import json_response, to_json
from mlserver.version import VERSION
from training.models import Run, Task, TaskStatus, TrainingSession
from training.models.run import ACTIVE
from training.paths import runs_root
from training.tracking.metrics import cache

HEALTHY = to_json({"status": "healthy", "service": "Server Management API", "version": "1.0.0"})
DESCRIPTION = {
    "name": "Server Management API",
    "version": "1.0.0",
    "description": "One training server: queue, tracking, models and datasets",
    "docs": "/docs",
    "health": "/health",
}
SHOWN, MOST_ACTIVE = 10, 100


@open_route
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """T1: the process answers. Touches neither database nor GPU."""
    return HttpResponse(HEALTHY, content_type="application/json")


@open_route
@require_safe
def runicorn_health(request: HttpRequest) -> HttpResponse:
    """R43: with the counters of the metrics cache. Touches no database."""
    seen = cache.statistics()
    counters = {
        "enabled": True, "type": "incremental", "hit_rate": f"{seen.hit_rate:.1%}", "hits": seen.hits,
        "misses": seen.misses, "incremental_updates": seen.incremental, "size": seen.size, "max_size": seen.max_size,
    }  # fmt: skip
    return json_response(
        {
            "status": settings.RUNICORN_HEALTH_STATUS,
            "version": VERSION,
            "timestamp": time.time(),
            "storage": str(runs_root()),
            "cache": counters,
        }
    )


runicorn_health.door = "runicorn"  # type: ignore[attr-defined]  # read by the middleware of rate limits


@open_route
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """C5, T2: the page for `Accept: text/html`, the JSON description for everything else."""
    if "text/html" not in request.headers.get("Accept", ""):
        return json_response(DESCRIPTION, headers={"Vary": "Accept, Cookie"})
    page = render(request, "status.html", _status() if isinstance(request.user, User) else {})
    page["Content-Security-Policy"] = PAGE_POLICY
    page["Vary"] = "Accept, Cookie"
    page["Cache-Control"] = "no-store"
    return page


def _status() -> dict[str, Any]:
    """What is going on, in eight queries."""
    tasks = Task.objects.visible()
    counts = dict(tasks.order_by().values_list("status").annotate(Count("pk")))
    runs = Run.objects.visible().select_related("owner", "node")
    in_line, held = (tasks.filter(status=status).in_turn() for status in (TaskStatus.WAITING, TaskStatus.HELD))
    is_leased = Q(leases__released_at=None, leases__isnull=False)
    return {
        "task_counts": [(label, counts.get(status, 0)) for status, label in TaskStatus.choices],
        "gpus": Gpu.objects.select_related("node").annotate(lease_count=Count("leases", filter=is_leased)),
        # Held ones have no turn until they are released.
        "waiting": [*in_line[:SHOWN], *held[:SHOWN]][:SHOWN],
        "sessions": TrainingSession.objects.visible().with_val_accuracy().select_related("task")[:SHOWN],
        # However many ended since, a run that goes on is shown.
        "runs": [*runs.active()[:MOST_ACTIVE], *runs.exclude(status__in=ACTIVE)[:SHOWN]],
    }
