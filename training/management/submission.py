"""What `manage.py submit` was told, as the fields of a submission; the spec knows the defaults and the rules."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlserver.errors import Invalid
from training.management.numbers import number_in
from training.queue.arrays import MOST, product

# What makes `python` in the job the `python` of the shell that submits it.
SHELL_VARIABLES = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
NUMBERS = {
    "gpus": "GPUs it needs",
    "gpu-memory-mib": "memory it needs on each GPU, which others may then share",
    "cpus": "CPU slots",
    "memory-mib": "memory of the machine that is reserved for it",
    "ranks": "processes of each run, which share its GPUs",
    "priority": "-100 to 100, higher goes first",
    "repeat": "how often to run it, in parallel where there is room",
    "max-retries": "runs again after a failure",
    "backoff-s": "seconds before the first retry, twice as long before each further one",
    "time-limit-s": "seconds after which it is stopped",
    "grace-s": "seconds between TERM and KILL when it is stopped",
}


def submission_of(options: dict[str, Any]) -> dict[str, object]:
    """Raises Invalid for what cannot be read at all."""
    plain = ("name", "project", "description", "tags", "pool", "queue", *(name.replace("-", "_") for name in NUMBERS))
    shell = {name: os.environ[name] for name in SHELL_VARIABLES if name in os.environ}
    return {
        **{name: options[name] for name in plain if options[name] is not None},
        **_config(options["config"]),
        **_array(options),
        "command": _command(options),
        "cwd": options["cwd"] or str(Path.cwd()),
        "env": {**shell, **pairs("env", options["env"])},
        "labels": pairs("labels", options["labels"]),
        "depends_on": [_need(word) for text in options["depends_on"] for word in text.split(",")],
        "hold": options["hold"],
    }


def _command(options: dict[str, Any]) -> list[str] | str:
    words: list[str] = options["words"]
    if not options["shell"]:
        return words
    if len(words) != 1:
        raise Invalid.field("command", f"--shell takes one quoted string, not {len(words)} words")
    return words[0]


def _config(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        return {"config": json.loads(text)}
    except ValueError as error:
        raise Invalid.field("config", f"{text[:60]!r} is not JSON: {error}") from error


def _array(options: dict[str, Any]) -> dict[str, object]:
    """Every combination of a grid, or a number of tasks."""
    if not options["grid"]:
        return {} if options["array"] is None else {"array": options["array"]}
    if options["array"] is not None:
        raise Invalid.field("array", "--grid says already how many tasks there are")
    grid = {
        name: [number_in(word) for word in said.split(",")] for name, said in pairs("grid", options["grid"]).items()
    }
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST:
        raise Invalid.field("grid", f"{count} combinations are more than {MOST}")
    return {"array": product(grid)}


def _need(word: str) -> dict[str, object]:
    task, _, condition = word.partition(":")
    return {"task": number_in(task), "condition": condition or "ok"}


def pairs(field: str, words: Iterable[str]) -> dict[str, str]:
    bad = [word for word in words if "=" not in word]
    if bad:
        raise Invalid.field(field, f"{bad[0]!r} is not NAME=VALUE")
    return dict(word.split("=", 1) for word in words)
