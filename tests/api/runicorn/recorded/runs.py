"""R1-R6, R18, R19, R21, R40-R42, R48, R62, R70, R75-R77, R91-R95."""

from tests.api.runicorn.recorded.world import Call, World


def ids(world: World) -> list[str]:
    """One that can be deleted, and one that nobody knows."""
    return [world.run.pk, "20260307_091502_4fe0b7"]


CALLS: dict[str, Call] = {
    "GET /api/runs": lambda world: world.client.get("/api/runs"),
    "POST /api/runs/soft-delete": lambda world: world.send("POST", "/api/runs/soft-delete", {"run_ids": ids(world)}),
    "GET /api/runs/{run_id}": lambda world: world.client.get(f"/api/runs/{world.run.pk}"),
    "GET /api/recycle-bin": lambda world: world.client.get("/api/recycle-bin"),
    "POST /api/recycle-bin/restore": lambda world: world.send(
        "POST", "/api/recycle-bin/restore", {"run_ids": [*ids(world), world.deleted.pk]}
    ),
    "POST /api/recycle-bin/empty": lambda world: world.send("POST", "/api/recycle-bin/empty", {"confirm": True}),
    "GET /api/v2/experiments": lambda world: world.client.get("/api/v2/experiments?include_deleted=true"),
    "GET /api/v2/experiments/{id}": lambda world: world.client.get(f"/api/v2/experiments/{world.run.pk}"),
    "POST /api/v2/experiments/batch-delete": lambda world: world.send(
        "POST", "/api/v2/experiments/batch-delete", {"exp_ids": ids(world)}
    ),
    "GET /api/projects": lambda world: world.client.get("/api/projects"),
    "GET /api/projects/{project}/names": lambda world: world.client.get("/api/projects/vision/names"),
    "GET /api/projects/{project}/names/{name}/runs": lambda world: world.client.get(
        "/api/projects/vision/names/resnet/runs"
    ),
    "GET /api/experiments": lambda world: world.client.get("/api/experiments"),
    "GET /api/runs/{run_id}/progress": lambda world: world.client.get(f"/api/runs/{world.run.pk}/progress"),
    "POST /api/status/check": lambda world: world.send("POST", "/api/status/check", {}),
    "POST /api/experiments/tag": lambda world: world.send(
        "POST", "/api/experiments/tag", {"run_id": world.run.pk, "tags": ["best"]}
    ),
    "GET /api/experiments/search": lambda world: world.client.get("/api/experiments/search?text=resn"),
    "DELETE /api/experiments/delete": lambda world: world.send(
        "DELETE", "/api/experiments/delete", {"run_ids": ids(world)}
    ),
    **{
        f"GET /api/v2/analytics/{row}": lambda world, row=row: world.client.get(f"/api/v2/analytics/{row}")
        for row in ("overview", "projects", "performance-trends", "health", "summary")
    },
}
