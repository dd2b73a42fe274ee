"""R1-R6, R18, R19, R21, R40-R42, R48, R62, R70, R75-R77, R91-R95."""

from tests.api.runicorn.recorded.world import Call

CALLS: dict[str, Call] = {
    "GET /api/runs": lambda world: world.client.get("/api/runs"),
    "GET /api/runs/{run_id}": lambda world: world.client.get(f"/api/runs/{world.run.pk}"),
}
