"""Turning devices on and off. Each change asks for a scheduling pass, by name: gpus never imports training."""

from django.db import transaction
from django.db.models import QuerySet

from gpus.models import Gpu
from mlserver.enqueue import enqueue

PASS = "training.queue.tasks.schedule"


def switch(gpus: QuerySet[Gpu], *, is_enabled: bool) -> int:
    """How many of `gpus` were the other way and now are as asked. Off: what runs goes on, nothing new is placed."""
    changed = gpus.filter(is_enabled=not is_enabled).update(is_enabled=is_enabled)
    if changed:
        enqueue(PASS)
    return changed


def release_quarantines(gpus: QuerySet[Gpu]) -> int:
    """How many of `gpus` were quarantined and now are not."""
    released = sum(gpu.release_quarantine() for gpu in gpus.exclude(quarantined_at=None))
    if released:
        enqueue(PASS)
    return released


def flip(gpu: Gpu) -> bool:
    """Turn a device off or on; the new state. Two at once flip it twice."""
    with transaction.atomic():
        row = Gpu.objects.select_for_update(no_key=True).get(pk=gpu.pk)
        row.is_enabled = not row.is_enabled
        row.save(update_fields=["is_enabled"])
        enqueue(PASS)
    return row.is_enabled
