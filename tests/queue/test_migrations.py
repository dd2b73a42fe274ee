"""What was there before pools and queues were rows is still valid afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("gpus", "0004_occupants"), ("training", "0007_flowline")]
AFTER = [("gpus", "0006_no_pool_of_node"), ("training", "0008_queues")]

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]


def migrate(targets: list[tuple[str, str]]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def before() -> Iterator[Any]:
    """The models of then, in a database of then."""
    yield migrate(BEFORE)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_rows_that_were_there_keep_their_pools_queues_and_places(before: Any) -> None:
    owner = before.get_model("auth", "User").objects.create(username="ada")
    Node, Task = before.get_model("gpus", "Node"), before.get_model("training", "Task")
    for name, pool in (("box", "default"), ("racer", "fast")):
        Node.objects.create(name=name, pool=pool, cpu_slots=4, memory_mib=1024)
    now = timezone.now()
    common = {"owner": owner, "command": ["x"], "queued_at": now}
    usual = Task.objects.create(**common)
    urgent = Task.objects.create(**common, priority=5, pool="fast", queue="night")
    stray = Task.objects.create(**common, priority=-5, pool="gone", status="failed")

    after = migrate(AFTER)
    pools = {
        pool.name: list(pool.nodes.values_list("name", flat=True))
        for pool in after.get_model("gpus", "Pool").objects.all()
    }
    assert pools == {"default": [], "fast": ["racer"], "gone": []}
    assert sorted(after.get_model("training", "Queue").objects.values_list("name", flat=True)) == ["default", "night"]
    tasks = list(after.get_model("training", "Task").objects.order_by("turn"))
    assert [task.pk for task in tasks] == [urgent.pk, usual.pk, stray.pk]
    assert len({task.job_id for task in tasks}) == 3
    assert all(task.job_id.startswith("job-") for task in tasks)
