"""Pools as administrators make, change and delete them."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from gpus.models import DEFAULT_POOL, Gpu, Node, Pool
from mlserver.enqueue import enqueue
from mlserver.errors import Conflict, Invalid, shown
from training.models import Task, TaskSchedule
from training.models.task import UNENDED
from training.queue.names import names_of
from training.queue.spec import Refused, checked, text, whole


def listed(noun: str, rule: Any) -> Any:
    """A check of a list, each of whose values `rule` takes."""

    def check(value: object) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) > 10_000:
            raise Refused(f"{shown(value)} is not a list of {noun}")
        return list(dict.fromkeys(map(rule, value)))

    return check


RULES = {
    "name": text(64, is_name=True),
    "description": text(10_000),
    "nodes": listed("names of nodes", text(255)),
    "gpus": listed("ids of GPUs", whole(1, 2**63 - 1)),
}


def make_pool(data: Mapping[str, object]) -> Pool:
    """Raises Invalid, and Conflict when there is one of this name."""
    values = checked(data, RULES, required={"name": "is required: 1-64 characters"})
    members = members_of(values)
    try:
        with transaction.atomic():
            pool = Pool.objects.create(name=values["name"], description=values.get("description", ""))
            set_members(pool, members)
    except IntegrityError as error:
        raise Conflict(f"pool {values['name']} exists already") from error
    return pool


def change_pool(pool: Pool, data: Mapping[str, object]) -> Pool:
    """Description and members; what runs goes on. Raises Invalid, and Conflict for what the default pool cannot."""
    values = checked({name: value for name, value in data.items() if name != "name"}, RULES)
    members = members_of(values)
    if members and pool.is_default:
        raise Conflict(f"pool {DEFAULT_POOL} holds everything: nodes and GPUs cannot be chosen")
    with transaction.atomic():
        if "description" in values:
            pool.description = values["description"]
            pool.save(update_fields=["description"])
        set_members(pool, members)
    return pool


def delete_pool(pool: Pool) -> None:
    """Raises Conflict while anything that has not ended names it, and for the default one."""
    if pool.is_default:
        raise Conflict(f"pool {DEFAULT_POOL} is built in and cannot be deleted")
    with transaction.atomic():
        Pool.objects.select_for_update().filter(pk=pool.pk).first()
        if why := in_use("pool", pool.name):
            raise Conflict(why)
        pool.delete()


def in_use(noun: str, name: str) -> str:
    """Why a pool or queue cannot go; empty when it can."""
    count = Task.objects.filter(status__in=UNENDED, **{noun: name}).count()
    for schedule in TaskSchedule.objects.only("template") if not count else ():
        if schedule.template.get(noun) == name:
            return f"{noun} {name} is in use by schedule {schedule.pk}"
    some = "1 task that has" if count == 1 else f"{count} tasks that have"
    return f"{noun} {name} is in use by {some} not ended" if count else ""


def members_of(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The rows that `nodes` and `gpus` name, as far as they are named. Raises Invalid for unknown ones."""
    found: dict[str, list[Any]] = {}
    if "nodes" in values:
        found["nodes"] = list(Node.objects.filter(name__in=values["nodes"]))
        _refuse_unknown("nodes", values["nodes"], {node.name for node in found["nodes"]})
    if "gpus" in values:
        found["gpus"] = list(Gpu.objects.filter(pk__in=values["gpus"]))
        _refuse_unknown("gpus", values["gpus"], {gpu.pk for gpu in found["gpus"]})
    return found


def _refuse_unknown(field: str, asked: list[Any], known: set[Any]) -> None:
    unknown = [value for value in asked if value not in known]
    if unknown and field == "nodes":
        raise Invalid.field(field, f"there is no node {shown(unknown[0])}; there are: {names_of(Node)}")
    if unknown:
        raise Invalid.field(field, f"there is no GPU {shown(unknown[0])}")


def set_members(pool: Pool, members: Mapping[str, list[Any]]) -> None:
    for name, rows in members.items():
        getattr(pool, name).set(rows)
    if members:
        enqueue("training.queue.tasks.schedule")
