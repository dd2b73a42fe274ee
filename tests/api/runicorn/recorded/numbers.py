"""R7-R9, R20, R44, R50, R51, R53, R71-R73."""

from typing import Any

from gpus.inventory import node_name
from gpus.models import Node
from tests.api.runicorn.recorded.world import Call, World
from tests.make import make_gpu, make_node
from tests.metrics import log


def of_points(path: str) -> Call:
    """GET of `path` when the run has logged numbers, words, and what is neither here nor there."""

    def call(world: World) -> Any:
        log(
            world.run,
            {"global_step": 1, "loss": 0.5, "stage": "train", "time": 1000.5},
            {"global_step": 2, "loss": float("nan"), "is_best": True, "time": 1001.0},
        )
        return world.client.get(path.format(run_id=world.run.pk, id=world.run.pk))

    return call


def gpus(world: World) -> Any:
    make_gpu(Node.objects.filter(name=node_name()).first() or make_node(node_name()))
    return world.client.get("/api/gpu/telemetry")


CALLS: dict[str, Call] = {
    "GET /api/runs/{run_id}/metrics": of_points("/api/runs/{run_id}/metrics"),
    "GET /api/runs/{run_id}/metrics_step": of_points("/api/runs/{run_id}/metrics_step"),
    "GET /api/metrics/cache/stats": lambda world: world.client.get("/api/metrics/cache/stats"),
    "GET /api/v2/experiments/{id}/metrics/fast": of_points("/api/v2/experiments/{id}/metrics/fast?metric_names=loss"),
    "GET /api/gpu/telemetry": gpus,
    "GET /api/metrics/{run_id}": of_points("/api/metrics/{run_id}"),
    "POST /api/export": lambda world: world.send("POST", "/api/export", {"run_id": world.run.pk}),
    "GET /api/gpu": gpus,
    "GET /api/environment/{run_id}": lambda world: world.client.get(f"/api/environment/{world.run.pk}"),
    "GET /api/export/{run_id}/csv": of_points("/api/export/{run_id}/csv"),
    "GET /api/export/{run_id}/report": lambda world: world.client.get(f"/api/export/{world.run.pk}/report"),
}
