"""DispatchLoop: whether tasks of the FlowLine API are placed, and within which bounds. Remembered over restarts."""

from dataclasses import dataclass

from django.conf import settings
from django.db import models, transaction


@dataclass(frozen=True)
class DispatchRules:
    """What a scheduling pass obeys. `min_free_mib`: memory that a device must have free for one more process."""

    is_on: bool
    max_processes: int
    min_free_mib: int


class DispatchLoop(models.Model):
    """One row, made by the first change; bounds that are empty follow the settings."""

    is_on = models.BooleanField(verbose_name="on", default=True)
    max_processes = models.PositiveIntegerField(null=True, blank=True, help_text="empty: FLOWLINE_MAX_PROCESSES")
    min_free_mib = models.PositiveIntegerField(
        verbose_name="least free memory in MiB", null=True, blank=True, help_text="empty: FLOWLINE_MIN_FREE_MIB"
    )

    class Meta:
        verbose_name = "FlowLine dispatch loop"

    def __str__(self) -> str:
        return "on" if self.is_on else "off"

    @classmethod
    def rules(cls) -> DispatchRules:
        """One query."""
        row = cls.objects.filter(pk=1).first() or cls(is_on=settings.FLOWLINE_AUTOSTART)
        most, least = row.max_processes, row.min_free_mib
        return DispatchRules(
            row.is_on,
            settings.FLOWLINE_MAX_PROCESSES if most is None else most,
            settings.FLOWLINE_MIN_FREE_MIB if least is None else least,
        )

    @classmethod
    def toggle(cls) -> bool:
        """Flip it; the new state. Two at once flip it twice."""
        with transaction.atomic():
            row = cls._locked()
            row.is_on = not row.is_on
            row.save(update_fields=["is_on"])
        return row.is_on

    @classmethod
    def bound(cls, **bounds: int) -> None:
        """Set `max_processes` or `min_free_mib`."""
        with transaction.atomic():
            cls._locked()
            cls.objects.filter(pk=1).update(**bounds)

    @classmethod
    def _locked(cls) -> "DispatchLoop":
        cls.objects.get_or_create(pk=1, defaults={"is_on": settings.FLOWLINE_AUTOSTART})
        return cls.objects.select_for_update().get(pk=1)
