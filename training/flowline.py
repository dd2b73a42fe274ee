"""What the FlowLine API asks of tasks: a shell command, parameters that become options, and a number of runs."""

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from gpus.models import Gpu
from mlserver.errors import Conflict, shown
from training.models import Source, Task
from training.queue.control import delete_task
from training.queue.spec import Refused, TaskSpec, checked, is_json, optional, text, whole
from training.queue.submit import submit

GRACE_S = 5
BACKOFF_S = 1
UNNAMED = "Unnamed Task"
COPY_MARK = " (copy)"
MAX_NAME = 255
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
CMD_MISSING = "is required: a shell command"
PROJECT = "flowline"


def name(value: object) -> str:
    clean = text(MAX_NAME)(value)
    if not clean.strip():
        raise Refused(f"{shown(value)} is not a name: 1-{MAX_NAME} characters")
    return clean


def shell_command(value: object) -> str:
    clean = text(100_000)(value)
    if not clean.strip():
        raise Refused(f"{shown(value)} is not a command: it is blank")
    return clean


def parameters(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not is_json(value, 1):
        raise Refused(f"{shown(value)} is not an object of parameters, each a text, a number, true, false or null")
    for key in value:
        if not KEY.fullmatch(key):
            raise Refused(f"{shown(key)} is not the name of a parameter: letters, digits, _ and -, no digit first")
    return dict(value)


def existing_directory(value: object) -> str:
    path = text(500)(value)
    if not path:
        return ""
    if not path.startswith("/") or not os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises where it may not look
        raise Refused(f"{shown(value)} is not an absolute path of a directory that exists on the server")
    return path


RULES: dict[str, Callable[[object], Any]] = {
    "name": name,
    "cmd": shell_command,
    "need_run_num": whole(1, 10_000),
    "config_dict": parameters,
    "working_dir": optional(existing_directory),
    "gpu_memory_mb": optional(whole(1, 10_000_000)),
}
COPY_RULES: dict[str, Callable[[object], Any]] = {
    "original_task_id": whole(1, 2**63 - 1),
    "new_name": optional(name),
    "need_run_num": optional(whole(1, 10_000)),
}


def create(data: Mapping[str, object], *, owner: User) -> Task:
    """Submit a task; `cmd` may be called `command`. Raises Invalid with every refused field."""
    data = dict(data)
    if "command" in data:
        data.setdefault("cmd", data["command"])
    clean = checked(data, RULES, required={"cmd": CMD_MISSING})
    spec = spec_of(
        clean["cmd"],
        clean.get("config_dict", {}),
        name=clean.get("name", UNNAMED),
        cwd=clean.get("working_dir") or "",
        repeat=clean.get("need_run_num", 1),
        gpu_memory_mib=clean.get("gpu_memory_mb"),
    )
    return submit(spec, owner=owner, source=Source.FLOWLINE)


def checked_copy(data: Mapping[str, object]) -> dict[str, Any]:
    """What to copy and what to change in it; raises Invalid."""
    return checked(data, COPY_RULES, required={"original_task_id": "is required: the number of a task"})


def copy(original: Task, order: Mapping[str, Any], *, owner: User) -> Task:
    """A new task of the same command, parameters and directory, with no run of its own yet."""
    spec = spec_of(
        base_command(original.command, original.config),
        original.config,
        name=order.get("new_name") or copied_name(original.name),
        cwd=original.cwd,
        repeat=order.get("need_run_num") or original.repeat,
        gpu_memory_mib=original.gpu_memory_mib,
    )
    return submit(spec, owner=owner, source=Source.FLOWLINE)


def delete(task: Task) -> None:
    """Out of the lists, one that waits after its stop, both or neither. Raises Conflict while a process of it runs."""
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)  # so nothing of it is placed meanwhile
        if task.has_active_runs():
            raise Conflict(f"task {task.pk} has a running process: kill it first")
        if not task.has_ended:
            task.request_stop("deleted before it started")
        delete_task(task)


def spec_of(
    cmd: str | list[str], config: Mapping[str, Any], *, gpu_memory_mib: int | None = None, **fields: Any
) -> TaskSpec:
    """One GPU beside others, on a machine without any a CPU slot; failures are tried again.

    `cmd` is for the shell, and its parameters become options; or it is an argument vector that finds them itself.
    """
    on_cpu = settings.FLOWLINE_ALLOW_CPU and not Gpu.objects.filter(is_present=True).exists()
    spec = TaskSpec(
        command=cmd + options(config) if isinstance(cmd, str) else cmd,
        config=dict(config),
        project=PROJECT,
        gpus=0 if on_cpu else 1,
        gpu_memory_mib=None if on_cpu else gpu_memory_mib,
        exclusive=False,
        is_flowline=True,
        max_retries=max(settings.FLOWLINE_MAX_RETRIES - 1, 0),
        backoff_s=BACKOFF_S,
        grace_s=GRACE_S,
        **fields,
    )
    spec.check_together()
    return spec


def options(config: Mapping[str, Any]) -> str:
    """` --key value` of each parameter, quoted for the shell; what is no single value is left out."""
    words = [(key, value) for key, value in config.items() if not isinstance(value, dict | list)]
    return "".join(f" --{key} {shlex.quote(option_text(value))}" for key, value in words)


def parameters_json(config: Mapping[str, Any]) -> str:
    return json.dumps(dict(config))


def option_text(value: object) -> str:
    """As Python writes it, which is what scripts of FlowLine parse: `True`, `None`, `0.001`."""
    return str(value)


def base_command(command: str | list[str], config: Mapping[str, Any]) -> str:
    """The command without the options that its parameters add."""
    line = command if isinstance(command, str) else shlex.join(command)
    return line.removesuffix(options(config))


def copied_name(original: str) -> str:
    return (original or UNNAMED)[: MAX_NAME - len(COPY_MARK)] + COPY_MARK
