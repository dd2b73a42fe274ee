"""`manage.py gpus`: every GPU, what it does, and why it takes no work if it does not."""

from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpus.availability import why_not_schedulable
from gpus.models import Gpu


class Command(BaseCommand):
    help = "GPUs of all nodes: state, memory in use, and why one takes no work."

    def handle(self, *args: Any, **options: Any) -> None:
        gpus = list(Gpu.objects.select_related("node").order_by("node__name", "index"))
        if not gpus:
            self.stdout.write("No GPU is known: this server runs tasks on CPU slots only.")
            return
        # Piped output is not cut to a terminal's width.
        console = Console(file=self.stdout, width=None if self.stdout.isatty() else 160)  # type: ignore[arg-type]
        console.print(_table(gpus))


def _table(gpus: list[Gpu]) -> Table:
    table = Table("Node", "GPU", "Name", "Memory used / MiB", "Load", "Temperature", "Power", "State", box=None)
    for gpu in gpus:
        table.add_row(
            Text(gpu.node.name),
            str(gpu.index),
            Text(gpu.name),
            f"{_or_dash(gpu.used_memory_mib)} / {gpu.memory_mib}",
            _or_dash(gpu.utilization_percent, " %"),
            _or_dash(gpu.temperature_c, " °C"),
            _or_dash(gpu.power_w, " W"),
            _state(gpu),
        )
    return table


def _or_dash(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def _state(gpu: Gpu) -> Text:
    reason = why_not_schedulable(gpu)
    return Text(reason, style="yellow") if reason else Text("takes work", style="green")
