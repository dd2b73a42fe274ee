"""The prompt of FlowLine. What runs goes on when it is left: processes belong to the server, not to the prompt."""

import cmd
import shlex
from collections.abc import Callable, Iterable, Sequence

from django.db import close_old_connections, connection
from django.db.models import QuerySet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpus.inventory import node_name
from gpus.models import Gpu
from gpus.switches import flip
from mlserver.errors import Conflict
from training.management.listing import one_line
from training.models import DispatchLoop, Lease, Run, RunProcess, RunStatus, Source, Task
from training.models.run import ACTIVE
from training.queue.control import stop_task
from training.queue.scheduler import schedule_and_launch

FIRST_TASKS = 5
NO_GPU = -1
LARGEST = 2**31 - 1


class Prompt(cmd.Cmd):
    prompt = "> "
    doc_header = "Commands:"

    def do_run(self, words: str) -> None:
        """run: turn the dispatch loop on or off"""
        is_on = DispatchLoop.toggle()
        self.place()
        self.say(f"the dispatch loop is {'on' if is_on else 'off'}")

    def do_gpu(self, words: str) -> None:
        """gpu ID: turn a GPU on or off"""
        if (gpu := self.gpu_of(words)) is not None:
            self.say(f"GPU {gpu.index} is {'on' if flip(gpu) else 'off'}")

    def do_killgpu(self, words: str) -> None:
        """killgpu ID: end all processes of this server on a GPU"""
        if (gpu := self.gpu_of(words)) is not None:
            runs = Run.objects.active().filter(leases__gpu=gpu, leases__released_at=None)
            ended = sum(self.stop(run.task) for run in runs.select_related("task"))
            self.say(f"{ended} processes on GPU {gpu.index} are told to end")

    def do_kill(self, words: str) -> None:
        """kill ID: end a process by its number"""
        number = self.number_of(words)
        if number is None:
            return
        process = live_processes().filter(pk=number + 1).first()
        if process is None:
            self.say(f"no process {number} is running")
        elif self.stop(process.run.task):
            self.say(f"process {number} is told to end")
        else:
            self.say(f"process {number} is ending already")

    def do_ls(self, words: str) -> None:
        """ls: the processes that run"""
        processes = list(live_processes().order_by("pk"))
        gpus = gpus_of(processes)
        rows = (process_row(it, gpus.get(it.run_id, NO_GPU)) for it in processes)
        self.draw(("ProcID", "PID", "TaskID", "GPUID", "Status", "Cmd"), rows)
        current = sum(process.run.source == Source.FLOWLINE for process in processes)
        self.say(f"{current} / {DispatchLoop.rules().max_processes} processes of FlowLine")

    def do_gpus(self, words: str) -> None:
        """gpus: the GPUs of this machine"""
        gpus = Gpu.objects.filter(node__name=node_name(), is_present=True).order_by("index")
        columns = ("ID", "Status", "Util", "Free/Total(MB)", "Use/All", "Temp", "Power/Max(W)")
        self.draw(columns, (gpu_row(gpu) for gpu in gpus))
        self.say(f"a GPU takes one more process while {DispatchLoop.rules().min_free_mib} MB of it are free")

    def do_min(self, words: str) -> None:
        """min MB: memory a GPU must have free for one more process"""
        if (number := self.number_of(words)) is not None:
            DispatchLoop.bound(min_free_mib=number)
            self.place()
            self.say(f"a GPU takes one more process while {number} MB of it are free")

    def do_max(self, words: str) -> None:
        """max N: processes at once"""
        if (number := self.number_of(words)) is not None:
            DispatchLoop.bound(max_processes=number)
            self.place()
            self.say(f"at most {number} processes run at once")

    def do_task(self, words: str) -> None:
        """task: the first five tasks that have not ended"""
        tasks = Task.objects.visible().filter(status__in=("held", "waiting", "active")).order_by("pk")[:FIRST_TASKS]
        rows = ((str(it.pk), it.name, f"{it.runs_completed}/{it.repeat}", parameters(it)) for it in tasks)
        self.draw(("ID", "Name", "run_num", "Parameters"), rows)

    def do_exit(self, words: str) -> bool:
        """exit: leave; what runs goes on"""
        return True

    def do_EOF(self, words: str) -> bool:  # noqa: N802  the name cmd looks for at the end of input
        """End of input: leave; what runs goes on"""
        self.say("")
        return True

    def default(self, line: str) -> None:
        self.say(f"there is no command {one_line(line)!r}; help lists them")

    def emptyline(self) -> bool:
        """Nothing is repeated."""
        return False

    def precmd(self, line: str) -> str:
        if not connection.in_atomic_block:
            close_old_connections()  # the prompt may have waited for hours
        return line.strip()

    def say(self, text: str) -> None:
        self.stdout.write(f"{text}\n")

    def draw(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        Console(file=self.stdout, width=None if self.use_rawinput else 160).print(table)

    def number_of(self, words: str) -> int | None:
        word = words.strip()
        if word.isascii() and word.isdigit() and len(word) < 11 and int(word) <= LARGEST:
            return int(word)
        self.say(f"{one_line(word)!r} is not a whole number")
        return None

    def gpu_of(self, words: str) -> Gpu | None:
        number = self.number_of(words)
        if number is None:
            return None
        gpu = Gpu.objects.filter(node__name=node_name(), index=number).order_by("-is_present").first()
        if gpu is None:
            self.say(f"there is no GPU {number}")
        return gpu

    def stop(self, task: Task | None) -> bool:
        return task is not None and succeeds(lambda: stop_task(task, "killed at the prompt of FlowLine"))

    def place(self) -> None:
        schedule_and_launch()


def succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except Conflict:
        return False
    return True


def live_processes() -> "QuerySet[RunProcess]":
    managed = RunProcess.objects.of_listed_tasks().launched()
    return managed.filter(run__status__in=ACTIVE).select_related("run__task")


def process_row(process: RunProcess, gpu_index: int) -> list[str]:
    task = process.run.task
    line = task.command if task and isinstance(task.command, str) else shlex.join(task.command if task else [])
    status = "killing" if process.run.status == RunStatus.ENDING else "running"
    return [str(process.pk - 1), str(process.pid), str(process.run.task_id), str(gpu_index), status, line]


def gpus_of(processes: Sequence[RunProcess]) -> dict[str, int]:
    """Run id -> the lowest index among its devices."""
    leases = Lease.objects.held().filter(run_id__in=[it.run_id for it in processes]).order_by("-gpu__index")
    return dict(leases.values_list("run_id", "gpu__index"))


def gpu_row(gpu: Gpu) -> list[str]:
    free = "-" if gpu.used_memory_mib is None else str(max(gpu.memory_mib - gpu.used_memory_mib, 0))
    ours = sum(it["is_ours"] for it in gpu.processes)
    return [
        str(gpu.index),
        "on" if gpu.is_enabled else "off",
        or_dash(gpu.utilization_percent, "%"),
        f"{free}/{gpu.memory_mib}",
        f"{ours}/{len(gpu.processes)}",
        or_dash(gpu.temperature_c, "C"),
        f"{or_dash(gpu.power_w)}/{or_dash(gpu.power_limit_w)}",
    ]


def or_dash(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def parameters(task: Task) -> str:
    return " ".join(f"{name}={value}" for name, value in task.config.items())
