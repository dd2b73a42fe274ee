"""With what a run was made: what its script or the capture beside it wrote, and what the server knows itself."""

import os
import platform
from typing import Any

from mlserver.errors import Invalid
from training import paths
from training.models import Event, Run, RunEnvironment
from training.tracking.told import cleaned, read_object


def take_in_environment(run: Run) -> None:
    """Store what `environment.json` says, in the place of what was stored; where it says nothing, what is known here.

    One that is too deep is left out, with an event.
    """
    try:
        captured = cleaned(read_object(run, paths.ENVIRONMENT_NAME))
    except Invalid as refusal:
        Event.objects.say_again("EnvironmentRefused", f"{paths.ENVIRONMENT_NAME}: {refusal.message}", run=run)
        captured = {}
    known = known_facts(run)
    facts = known | {name: fact for name, fact in captured.items() if fact is not None or name not in known}
    if captured:
        RunEnvironment.objects.update_or_create(run=run, defaults={"facts": facts})
    else:
        RunEnvironment.objects.bulk_create([RunEnvironment(run=run, facts=facts)], ignore_conflicts=True)


def known_facts(run: Run) -> dict[str, Any]:
    """Of a run on this machine, in the words of the capture."""
    facts: dict[str, Any] = {}
    if run.task is not None:
        command = run.task.command
        argv = command if isinstance(command, list) else ["/bin/sh", "-c", command]
        facts["command"] = {"argv": argv, "cwd": run.task.cwd or str(run.directory)}
    if run.node is not None:
        facts["host"] = {
            "name": run.node.name,
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "memory_mib": run.node.memory_mib,
        }
    if run.gpus and run.node is not None:
        leased = list(run.leases.order_by("gpu__index").values("gpu__index", "gpu__uuid", "gpu__name"))
        facts["gpu"] = {"driver": run.node.driver_version, "models": [row["gpu__name"] for row in leased]}
        facts["leased_gpus"] = [
            {"index": row["gpu__index"], "uuid": row["gpu__uuid"], "name": row["gpu__name"]} for row in leased
        ]
    return facts
