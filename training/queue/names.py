"""Pools and queues by name, as submissions say them. The built-in ones cost no query."""

from django.db.models import Model

from gpus.models import DEFAULT_POOL, Pool
from mlserver.errors import Invalid, shown
from training.models import Queue
from training.models.queue import DEFAULT_QUEUE

MOST_NAMED = 20


def check_pool(name: str, *, field: str = "pool") -> None:
    """Raises Invalid with the pools there are. `field` is what the caller's door calls it."""
    if name != DEFAULT_POOL and not Pool.objects.filter(name=name).exists():
        raise unknown("pool", name, Pool, DEFAULT_POOL, field=field)


def queue_priority(name: str) -> int:
    """What the queue adds to the priority of its tasks. Raises Invalid with the queues there are."""
    if name == DEFAULT_QUEUE:
        return 0
    points = Queue.objects.filter(name=name).values_list("priority", flat=True).first()
    if points is None:
        raise unknown("queue", name, Queue, DEFAULT_QUEUE, field="queue")
    return points


def unknown(noun: str, name: str, model: type[Model], built_in: str, *, field: str) -> Invalid:
    return Invalid.field(field, f"there is no {noun} {shown(name)}; there are: {names_of(model, built_in)}")


def names_of(model: type[Model], *built_in: str) -> str:
    """`default, fast, slow`, and after twenty `and more`."""
    names: list[str] = list(model._default_manager.order_by("name").values_list("name", flat=True)[: MOST_NAMED + 1])
    known = list(dict.fromkeys([*built_in, *names]))
    return (", ".join(known[:MOST_NAMED]) or "none") + (" and more" if len(known) > MOST_NAMED else "")
