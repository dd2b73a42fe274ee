"""What the Jobs API asks of tasks: its three forms of a creation request, as one specification."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from gpus.models import DEFAULT_POOL, Pool
from mlserver.errors import BadRequest, Conflict, Invalid, shown
from training.execution.images import check_image
from training.models import Event, Source, Task
from training.models.queue import DEFAULT_QUEUE
from training.queue.control import end_runs
from training.queue.names import check_pool
from training.queue.spec import Refused, TaskSpec, checked, command, directory, mapping, optional, text, whole
from training.queue.submit import submit

GRACE_S = 30
PROJECT = "jobs"
MAX_REPLICAS = 8
# Of a number that comes as text: Python refuses to read one of thousands.
MOST_DIGITS = 9
PRIORITIES = {"high": 50, "normal": 0, "low": -50}


class InvalidJson(BadRequest):
    """Text that should hold JSON does not."""

    code = "invalid_json"


def job_name(value: object) -> str:
    clean = text(128)(value)
    if not clean.strip():
        raise Refused(f"{shown(value)} is not a name: 1-128 characters")
    return clean


def priority(value: object) -> int:
    if not isinstance(value, str) or value.lower() not in PRIORITIES:
        raise Refused(f"{shown(value)} must be one of {', '.join(PRIORITIES)}")
    return PRIORITIES[value.lower()]


def pairs(first: str) -> Callable[[object], list[dict[str, str]]]:
    """A list of {`first`, value}, or an object of names and values."""

    def check(value: object) -> list[dict[str, str]]:
        if isinstance(value, Mapping):
            value = [{first: name, "value": word} for name, word in value.items()]
        is_list = isinstance(value, list) and len(value) <= 1000
        if not is_list or not all(isinstance(it, Mapping) and isinstance(it.get(first), str) for it in value):  # type: ignore[attr-defined]
            raise Refused(f"{shown(value)} is not a list of {{{first}, value}} nor an object")
        return [{first: it[first], "value": as_text(it.get("value", ""))} for it in value]  # type: ignore[attr-defined]

    return check


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


RULES: dict[str, Callable[[object], Any]] = {
    "jobName": job_name,
    "command": command,
    "image": optional(text(500)),
    "resourcePoolId": optional(text(64)),
    "queue": optional(text(64)),
    "envs": optional(pairs("name")),
    "replicas": optional(whole(1, MAX_REPLICAS)),
    "gpuCount": optional(whole(0, 1024)),
    "priority": optional(priority),
    "maxRetries": optional(whole(0, 10)),
    "timeout": optional(whole(1, 366 * 86_400)),
    "workingDir": optional(directory),
    "labels": optional(pairs("key")),
    "description": optional(text(100_000)),
    "jobType": optional(text(64)),
    "mounts": optional(mapping),
}
REQUIRED = {
    "jobName": "is required: a name of 1-128 characters",
    "command": "is required: a list of strings, or a string for the shell",
}


def create(data: Mapping[str, object], *, owner: User) -> Task:
    """Submit a job of any of the three forms. Raises Invalid with every refused field, InvalidJson."""
    clean = checked(flat(data), RULES, required=REQUIRED)
    image = clean.get("image") or ""
    pool = clean.get("resourcePoolId") or DEFAULT_POOL
    replicas = clean.get("replicas") or 1
    check_pool(pool, field="resourcePoolId")
    gpu_count = gpus_asked(clean.get("gpuCount"), pool)
    check_image(image)
    spec = TaskSpec.clean(
        {
            "command": clean["command"],
            "name": clean["jobName"],
            "project": PROJECT,
            "cwd": clean.get("workingDir") or "",
            "env": {it["name"]: it["value"] for it in clean.get("envs") or []},
            "gpus": gpu_count * replicas,
            "ranks": replicas,
            "priority": clean.get("priority") or 0,
            "max_retries": clean.get("maxRetries") or 0,
            "time_limit_s": clean.get("timeout"),
            "grace_s": GRACE_S,
            "pool": pool,
            "queue": clean.get("queue") or DEFAULT_QUEUE,
            "labels": clean.get("labels") or [],
            "description": clean.get("description") or "",
        }
    )
    about = {"image": image, "jobType": clean.get("jobType") or "", "mounts": clean.get("mounts") or {}}

    def note_job(task: Task) -> None:
        Task.objects.filter(pk=task.pk).update(image=image, job=about)

    return submit(spec, owner=owner, source=Source.JOBS, also=note_job)


def gpus_asked(count: int | None, pool: str) -> int:
    """Per replica: one where the pool has devices and nothing is said. Raises Invalid for more than it has."""
    there_are = gpus_of_pool(pool)
    if count is None:
        return min(there_are, 1)
    if count > there_are:
        raise Invalid.field("gpuCount", f"{count} is more than the {there_are} GPUs of pool {pool}")
    return count


def gpus_of_pool(name: str) -> int:
    """0 of a pool that is gone meanwhile: another rule refuses that."""
    pool = Pool(name=name) if name == DEFAULT_POOL else Pool.objects.filter(name=name).first()
    return pool.devices().count() if pool else 0


def flat(data: Mapping[str, object]) -> dict[str, object]:
    """The request with the fields of the document, whatever form it came in; `""` and null are absent."""
    if "taskParams" in data:
        data = of_client(task_params(data["taskParams"]))
    return {name: value for name, value in data.items() if value is not None and value != ""}


def task_params(value: object) -> Mapping[str, Any]:
    """The client sends an object, or its JSON as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidJson(f"taskParams: it is not JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise InvalidJson("taskParams: it is not a JSON object")
    return value


def of_client(form: Mapping[str, Any]) -> dict[str, object]:
    """Both shapes of the client's form: one with `container`, one with `jobSpec`."""
    same = ("replicas", "priority", "maxRetries", "timeout", "description", "labels", "resourcePoolId", "jobType")
    found: dict[str, object] = {name: form[name] for name in same if name in form}
    found["jobName"] = form.get("name")
    if isinstance(form.get("container"), Mapping):
        return found | of_container(form["container"], form)
    return found | of_job_spec(inner(form, "jobSpec"), form)


def of_container(container: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, object]:
    return {
        "queue": form.get("queueName"),
        "image": container.get("image"),
        "command": container.get("command"),
        "envs": container.get("envs"),
        "workingDir": container.get("workingDir"),
        "gpuCount": inner(inner(container, "resources"), "gpu").get("count"),
        "mounts": {"volumes": container["volumes"]} if container.get("volumes") else None,
    }


def of_job_spec(spec: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, object]:
    return {
        "queue": form.get("queue"),
        "image": spec.get("image"),
        "command": spec.get("command") or form.get("command"),
        "envs": spec.get("envs"),
        "replicas": spec.get("replicas") or form.get("replicas"),
        "workingDir": spec.get("workingDir"),
        "gpuCount": gpus_of_resources(spec.get("resources")),
        "mounts": {"datasources": form["datasources"]} if form.get("datasources") else None,
    }


def gpus_of_resources(resources: object) -> object:
    """From a list of {name or type, count or value}; or an object like that of a container."""
    if isinstance(resources, Mapping):
        return inner(resources, "gpu").get("count")
    for item in resources if isinstance(resources, list) else []:
        if isinstance(item, Mapping) and "gpu" in str(item.get("name") or item.get("type") or "").lower():
            count = item.get("count", item.get("value"))
            is_number = isinstance(count, str) and count.isdecimal() and len(count) <= MOST_DIGITS
            return int(count) if is_number else count
    return None


def inner(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, Mapping) else {}


def stop(task: Task, why: str) -> None:
    """Record the stop; a job that is being stopped already stays so. Raises Conflict when it has ended."""
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if task.has_ended or task.deleted_at:
            raise Conflict(f"job {task.job_id} has ended already: it is {task.status}")
        end_runs(task, why)


def delete(task: Task, why: str) -> None:
    """Hide it from the lists, a live one after its stop is recorded; its runs, logs and events stay."""
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if not task.has_ended:
            end_runs(task, why)
        if task.hide():
            Event.objects.say("Deleted", why, task_id=task.pk)
